#include "engine/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace weft::engine {
namespace {

using Kind = OptimizerOptions::Kind;
using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;

TEST(Optimizer, PlainSgdGoesDownTheGradient) {
  Optimizer optimizer({.kind = Kind::kSgd}, 2, {});
  std::vector<float> w = {1, 2};
  optimizer.Apply(0.5, std::vector<float>{2, -1}, w);
  EXPECT_THAT(w, ElementsAre(0, 2.5));
  EXPECT_TRUE(optimizer.state().moments.empty());
}

// v1 = 1, w = -0.1; v2 = 0.9 + 1 = 1.9, w = -0.29.
TEST(Optimizer, SgdMomentumByHand) {
  Optimizer optimizer({.kind = Kind::kSgd, .momentum = 0.9}, 1, {});
  std::vector<float> w = {0};
  const std::vector<float> g = {1};
  optimizer.Apply(0.1, g, w);
  EXPECT_NEAR(w[0], -0.1, 1e-7);
  optimizer.Apply(0.1, g, w);
  EXPECT_NEAR(w[0], -0.29, 1e-7);
  EXPECT_EQ(optimizer.state().steps, 2);
}

// g = 1 + 0.5 * 2 = 2; v = 2; w = 2 - 0.1 * (2 + 0.9 * 2).
TEST(Optimizer, NesterovAndDecayByHand) {
  Optimizer optimizer({.momentum = 0.9, .nesterov = true, .weight_decay = 0.5}, 1, {});
  std::vector<float> w = {2};
  optimizer.Apply(0.1, std::vector<float>{1}, w);
  EXPECT_NEAR(w[0], 2 - 0.1 * 3.8, 1e-6);
}

// The first step of Adam has size lr whatever the gradient's size; decay is apart from it.
TEST(Optimizer, AdamwByHand) {
  Optimizer optimizer({.kind = Kind::kAdamw, .weight_decay = 0.1}, 2, {});
  std::vector<float> w = {1, 1};
  optimizer.Apply(0.01, std::vector<float>{100, -0.001f}, w);
  EXPECT_NEAR(w[0], 1 - 0.01 - 0.01 * 0.1, 1e-5);
  EXPECT_NEAR(w[1], 1 + 0.01 - 0.01 * 0.1, 1e-5);
}

TEST(Optimizer, StatisticsFollowWhatWasMeasured) {
  Optimizer optimizer({}, 1, {{1, 2, 0.1}, {3, 1, 0.5}});
  EXPECT_EQ(optimizer.size(), 4);
  std::vector<float> parameters = {0, 1, 2, 4};
  optimizer.Apply(1.0, std::vector<float>{0, 11, 12, 8}, parameters);
  EXPECT_THAT(parameters, ElementsAre(0, FloatNear(2, 1e-6f), FloatNear(3, 1e-6f), 6));
}

TEST(Optimizer, RestoredStateGoesOnBitForBit) {
  for (const OptimizerOptions& options :
       {OptimizerOptions{.momentum = 0.9, .nesterov = true}, {.kind = Kind::kAdamw}}) {
    const std::vector<float> g = {0.3f, -0.7f, 0.11f};
    Optimizer whole(options, 3, {}), first(options, 3, {}), second(options, 3, {});
    std::vector<float> w(3, 1.0f), v(3, 1.0f);
    for (int i = 0; i < 6; ++i) whole.Apply(0.01, g, w);
    for (int i = 0; i < 3; ++i) first.Apply(0.01, g, v);
    ASSERT_TRUE(second.Restore(first.state()).ok());
    for (int i = 0; i < 3; ++i) second.Apply(0.01, g, v);
    EXPECT_EQ(v, w);
    EXPECT_EQ(second.state(), whole.state());
  }
}

TEST(Optimizer, StateOfAnotherOptimizerOrModelIsRefused) {
  Optimizer sgd({.momentum = 0.9}, 3, {}), adamw({.kind = Kind::kAdamw}, 3, {}),
      larger({.momentum = 0.9}, 4, {});
  EXPECT_EQ(sgd.Restore(adamw.state()).code(), Code::kDataLoss);
  EXPECT_THAT(sgd.Restore(larger.state()).message(),
              HasSubstr("got velocity of 4 values, want velocity of 3"));
  EXPECT_EQ(sgd.state().steps, 0);
}

// ---- updates of a fraction of a batch

// How far one gradient of 1 has moved a weight, after `rest` updates more that bring nothing.
double Moved(const OptimizerOptions& options, double fraction, int rest) {
  Optimizer optimizer(options, 1, {});
  std::vector<float> w = {0};
  optimizer.Apply(0.1, std::vector<float>{1}, w, {.fraction = fraction});
  for (int i = 0; i < rest; ++i)
    optimizer.Apply(0.1, std::vector<float>{0}, w, {.fraction = fraction});
  return -static_cast<double>(w[0]);
}

TEST(PartOfStep, AFractionOfABatchMovesAsFarInTheEnd) {
  for (const bool nesterov : {false, true}) {
    for (const double momentum : {0.0, 0.5, 0.9}) {
      const OptimizerOptions sgd{.momentum = momentum, .nesterov = nesterov};
      const double whole = Moved(sgd, 1, 300);
      EXPECT_NEAR(whole, 0.1 / (1 - momentum), 1e-5);
      EXPECT_NEAR(Moved(sgd, 0.25, 1200), whole / 4, 1e-5);
      EXPECT_NEAR(Moved(sgd, 0.1, 3000), whole / 10, 1e-5);
    }
  }
}

// Eight workers that push by themselves against one that pushes all: the same descent of a bowl.
TEST(PartOfStep, EightEighthsGoWhereOneBatchGoes) {
  for (const OptimizerOptions& options :
       {OptimizerOptions{}, OptimizerOptions{.momentum = 0.9},
        OptimizerOptions{.momentum = 0.9, .nesterov = true, .weight_decay = 0.01},
        OptimizerOptions{.kind = Kind::kAdamw, .weight_decay = 0.01}}) {
    Optimizer whole(options, 1, {}), parts(options, 1, {});
    std::vector<float> w = {5}, v = {5};
    for (int batch = 0; batch < 100; ++batch) {
      whole.Apply(0.01, std::vector<float>{w[0]}, w);
      for (int i = 0; i < 8; ++i)
        parts.Apply(0.01, std::vector<float>{v[0]}, v, {.fraction = 0.125});
    }
    EXPECT_LT(w[0], 4.6);
    EXPECT_NEAR(v[0], w[0], 0.12) << "momentum " << options.momentum;
    EXPECT_EQ(parts.state().steps, 100);
  }
}

// The correction for the start goes by batches, not by updates, also when fractions change.
TEST(PartOfStep, AdamwKeepsItsStepWhenFractionsChange) {
  Optimizer optimizer({.kind = Kind::kAdamw}, 1, {});
  std::vector<float> w = {0};
  const std::vector<float> g = {3};
  for (int i = 0; i < 50; ++i) optimizer.Apply(0.01, g, w);
  EXPECT_NEAR(w[0], -0.5, 1e-3);
  for (int i = 0; i < 80; ++i) optimizer.Apply(0.01, g, w, {.fraction = 0.125});
  EXPECT_NEAR(w[0], -0.6, 1e-3);
  for (int i = 0; i < 10; ++i) optimizer.Apply(0.01, g, w);
  EXPECT_NEAR(w[0], -0.7, 1e-3);
  EXPECT_EQ(optimizer.state().steps, 70);
}

TEST(PartOfStep, StatisticsGoAsFar) {
  Optimizer whole({}, 0, {{0, 1, 0.1}}), parts({}, 0, {{0, 1, 0.1}});
  std::vector<float> a = {1}, b = {1};
  whole.Apply(1, std::vector<float>{11}, a);
  for (int i = 0; i < 4; ++i) parts.Apply(1, std::vector<float>{11}, b, {.fraction = 0.25});
  EXPECT_NEAR(a[0], 2, 1e-6);
  EXPECT_NEAR(b[0], 2, 1e-5);
}

TEST(PartOfStep, AWholeBatchChangesNoBit) {
  const OptimizerOptions options{.momentum = 0.9, .beta1 = 0.87};
  const PartialStep part = PartOfStep(options, 0.1, 1);
  EXPECT_EQ(part.lr, 0.1);
  EXPECT_EQ(part.options.momentum, options.momentum);
  EXPECT_EQ(part.options.beta1, options.beta1);
}

// Leaders of ranges must come to what one leader of all comes to.
TEST(Optimizer, AStretchOfTheVectorGetsTheBitsOfTheWhole) {
  constexpr size_t kN = 37;
  for (const OptimizerOptions& options :
       {OptimizerOptions{.momentum = 0.9, .nesterov = true, .weight_decay = 0.01},
        OptimizerOptions{.kind = Kind::kAdamw, .weight_decay = 0.01}}) {
    for (size_t cut = 1; cut < kN; ++cut) {
      const auto rest = static_cast<int64_t>(kN - cut);
      Optimizer whole(options, kN, {}), front(options, kN - rest, {}), back(options, rest, {});
      std::vector<float> w(kN), g(kN);
      for (size_t i = 0; i < kN; ++i) w[i] = 0.37f * static_cast<float>(i);
      std::vector<float> v = w;
      for (int step = 0; step < 5; ++step) {
        for (size_t i = 0; i < kN; ++i) g[i] = std::sin(static_cast<float>(i * 7 + step));
        const std::span<float> parts(v);
        const std::span<const float> gradient(g);
        whole.Apply(0.1, g, w);
        front.Apply(0.1, gradient.first(cut), parts.first(cut));
        back.Apply(0.1, gradient.subspan(cut), parts.subspan(cut));
      }
      ASSERT_EQ(v, w) << "cut at " << cut;
    }
  }
}

TEST(Optimizer, Names) {
  for (const std::string& name : OptimizerNames()) EXPECT_TRUE(OptimizerFromName(name).ok());
  EXPECT_THAT(OptimizerFromName("adam").status().message(), HasSubstr("did you mean \"adamw\""));
}

}  // namespace
}  // namespace weft::engine
