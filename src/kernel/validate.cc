#include "kernel/validate.h"

#include <fmt/core.h>

#include <initializer_list>

namespace weft::kernel {

namespace {

struct Extent {
  const char* name;
  int64_t value;
};

Status AtLeast(std::string_view op, int64_t least, std::initializer_list<Extent> extents) {
  for (const Extent& extent : extents) {
    if (extent.value < least) {
      return base::InvalidArgument(
          fmt::format("{}: {}: got {}, want at least {}", op, extent.name, extent.value, least));
    }
  }
  return OkStatus();
}

Status AllPositive(std::string_view op, const Shape& shape) {
  for (int64_t extent : shape.dims()) {
    if (extent < 1) {
      return base::InvalidArgument(
          fmt::format("{}: src: got {}, want extents of at least 1", op, shape.ToString()));
    }
  }
  return OkStatus();
}

Status WindowFits(std::string_view op, const char* axis, int64_t extent, int64_t kernel) {
  if (kernel <= extent) return OkStatus();
  return base::InvalidArgument(fmt::format(
      "{}: kernel_{}: got {}, want at most {} (the padded src)", op, axis, kernel, extent));
}

Status PadBelowKernel(const char* name, int64_t pad, int64_t kernel) {
  if (pad >= 0 && pad < kernel) return OkStatus();
  return base::InvalidArgument(
      fmt::format("pool: {}: got {}, want 0..{} (below the kernel)", name, pad, kernel - 1));
}

}  // namespace

Status Validate(const ConvDesc& d) {
  RETURN_IF_ERROR(AtLeast("conv", 1,
                          {{"batch", d.batch},
                           {"in_channels", d.in_channels},
                           {"in_height", d.in_height},
                           {"in_width", d.in_width},
                           {"out_channels", d.out_channels},
                           {"kernel_height", d.kernel_height},
                           {"kernel_width", d.kernel_width},
                           {"stride_height", d.stride_height},
                           {"stride_width", d.stride_width},
                           {"groups", d.groups}}));
  RETURN_IF_ERROR(AtLeast("conv", 0,
                          {{"pad_top", d.pad_top},
                           {"pad_left", d.pad_left},
                           {"pad_bottom", d.pad_bottom},
                           {"pad_right", d.pad_right}}));
  if (d.in_channels % d.groups != 0 || d.out_channels % d.groups != 0) {
    return base::InvalidArgument(
        fmt::format("conv: groups: got {}, want a divisor of in_channels {} and out_channels {}",
                    d.groups, d.in_channels, d.out_channels));
  }
  RETURN_IF_ERROR(
      WindowFits("conv", "height", d.in_height + d.pad_top + d.pad_bottom, d.kernel_height));
  return WindowFits("conv", "width", d.in_width + d.pad_left + d.pad_right, d.kernel_width);
}

Status Validate(const LinearDesc& d) {
  RETURN_IF_ERROR(AtLeast("linear", 1, {{"batch", d.batch}, {"out", d.out}}));
  if ((d.src.rank() != 2 && d.src.rank() != 4) || d.src[0] != d.batch) {
    return base::InvalidArgument(fmt::format("linear: src: got {}, want {}xC or {}xCxHxW",
                                             d.src.ToString(), d.batch, d.batch));
  }
  return AllPositive("linear", d.src);
}

Status Validate(const BatchnormDesc& d) {
  if (d.src.rank() != 2 && d.src.rank() != 4) {
    return base::InvalidArgument(
        fmt::format("batchnorm: src: got {}, want NxC or NxCxHxW", d.src.ToString()));
  }
  if (!(d.eps > 0)) {
    return base::InvalidArgument(fmt::format("batchnorm: eps: got {}, want above 0", d.eps));
  }
  return AllPositive("batchnorm", d.src);
}

Status Validate(const PoolDesc& d) {
  if (d.src.rank() != 4) {
    return base::InvalidArgument(fmt::format("pool: src: got {}, want NxCxHxW", d.src.ToString()));
  }
  RETURN_IF_ERROR(AllPositive("pool", d.src));
  RETURN_IF_ERROR(AtLeast("pool", 1,
                          {{"kernel_height", d.kernel_height},
                           {"kernel_width", d.kernel_width},
                           {"stride_height", d.stride_height},
                           {"stride_width", d.stride_width}}));
  // A window wholly in the padding would have no maximum and no average.
  RETURN_IF_ERROR(PadBelowKernel("pad_top", d.pad_top, d.kernel_height));
  RETURN_IF_ERROR(PadBelowKernel("pad_bottom", d.pad_bottom, d.kernel_height));
  RETURN_IF_ERROR(PadBelowKernel("pad_left", d.pad_left, d.kernel_width));
  RETURN_IF_ERROR(PadBelowKernel("pad_right", d.pad_right, d.kernel_width));
  RETURN_IF_ERROR(
      WindowFits("pool", "height", d.src[2] + d.pad_top + d.pad_bottom, d.kernel_height));
  return WindowFits("pool", "width", d.src[3] + d.pad_left + d.pad_right, d.kernel_width);
}

Status Validate(const DropoutDesc& d) {
  if (!(d.rate >= 0 && d.rate < 1)) {
    return base::InvalidArgument(fmt::format("dropout: rate: got {}, want 0 to below 1", d.rate));
  }
  if (d.src.rank() < 1) {
    return base::InvalidArgument("dropout: src: got a scalar, want samples along the first axis");
  }
  return AllPositive("dropout", d.src);
}

Status Validate(const LossDesc& d) {
  return AtLeast("loss", 1, {{"batch", d.batch}, {"classes", d.classes}});
}

Status ValidateLayout(std::string_view what, const Layout& layout, const Shape& shape) {
  if (layout.shape() == shape) return OkStatus();
  return base::InvalidArgument(
      fmt::format("{}: got {}, want {}", what, layout.ToString(), shape.ToString()));
}

}  // namespace weft::kernel
