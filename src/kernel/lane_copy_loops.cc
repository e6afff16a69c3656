// The copies of lane_loops.h: a transpose of samples by numbers, in squares of four.

#include "kernel/lane_layout.h"
#include "kernel/lane_loops.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernel/lane_copy_loops.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace weft::kernel {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
constexpr int64_t kFour = 4;

// A square of numbers whose rows lie `from_step` and `to_step` floats apart.
#if HWY_TARGET == HWY_SCALAR
void TransposeSquare(const float* from, int64_t from_step, float* to, int64_t to_step) {
  for (int64_t i = 0; i < kFour; ++i) {
    for (int64_t j = 0; j < kFour; ++j) to[j * to_step + i] = from[i * from_step + j];
  }
}
#else
HWY_INLINE void TransposeSquare(const float* from, int64_t from_step, float* to, int64_t to_step) {
  const hn::Full128<float> four;
  const hn::Full128<double> two;
  const auto a = hn::LoadU(four, from), b = hn::LoadU(four, from + from_step);
  const auto c = hn::LoadU(four, from + 2 * from_step), d = hn::LoadU(four, from + 3 * from_step);
  // a0 b0 a1 b1, a2 b2 a3 b3, and the same of c and d.
  const auto ab = hn::BitCast(two, hn::InterleaveLower(four, a, b));
  const auto ab_high = hn::BitCast(two, hn::InterleaveUpper(four, a, b));
  const auto cd = hn::BitCast(two, hn::InterleaveLower(four, c, d));
  const auto cd_high = hn::BitCast(two, hn::InterleaveUpper(four, c, d));
  hn::StoreU(hn::BitCast(four, hn::InterleaveLower(two, ab, cd)), four, to);
  hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(two, ab, cd)), four, to + to_step);
  hn::StoreU(hn::BitCast(four, hn::InterleaveLower(two, ab_high, cd_high)), four, to + 2 * to_step);
  hn::StoreU(hn::BitCast(four, hn::InterleaveUpper(two, ab_high, cd_high)), four, to + 3 * to_step);
}
#endif

// Squares cover the samples below `whole`, a multiple of four, and as many numbers as they can.
int64_t Whole(int64_t n) { return n / kFour * kFour; }

void ToLanes(int64_t samples, int64_t floats, const float* plain, float* lanes) {
  const int64_t whole = Whole(samples);
  for (int64_t i = 0; i < Whole(floats); i += kFour) {
    for (int64_t n = 0; n < whole; n += kFour) {
      TransposeSquare(plain + n * floats + i, floats, lanes + i * kSampleLanes + n, kSampleLanes);
    }
  }
  for (int64_t i = 0; i < floats; ++i) {
    for (int64_t n = i < Whole(floats) ? whole : 0; n < kSampleLanes; ++n) {
      lanes[i * kSampleLanes + n] = n < samples ? plain[n * floats + i] : 0.0f;
    }
  }
}

void FromLanes(int64_t samples, int64_t floats, const float* lanes, float* plain) {
  const int64_t whole = Whole(samples);
  for (int64_t i = 0; i < Whole(floats); i += kFour) {
    for (int64_t n = 0; n < whole; n += kFour) {
      TransposeSquare(lanes + i * kSampleLanes + n, kSampleLanes, plain + n * floats + i, floats);
    }
  }
  for (int64_t i = 0; i < floats; ++i) {
    for (int64_t n = i < Whole(floats) ? whole : 0; n < samples; ++n) {
      plain[n * floats + i] = lanes[i * kSampleLanes + n];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace weft::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::kernel {

HWY_EXPORT(ToLanes);
HWY_EXPORT(FromLanes);

void ToLanes(int64_t samples, int64_t floats, const float* plain, float* lanes) {
  HWY_DYNAMIC_DISPATCH(ToLanes)(samples, floats, plain, lanes);
}

void FromLanes(int64_t samples, int64_t floats, const float* lanes, float* plain) {
  HWY_DYNAMIC_DISPATCH(FromLanes)(samples, floats, lanes, plain);
}

}  // namespace weft::kernel
#endif  // HWY_ONCE
