// Fast updates against their plain twins, and both against the formulas at known values.

#include "kernel/update.h"

#include <gtest/gtest.h>

#include "kernel/test_runner.h"
#include "kernel/update_reference.h"

namespace weft::kernel {
namespace {

const size_t kSizes[] = {0, 1, 7, 8, 31, 1000, 150063};

struct State {
  explicit State(size_t n)
      : weights(RandomFloats(static_cast<int64_t>(n), 1)), first(n), second(n) {}
  Floats weights, first, second;
};

Floats Gradient(size_t n, int64_t step) {
  return RandomFloats(static_cast<int64_t>(n), 100 + static_cast<uint64_t>(step), 0.3);
}

void ExpectNear(const Floats& got, const Floats& want) {
  ASSERT_EQ(got.size(), want.size());
  if (!want.empty()) {
    EXPECT_LT(WorstDeviation(got, want), 1e-6);
  }
}

TEST(SgdTest, KnownValues) {
  Floats weights = {1}, velocity = {0.5f};
  const SgdOptions options{.lr = 0.1f, .momentum = 0.5f, .weight_decay = 0.2f};
  SgdUpdate(options, Floats{2}, weights, velocity);  // g = 2.2, v = 2.45
  EXPECT_FLOAT_EQ(velocity[0], 2.45f);
  EXPECT_FLOAT_EQ(weights[0], 0.755f);
  SgdOptions nesterov = options;
  nesterov.nesterov = true;
  weights = {1}, velocity = {0.5f};
  SgdUpdate(nesterov, Floats{2}, weights, velocity);  // g + 0.5 v = 3.425
  EXPECT_FLOAT_EQ(weights[0], 0.6575f);
}

TEST(SgdTest, TwinsAgree) {
  for (size_t n : kSizes) {
    for (const SgdOptions& options :
         {SgdOptions{.lr = 0.1f}, SgdOptions{.lr = 0.1f, .momentum = 0.9f},
          SgdOptions{.lr = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f, .nesterov = true}}) {
      State fast(n), slow(n);
      for (int64_t step = 1; step <= 3; ++step) {
        const Floats grad = Gradient(n, step);
        SgdUpdate(options, grad, fast.weights, fast.first);
        reference::SgdUpdate(options, grad, slow.weights, slow.first);
      }
      ExpectNear(fast.weights, slow.weights);
      if (options.momentum != 0) ExpectNear(fast.first, slow.first);
    }
  }
}

TEST(SgdTest, NoMomentumNeedsNoVelocity) {
  Floats weights = {1, 2};
  SgdUpdate({.lr = 0.5f}, Floats{1, 1}, weights, {});
  EXPECT_EQ(weights, (Floats{0.5f, 1.5f}));
}

// At the first step the corrections cancel: w shrinks by lr * decay and moves by lr * sign(g).
TEST(AdamwTest, FirstStepMovesByLearningRate) {
  Floats weights = {2, 2}, first(2), second(2);
  const AdamwOptions options{.lr = 0.1f, .weight_decay = 0.5f, .step = 1};
  AdamwUpdate(options, Floats{3, -1e-3f}, weights, first, second);
  EXPECT_NEAR(weights[0], 1.9f - 0.1f, 1e-6);
  EXPECT_NEAR(weights[1], 1.9f + 0.1f, 2e-6);
}

TEST(AdamwTest, TwinsAgree) {
  for (size_t n : kSizes) {
    State fast(n), slow(n);
    for (int64_t step = 1; step <= 5; ++step) {
      const AdamwOptions options{.lr = 0.01f, .weight_decay = 0.05f, .step = step};
      const Floats grad = Gradient(n, step);
      AdamwUpdate(options, grad, fast.weights, fast.first, fast.second);
      reference::AdamwUpdate(options, grad, slow.weights, slow.first, slow.second);
    }
    ExpectNear(fast.weights, slow.weights);
    ExpectNear(fast.first, slow.first);
    ExpectNear(fast.second, slow.second);
  }
}

TEST(UpdateTest, VectorLoopsMatchTheirTwins) {
  for (size_t n : kSizes) {
    const Floats x = RandomFloats(static_cast<int64_t>(n), 1);
    Floats fast = RandomFloats(static_cast<int64_t>(n), 2), slow = fast;
    Axpy(0.7f, x, fast);
    reference::Axpy(0.7f, x, slow);
    Scale(-1.3f, fast);
    reference::Scale(-1.3f, slow);
    ExpectNear(fast, slow);
    EXPECT_NEAR(Norm(x), reference::Norm(x), 1e-12 * (1 + reference::Norm(x)));
  }
}

TEST(UpdateTest, PartsAndThreadsChangeNoBit) {
  constexpr size_t kSize = 150063, kCut = 70001;
  const Floats grad = Gradient(kSize, 1);
  State whole(kSize), parts(kSize), threads(kSize);
  const AdamwOptions options{.weight_decay = 0.1f, .step = 2};
  AdamwUpdate(options, grad, whole.weights, whole.first, whole.second);
  AdamwUpdate(options, grad, threads.weights, threads.first, threads.second, 2);
  EXPECT_EQ(threads.weights, whole.weights);
  const std::span<float> w(parts.weights), m(parts.first), v(parts.second);
  const std::span<const float> g(grad);
  AdamwUpdate(options, g.first(kCut), w.first(kCut), m.first(kCut), v.first(kCut));
  AdamwUpdate(options, g.subspan(kCut), w.subspan(kCut), m.subspan(kCut), v.subspan(kCut));
  EXPECT_EQ(parts.weights, whole.weights);
}

TEST(UpdateTest, AllFiniteFindsOneBadValueAnywhere) {
  for (size_t n : {1, 7, 8, 31, 1000}) {
    Floats x = RandomFloats(static_cast<int64_t>(n), 1, 1e30);
    EXPECT_TRUE(AllFinite(x));
    for (float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
      for (size_t i = 0; i < n; ++i) {
        Floats y = x;
        y[i] = bad;
        EXPECT_FALSE(AllFinite(y)) << i << " of " << n;
        EXPECT_FALSE(reference::AllFinite(y));
      }
    }
  }
  EXPECT_TRUE(AllFinite({}));
}

}  // namespace
}  // namespace weft::kernel
