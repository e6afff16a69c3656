// Shapes that follow from the descriptions in backend.h.

#include "kernel/backend.h"

namespace weft::kernel {

namespace {

// Positions of a window of `kernel` over `extent` with padding on both sides; 0 if it does not fit.
int64_t WindowCount(int64_t extent, int64_t padding, int64_t kernel, int64_t stride) {
  const int64_t room = extent + padding - kernel;
  return room < 0 || stride < 1 ? 0 : room / stride + 1;
}

}  // namespace

int64_t ConvDesc::out_height() const {
  return WindowCount(in_height, pad_top + pad_bottom, kernel_height, stride_height);
}

int64_t ConvDesc::out_width() const {
  return WindowCount(in_width, pad_left + pad_right, kernel_width, stride_width);
}

Shape ConvDesc::src_shape() const { return {batch, in_channels, in_height, in_width}; }

Shape ConvDesc::weights_shape() const {
  return {out_channels, in_channels / groups, kernel_height, kernel_width};
}

Shape ConvDesc::dst_shape() const { return {batch, out_channels, out_height(), out_width()}; }

double ConvDesc::flops() const {
  return 2.0 * static_cast<double>(dst_shape().elements()) *
         static_cast<double>(in_channels / groups * kernel_height * kernel_width);
}

int64_t LinearDesc::in_features() const { return src.elements() / batch; }

Shape LinearDesc::weights_shape() const { return {out, in_features()}; }

Shape LinearDesc::dst_shape() const { return {batch, out}; }

double LinearDesc::flops() const {
  return 2.0 * static_cast<double>(batch) * static_cast<double>(out) *
         static_cast<double>(in_features());
}

Shape PoolDesc::dst_shape() const {
  return {src[0], src[1], WindowCount(src[2], pad_top + pad_bottom, kernel_height, stride_height),
          WindowCount(src[3], pad_left + pad_right, kernel_width, stride_width)};
}

}  // namespace weft::kernel
