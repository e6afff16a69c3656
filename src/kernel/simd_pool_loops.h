#pragma once
// Loops of max pooling for one plane at a time: the pixels of one block of channels of one sample
// (nChw8c, nChw16c), or of one channel of one block of samples (lane_layout.h). Highway picks the
// instructions at run time.

#include <cstdint>

namespace weft::kernel {

struct MaxPoolPlane {
  int64_t block = 8;  // channels or samples side by side
  int64_t src_height = 0, src_width = 0;
  int64_t dst_height = 0, dst_width = 0;
  int64_t kernel_height = 0, kernel_width = 0;
  int64_t stride_height = 0, stride_width = 0;
  int64_t pad_top = 0, pad_left = 0;
};

// `place` [pixels of dst][block]: which pixel of the window was the largest, row major in the whole
// window; null if nobody will ask. The first of equals counts, and a NaN only where it is the
// first.
void MaxPoolForward(const MaxPoolPlane& plane, const float* src, float* dst, uint8_t* place);

// Writes all of diff_src.
void MaxPoolBackward(const MaxPoolPlane& plane, const float* diff_dst, const uint8_t* place,
                     float* diff_src);

}  // namespace weft::kernel
