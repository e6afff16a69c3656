#include "model/layer_shapes.h"

#include <fmt/format.h>

namespace weft::model {
namespace {

Status WantImage(const Layer& input) {
  if (input.shape.rank() == 3) return OkStatus();
  return InvalidArgument(
      fmt::format("got features {} from \"{}\", want an image (channels, height, width)",
                  input.shape.ToString(), input.name));
}

// Shape of a sliding window over an image with `channels` output channels.
Result<Shape> Window(const Layer& layer, const Layer& input, int64_t channels) {
  RETURN_IF_ERROR(WantImage(input));
  const int64_t kernel[2] = {layer.kernel_height, layer.kernel_width};
  const int64_t stride[2] = {layer.stride_height, layer.stride_width};
  const int64_t pad[2] = {layer.pad_height, layer.pad_width};
  Shape shape = input.shape.With(0, channels);
  for (int axis = 0; axis < 2; ++axis) {
    if (kernel[axis] < 1) {
      return InvalidArgument(fmt::format("kernel: got {}, want at least 1", kernel[axis]));
    }
    if (stride[axis] < 1) {
      return InvalidArgument(fmt::format("stride: got {}, want at least 1", stride[axis]));
    }
    if (pad[axis] < 0 || pad[axis] >= kernel[axis]) {
      return InvalidArgument(
          fmt::format("pad: got {}, want 0..{} (below the kernel)", pad[axis], kernel[axis] - 1));
    }
    const int64_t extent = input.shape[axis + 1];
    const int64_t padded = extent + 2 * pad[axis];
    if (padded < kernel[axis]) {
      return InvalidArgument(
          fmt::format("kernel: got {} over an input of {} with pad {}, want a kernel of at most {}",
                      kernel[axis], input.shape.ToString(), pad[axis], padded));
    }
    shape = shape.With(axis + 1, (padded - kernel[axis]) / stride[axis] + 1);
  }
  return shape;
}

Result<Shape> ConvShape(const Layer& layer, const Layer& input) {
  RETURN_IF_ERROR(WantImage(input));
  if (layer.out < 1) return InvalidArgument(fmt::format("out: got {}, want at least 1", layer.out));
  const int64_t channels = input.shape[0];
  if (layer.groups < 1 || channels % layer.groups != 0 || layer.out % layer.groups != 0) {
    return InvalidArgument(
        fmt::format("groups: got {}, want a divisor of the input's {} channels and of out = {}",
                    layer.groups, channels, layer.out));
  }
  return Window(layer, input, layer.out);
}

Result<Shape> AddShape(const Layer& layer, const std::vector<Layer>& before) {
  if (layer.inputs.size() != 2) {
    return InvalidArgument(fmt::format("inputs: got {}, want 2", layer.inputs.size()));
  }
  const Layer& a = before[static_cast<size_t>(layer.inputs[0])];
  const Layer& b = before[static_cast<size_t>(layer.inputs[1])];
  if (a.shape == b.shape) return a.shape;
  return InvalidArgument(
      fmt::format("inputs: got {} from \"{}\" and {} from \"{}\", want equal shapes",
                  a.shape.ToString(), a.name, b.shape.ToString(), b.name));
}

}  // namespace

Result<Shape> OutputShape(const Layer& layer, const std::vector<Layer>& before) {
  CHECK(!layer.inputs.empty());
  const Layer& input = before[static_cast<size_t>(layer.inputs[0])];
  switch (layer.type) {
    case LayerType::kConv:
      return ConvShape(layer, input);
    case LayerType::kLinear:
      if (layer.out < 1) {
        return InvalidArgument(fmt::format("out: got {}, want at least 1", layer.out));
      }
      return Shape{layer.out};
    case LayerType::kMaxpool:
    case LayerType::kAvgpool:
      return Window(layer, input, input.shape[0]);
    case LayerType::kGlobalAvgpool:
      RETURN_IF_ERROR(WantImage(input));
      return Shape{input.shape[0], 1, 1};
    case LayerType::kAdd:
      return AddShape(layer, before);
    case LayerType::kFlatten:
      return Shape{input.shape.elements()};
    case LayerType::kInput:
    case LayerType::kBatchnorm:
    case LayerType::kRelu:
    case LayerType::kLeakyRelu:
    case LayerType::kDropout:
      return input.shape;
  }
  return input.shape;
}

}  // namespace weft::model
