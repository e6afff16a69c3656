#include "kernel/simd_batchnorm_geometry.h"

namespace weft::kernel {

namespace {

constexpr int64_t kPlainLanes = 8;

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

BatchnormGeometry::BatchnormGeometry(const tensor::Shape& src, int64_t channel_block)
    : channels(src[1]), rows(src[0]) {
  const bool plain = channel_block == 0;
  const int64_t plane = src.elements() / (rows * channels);
  pixels_per_channel_ = static_cast<double>(rows * plane);
  lanes = group_step = plain ? kPlainLanes : channel_block;
  planes = plain && plane > 1;
  if (planes) {
    blocks = channels;
    groups = CeilDivide(plane, lanes);
    block_step = plane;
    row_step = channels * plane;
    tail_ = plane % lanes;
  } else {
    blocks = CeilDivide(channels, lanes);
    groups = plane;
    block_step = plane * lanes;
    // Only the blocked form has memory for the channels that fill up its last block.
    row_step = plain ? channels : blocks * block_step;
    tail_ = plain ? channels % lanes : 0;
  }
  if (plane == 1) {
    groups = rows;
    group_step = row_step;
    rows = 1;
  }
}

BatchnormGeometry BatchnormGeometry::OfLanes(const tensor::Shape& src) {
  CHECK_EQ(src[0] % kSampleLanes, 0);
  // A block of samples is walked as one sample is that has 16 channels for each of its own.
  const int64_t samples = src[0] / kSampleLanes;
  BatchnormGeometry g({samples, src[1] * kSampleLanes, src[2], src[3]}, kSampleLanes);
  g.channels = src[1];
  g.planes = true;
  g.pixels_per_channel_ *= static_cast<double>(kSampleLanes);
  return g;
}

}  // namespace weft::kernel
