#pragma once
// The inner loops of batch normalisation, compiled for every instruction set Highway knows and
// chosen at run time. All lanes of a group are whole here: the caller fills up a partial one.

#include <cstdint>

#include "kernel/simd_batchnorm_geometry.h"

namespace weft::kernel {

// One run in memory. Tensors hold their first group at the given address; the mask has
// MaskBytes(lanes) bytes a group.
struct LoopExtents {
  int64_t rows, count;
  int64_t row_step, group_step;  // floats
  int64_t row_groups;            // groups between rows, for the mask
  int64_t lanes;
};

// Of one block; a value a lane, zeros for the lanes of padding.
struct BatchnormCoefficients {
  float mean[kMaxLanes];
  float scale[kMaxLanes];
  float offset[kMaxLanes];
  float slope[kMaxLanes];  // backward only
};

// first[lane] += sum of (src - shift); second[lane] += sum of (src - shift)^2
void AddStatistics(const LoopExtents& extents, const float* src, const float* shift, double* first,
                   double* second);
// dst = (src - mean) * scale + offset; if `relu`, what is not above 0 becomes 0 (NaN stays NaN),
// and the mask (may be null) tells where. dst may be src.
void Normalize(const LoopExtents& extents, const BatchnormCoefficients& c, bool relu,
               const float* src, float* dst, uint8_t* mask);
// With g = diff_dst, 0 where the mask (may be null) tells so:
// first[lane] += sum of g; second[lane] += sum of g * (src - mean)
void AddGradients(const LoopExtents& extents, const float* mean, const float* src,
                  const float* diff_dst, const uint8_t* mask, double* first, double* second);
// diff_src = scale * g + slope * (src - mean) + offset. diff_src may be diff_dst.
void NormalizeBackward(const LoopExtents& extents, const BatchnormCoefficients& c, const float* src,
                       const float* diff_dst, const uint8_t* mask, float* diff_src);

// Bytes of the mask for one group, and readable bytes wanted behind the last.
int64_t MaskBytes(int64_t lanes);
inline constexpr int64_t kMaskSlack = 8;

}  // namespace weft::kernel
