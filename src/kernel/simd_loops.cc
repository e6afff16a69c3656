#include "kernel/simd_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernel/simd_loops.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace weft::kernel {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes = hn::ScalableTag<float>;
using One = hn::CappedTag<float, 1>;

// Calls body(tag, i) for whole vectors, then element by element for the rest.
template <class Body>
HWY_INLINE void ForEachVector(size_t n, const Body& body) {
  const Lanes lanes;
  const size_t width = hn::Lanes(lanes);
  size_t i = 0;
  for (; i + width <= n; i += width) body(lanes, i);
  for (; i < n; ++i) body(One(), i);
}

template <class Tag, class Vector>
HWY_INLINE Vector WholeWherePositive(Tag tag, Vector sign, Vector value, float slope) {
  const auto positive = hn::Gt(sign, hn::Zero(tag));
  return hn::IfThenElse(positive, value, hn::Mul(value, hn::Set(tag, slope)));
}

void LeakyForward(float slope, const float* src, float* dst, size_t n) {
  ForEachVector(n, [&](auto tag, size_t i) HWY_ATTR {
    const auto x = hn::LoadU(tag, src + i);
    hn::StoreU(WholeWherePositive(tag, x, x, slope), tag, dst + i);
  });
}

void LeakyBackward(float slope, const float* dst, const float* diff_dst, float* diff_src,
                   size_t n) {
  ForEachVector(n, [&](auto tag, size_t i) HWY_ATTR {
    const auto y = hn::LoadU(tag, dst + i);
    const auto gradient = hn::LoadU(tag, diff_dst + i);
    hn::StoreU(WholeWherePositive(tag, y, gradient, slope), tag, diff_src + i);
  });
}

void AddLoop(const float* a, const float* b, float* dst, size_t n) {
  ForEachVector(n, [&](auto tag, size_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(tag, a + i), hn::LoadU(tag, b + i)), tag, dst + i);
  });
}

const char* SimdTarget() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace weft::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::kernel {

HWY_EXPORT(LeakyForward);
HWY_EXPORT(LeakyBackward);
HWY_EXPORT(AddLoop);
HWY_EXPORT(SimdTarget);

void LeakyForward(float slope, const float* src, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(LeakyForward)(slope, src, dst, n);
}

void LeakyBackward(float slope, const float* dst, const float* diff_dst, float* diff_src,
                   size_t n) {
  HWY_DYNAMIC_DISPATCH(LeakyBackward)(slope, dst, diff_dst, diff_src, n);
}

void AddLoop(const float* a, const float* b, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(AddLoop)(a, b, dst, n);
}

const char* SimdTarget() { return HWY_DYNAMIC_DISPATCH(SimdTarget)(); }

}  // namespace weft::kernel
#endif  // HWY_ONCE
