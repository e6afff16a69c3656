// The backward passes of the reference twins against finite differences of their forward passes:
// for random c, the gradient of sum(c * dst) is the backward pass at diff_dst = c.

#include <gtest/gtest.h>

#include <functional>

#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

constexpr float kStep = 1e-2f;

double Dot(const Floats& a, const Floats& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

// `forward` maps the input to dst. Checks gradient[i] for every element of `at`.
void ExpectGradient(const std::function<Floats(const Floats&)>& forward, const Floats& at,
                    const Floats& diff_dst, const Floats& gradient, double tolerance = 2e-3) {
  ASSERT_EQ(at.size(), gradient.size());
  for (size_t i = 0; i < at.size(); ++i) {
    Floats up = at, down = at;
    up[i] += kStep;
    down[i] -= kStep;
    const double slope =
        (Dot(forward(up), diff_dst) - Dot(forward(down), diff_dst)) / (double{up[i]} - down[i]);
    EXPECT_NEAR(gradient[i], slope, tolerance * (1 + std::abs(slope))) << "element " << i;
  }
}

class GradientTest : public testing::Test {
 protected:
  std::unique_ptr<Backend> backend_ = TestBackend("reference");
};

TEST_F(GradientTest, Conv) {
  const ConvDesc d{.batch = 2,
                   .in_channels = 4,
                   .in_height = 5,
                   .in_width = 4,
                   .out_channels = 6,
                   .kernel_height = 3,
                   .kernel_width = 2,
                   .stride_height = 2,
                   .stride_width = 1,
                   .pad_top = 1,
                   .pad_left = 0,
                   .pad_bottom = 2,
                   .pad_right = 1,
                   .groups = 2};
  const Floats src = RandomFloats(d.src_shape().elements(), 1);
  const Floats weights = RandomFloats(d.weights_shape().elements(), 2);
  const Floats bias = RandomFloats(d.out_channels, 3);
  const Floats diff_dst = RandomFloats(d.dst_shape().elements(), 4);
  auto forward = [&](const Floats& s, const Floats& w, const Floats& b) {
    OpRunner runner(*backend_, backend_->ConvForward(d, {}));
    return runner.Set("src", s).Set("weights", w).Set("bias", b).Run().Get("dst");
  };
  OpRunner data(*backend_, backend_->ConvBackwardData(d, {}, {}));
  data.Set("diff_dst", diff_dst).Set("weights", weights).Run();
  OpRunner gradient(*backend_, backend_->ConvBackwardWeights(d, {}, {}, {}));
  gradient.Set("diff_dst", diff_dst).Set("src", src).Run();
  ExpectGradient([&](const Floats& x) { return forward(x, weights, bias); }, src, diff_dst,
                 data.Get("diff_src"));
  ExpectGradient([&](const Floats& x) { return forward(src, x, bias); }, weights, diff_dst,
                 gradient.Get("diff_weights"));
  ExpectGradient([&](const Floats& x) { return forward(src, weights, x); }, bias, diff_dst,
                 gradient.Get("diff_bias"));
}

TEST_F(GradientTest, Linear) {
  const LinearDesc d{.batch = 3, .src = {3, 2, 2, 2}, .out = 5};
  const Floats src = RandomFloats(d.src.elements(), 1);
  const Floats weights = RandomFloats(d.weights_shape().elements(), 2);
  const Floats bias = RandomFloats(d.out, 3);
  const Floats diff_dst = RandomFloats(d.dst_shape().elements(), 4);
  auto forward = [&](const Floats& s, const Floats& w, const Floats& b) {
    OpRunner runner(*backend_, backend_->LinearForward(d, {}));
    return runner.Set("src", s).Set("weights", w).Set("bias", b).Run().Get("dst");
  };
  OpRunner data(*backend_, backend_->LinearBackwardData(d, {}, {}));
  data.Set("diff_dst", diff_dst).Set("weights", weights).Run();
  OpRunner gradient(*backend_, backend_->LinearBackwardWeights(d, {}, {}, {}));
  gradient.Set("diff_dst", diff_dst).Set("src", src).Run();
  ExpectGradient([&](const Floats& x) { return forward(x, weights, bias); }, src, diff_dst,
                 data.Get("diff_src"));
  ExpectGradient([&](const Floats& x) { return forward(src, x, bias); }, weights, diff_dst,
                 gradient.Get("diff_weights"));
  ExpectGradient([&](const Floats& x) { return forward(src, weights, x); }, bias, diff_dst,
                 gradient.Get("diff_bias"));
}

// beta is far from the kink of relu for most channels, and no element sits within a step of it.
void ExpectBatchnormGradient(Backend& backend, bool relu) {
  const BatchnormDesc d{.src = {3, 2, 2, 3}, .relu = relu};
  const Floats src = RandomFloats(d.src.elements(), 12);
  const Floats gamma = {1.5f, -0.7f};
  const Floats beta = {0.1f, 0.2f};
  const Floats diff_dst = RandomFloats(d.src.elements(), 4);
  auto forward = [&](const Floats& s, const Floats& g, const Floats& b) {
    OpRunner runner(backend, backend.BatchnormForward(d, {}));
    runner.Set("src", s).Set("gamma", g).Set("beta", b).Run();
    return runner;
  };
  const OpRunner at = forward(src, gamma, beta);
  OpRunner backward(backend, backend.BatchnormBackward(d, {}, {}));
  backward.Set("src", src).Set("gamma", gamma).Set("diff_dst", diff_dst);
  backward.Set("mean", at.Get("mean")).Set("variance", at.Get("variance"));
  if (relu) backward.SetBytes("workspace", at.memory("workspace"));
  backward.Run();
  ExpectGradient([&](const Floats& x) { return forward(x, gamma, beta).Get("dst"); }, src, diff_dst,
                 backward.Get("diff_src"), 5e-3);
  ExpectGradient([&](const Floats& x) { return forward(src, x, beta).Get("dst"); }, gamma, diff_dst,
                 backward.Get("diff_gamma"));
  ExpectGradient([&](const Floats& x) { return forward(src, gamma, x).Get("dst"); }, beta, diff_dst,
                 backward.Get("diff_beta"));
}

TEST_F(GradientTest, Batchnorm) { ExpectBatchnormGradient(*backend_, false); }

TEST_F(GradientTest, BatchnormRelu) { ExpectBatchnormGradient(*backend_, true); }

TEST_F(GradientTest, Pool) {
  for (PoolDesc::Kind kind : {PoolDesc::Kind::kMax, PoolDesc::Kind::kAverage}) {
    const PoolDesc d{.kind = kind,
                     .src = {2, 2, 5, 4},
                     .kernel_height = 3,
                     .kernel_width = 2,
                     .stride_height = 2,
                     .stride_width = 1,
                     .pad_top = 1,
                     .pad_left = 1,
                     .pad_bottom = 2,
                     .pad_right = 0};
    // Distinct values further apart than a step, so that no maximum changes hands.
    Floats src(static_cast<size_t>(d.src.elements()));
    for (size_t i = 0; i < src.size(); ++i) src[i] = 0.1f * static_cast<float>(i * 37 % 80);
    const Floats diff_dst = RandomFloats(d.dst_shape().elements(), 4);
    auto forward = [&](const Floats& s) {
      OpRunner runner(*backend_, backend_->PoolForward(d, {}, true));
      runner.Set("src", s).Run();
      return runner;
    };
    OpRunner backward(*backend_, backend_->PoolBackward(d, {}, {}));
    if (kind == PoolDesc::Kind::kMax) {
      backward.SetBytes("workspace", forward(src).memory("workspace"));
    }
    backward.Set("diff_dst", diff_dst).Run();
    ExpectGradient([&](const Floats& x) { return forward(x).Get("dst"); }, src, diff_dst,
                   backward.Get("diff_src"));
  }
}

TEST_F(GradientTest, Activation) {
  const Layout layout(Shape{3, 8});
  Floats src = RandomFloats(24, 1);
  for (float& value : src) value += value > 0 ? 0.1f : -0.1f;  // away from the kink
  const Floats diff_dst = RandomFloats(24, 2);
  for (Activation activation : {Activation::kNone, Activation::kRelu, Activation::kLeakyRelu}) {
    const ActivationDesc d{activation, 0.2f};
    auto forward = [&](const Floats& s) {
      OpRunner runner(*backend_, backend_->ActivationForward(d, layout));
      return runner.Set("src", s).Run().Get("dst");
    };
    OpRunner backward(*backend_, backend_->ActivationBackward(d, layout));
    backward.Set("dst", forward(src)).Set("diff_dst", diff_dst).Run();
    ExpectGradient(forward, src, diff_dst, backward.Get("diff_src"));
  }
}

}  // namespace
}  // namespace weft::kernel
