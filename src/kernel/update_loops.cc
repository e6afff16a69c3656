#include "kernel/update_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernel/update_loops.cc"
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

// grad + weight_decay * weights
template <class Tag>
HWY_INLINE hn::Vec<Tag> Decayed(Tag tag, const SgdFactors& f, const float* grad,
                                hn::Vec<Tag> weights) {
  return hn::MulAdd(hn::Set(tag, f.weight_decay), weights, hn::LoadU(tag, grad));
}

void SgdPlainLoop(const SgdFactors& f, const float* grad, float* weights, size_t n) {
  ForEachVector(n, [&](auto tag, size_t i) HWY_ATTR {
    const auto w = hn::LoadU(tag, weights + i);
    const auto g = Decayed(tag, f, grad + i, w);
    hn::StoreU(hn::NegMulAdd(hn::Set(tag, f.lr), g, w), tag, weights + i);
  });
}

void SgdMomentumLoop(const SgdFactors& f, const float* grad, float* weights, float* velocity,
                     size_t n) {
  ForEachVector(n, [&](auto tag, size_t i) HWY_ATTR {
    const auto w = hn::LoadU(tag, weights + i);
    const auto g = Decayed(tag, f, grad + i, w);
    const auto momentum = hn::Set(tag, f.momentum);
    const auto v = hn::MulAdd(momentum, hn::LoadU(tag, velocity + i), g);
    hn::StoreU(v, tag, velocity + i);
    const auto direction = f.nesterov ? hn::MulAdd(momentum, v, g) : v;
    hn::StoreU(hn::NegMulAdd(hn::Set(tag, f.lr), direction, w), tag, weights + i);
  });
}

void AdamwLoop(const AdamwFactors& f, const float* grad, float* weights, float* first_moment,
               float* second_moment, size_t n) {
  ForEachVector(n, [&](auto tag, size_t i) HWY_ATTR {
    const auto g = hn::LoadU(tag, grad + i);
    const auto w = hn::LoadU(tag, weights + i);
    const auto m = hn::MulAdd(hn::Set(tag, f.beta1), hn::LoadU(tag, first_moment + i),
                              hn::Mul(hn::Set(tag, f.rest1), g));
    const auto v = hn::MulAdd(hn::Set(tag, f.beta2), hn::LoadU(tag, second_moment + i),
                              hn::Mul(hn::Mul(hn::Set(tag, f.rest2), g), g));
    hn::StoreU(m, tag, first_moment + i);
    hn::StoreU(v, tag, second_moment + i);
    const auto denominator =
        hn::MulAdd(hn::Sqrt(v), hn::Set(tag, f.inverse_root_correction2), hn::Set(tag, f.eps));
    const auto step = hn::Div(hn::Mul(hn::Set(tag, f.step_size), m), denominator);
    // Fused here, or the compiler does so for whole vectors only, and bits depend on the position.
    hn::StoreU(hn::MulSub(w, hn::Set(tag, f.keep), step), tag, weights + i);
  });
}

void AxpyLoop(float a, const float* x, float* y, size_t n) {
  ForEachVector(n, [&](auto tag, size_t i) HWY_ATTR {
    hn::StoreU(hn::MulAdd(hn::Set(tag, a), hn::LoadU(tag, x + i), hn::LoadU(tag, y + i)), tag,
               y + i);
  });
}

void ScaleLoop(float a, float* y, size_t n) {
  ForEachVector(n, [&](auto tag, size_t i) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::LoadU(tag, y + i), hn::Set(tag, a)), tag, y + i);
  });
}

double SquaresLoop(const float* x, size_t n) {
  const hn::ScalableTag<double> doubles;
  const hn::Rebind<float, decltype(doubles)> floats;
  const size_t width = hn::Lanes(doubles);
  auto even = hn::Zero(doubles);  // two sums, so that the additions overlap
  auto odd = hn::Zero(doubles);
  size_t i = 0;
  for (; i + 2 * width <= n; i += 2 * width) {
    const auto a = hn::PromoteTo(doubles, hn::LoadU(floats, x + i));
    const auto b = hn::PromoteTo(doubles, hn::LoadU(floats, x + i + width));
    even = hn::MulAdd(a, a, even);
    odd = hn::MulAdd(b, b, odd);
  }
  double sum = hn::GetLane(hn::SumOfLanes(doubles, hn::Add(even, odd)));
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

// x - x is 0 for finite x, NaN for infinities and NaN; so is any sum with them.
bool AllFiniteLoop(const float* x, size_t n) {
  const Lanes lanes;
  auto sum = hn::Zero(lanes);
  float rest = 0;
  const size_t width = hn::Lanes(lanes);
  size_t i = 0;
  for (; i + width <= n; i += width) {
    const auto value = hn::LoadU(lanes, x + i);
    sum = hn::Add(sum, hn::Sub(value, value));
  }
  for (; i < n; ++i) rest += x[i] - x[i];
  return hn::GetLane(hn::SumOfLanes(lanes, sum)) + rest == 0.0f;
}

}  // namespace HWY_NAMESPACE
}  // namespace weft::kernel
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::kernel {

HWY_EXPORT(SgdPlainLoop);
HWY_EXPORT(SgdMomentumLoop);
HWY_EXPORT(AdamwLoop);
HWY_EXPORT(AxpyLoop);
HWY_EXPORT(ScaleLoop);
HWY_EXPORT(SquaresLoop);
HWY_EXPORT(AllFiniteLoop);

void SgdPlainLoop(const SgdFactors& factors, const float* grad, float* weights, size_t n) {
  HWY_DYNAMIC_DISPATCH(SgdPlainLoop)(factors, grad, weights, n);
}

void SgdMomentumLoop(const SgdFactors& factors, const float* grad, float* weights, float* velocity,
                     size_t n) {
  HWY_DYNAMIC_DISPATCH(SgdMomentumLoop)(factors, grad, weights, velocity, n);
}

void AdamwLoop(const AdamwFactors& factors, const float* grad, float* weights, float* first_moment,
               float* second_moment, size_t n) {
  HWY_DYNAMIC_DISPATCH(AdamwLoop)(factors, grad, weights, first_moment, second_moment, n);
}

void AxpyLoop(float a, const float* x, float* y, size_t n) {
  HWY_DYNAMIC_DISPATCH(AxpyLoop)(a, x, y, n);
}

void ScaleLoop(float a, float* y, size_t n) { HWY_DYNAMIC_DISPATCH(ScaleLoop)(a, y, n); }

double SquaresLoop(const float* x, size_t n) { return HWY_DYNAMIC_DISPATCH(SquaresLoop)(x, n); }

bool AllFiniteLoop(const float* x, size_t n) { return HWY_DYNAMIC_DISPATCH(AllFiniteLoop)(x, n); }

}  // namespace weft::kernel
#endif  // HWY_ONCE
