#include "kernel/simd_pool_loops.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernel/simd_pool_loops.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace weft::kernel {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
// A block is 8 or 16 numbers, so vectors of at most 8 fill it.
using Lanes = hn::CappedTag<float, 8>;
using Bytes = hn::Rebind<uint8_t, Lanes>;
using Ints = hn::RebindToSigned<Lanes>;

// The part of a window inside the image, in coordinates of the window.
struct Clip {
  int64_t row, col;  // of the window's corner in the image; may be negative
  int64_t top, bottom, left, right;

  Clip(const MaxPoolPlane& p, int64_t y, int64_t x)
      : row(y * p.stride_height - p.pad_top),
        col(x * p.stride_width - p.pad_left),
        top(std::max<int64_t>(0, -row)),
        bottom(std::min(p.kernel_height, p.src_height - row)),
        left(std::max<int64_t>(0, -col)),
        right(std::min(p.kernel_width, p.src_width - col)) {}
};

void MaxPoolForward(const MaxPoolPlane& p, const float* src, float* dst, uint8_t* place) {
  const Lanes lanes;
  const Ints ints;
  const Bytes bytes;
  const auto width = static_cast<int64_t>(hn::Lanes(lanes));
  for (int64_t y = 0; y < p.dst_height; ++y) {
    for (int64_t x = 0; x < p.dst_width; ++x) {
      const Clip clip(p, y, x);
      const int64_t out = (y * p.dst_width + x) * p.block;
      for (int64_t c = 0; c < p.block; c += width) {
        const auto pixel = [&](int64_t ky, int64_t kx) HWY_ATTR {
          return hn::LoadU(lanes,
                           src + ((clip.row + ky) * p.src_width + clip.col + kx) * p.block + c);
        };
        auto best = pixel(clip.top, clip.left);
        auto where = hn::Set(ints, static_cast<int32_t>(clip.top * p.kernel_width + clip.left));
        for (int64_t ky = clip.top; ky < clip.bottom; ++ky) {
          for (int64_t kx = clip.left; kx < clip.right; ++kx) {
            const auto value = pixel(ky, kx);
            const auto larger = hn::Gt(value, best);
            best = hn::IfThenElse(larger, value, best);
            where = hn::IfThenElse(hn::RebindMask(ints, larger),
                                   hn::Set(ints, static_cast<int32_t>(ky * p.kernel_width + kx)),
                                   where);
          }
        }
        hn::StoreU(best, lanes, dst + out + c);
        if (place != nullptr) hn::StoreU(hn::DemoteTo(bytes, where), bytes, place + out + c);
      }
    }
  }
}

void MaxPoolBackward(const MaxPoolPlane& p, const float* diff_dst, const uint8_t* place,
                     float* diff_src) {
  const Lanes lanes;
  const Ints ints;
  const Bytes bytes;
  const auto width = static_cast<int64_t>(hn::Lanes(lanes));
  // Windows that tile the image write each pixel once; others add to zeros.
  const bool tiles = p.stride_height == p.kernel_height && p.stride_width == p.kernel_width &&
                     p.pad_top == 0 && p.pad_left == 0 &&
                     p.dst_height * p.kernel_height == p.src_height &&
                     p.dst_width * p.kernel_width == p.src_width;
  if (!tiles) std::fill_n(diff_src, p.src_height * p.src_width * p.block, 0.0f);
  for (int64_t y = 0; y < p.dst_height; ++y) {
    for (int64_t x = 0; x < p.dst_width; ++x) {
      const Clip clip(p, y, x);
      const int64_t out = (y * p.dst_width + x) * p.block;
      for (int64_t c = 0; c < p.block; c += width) {
        const auto gradient = hn::LoadU(lanes, diff_dst + out + c);
        const auto where = hn::PromoteTo(ints, hn::LoadU(bytes, place + out + c));
        for (int64_t ky = clip.top; ky < clip.bottom; ++ky) {
          for (int64_t kx = clip.left; kx < clip.right; ++kx) {
            float* to = diff_src + ((clip.row + ky) * p.src_width + clip.col + kx) * p.block + c;
            const auto here =
                hn::Eq(where, hn::Set(ints, static_cast<int32_t>(ky * p.kernel_width + kx)));
            const auto part = hn::IfThenElseZero(hn::RebindMask(lanes, here), gradient);
            hn::StoreU(tiles ? part : hn::Add(hn::LoadU(lanes, to), part), lanes, to);
          }
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace weft::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::kernel {

HWY_EXPORT(MaxPoolForward);
HWY_EXPORT(MaxPoolBackward);

void MaxPoolForward(const MaxPoolPlane& plane, const float* src, float* dst, uint8_t* place) {
  HWY_DYNAMIC_DISPATCH(MaxPoolForward)(plane, src, dst, place);
}

void MaxPoolBackward(const MaxPoolPlane& plane, const float* diff_dst, const uint8_t* place,
                     float* diff_src) {
  HWY_DYNAMIC_DISPATCH(MaxPoolBackward)(plane, diff_dst, place, diff_src);
}

}  // namespace weft::kernel
#endif  // HWY_ONCE
