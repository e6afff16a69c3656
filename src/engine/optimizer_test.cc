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

TEST(Optimizer, Names) {
  for (const std::string& name : OptimizerNames()) EXPECT_TRUE(OptimizerFromName(name).ok());
  EXPECT_THAT(OptimizerFromName("adam").status().message(), HasSubstr("did you mean \"adamw\""));
}

}  // namespace
}  // namespace weft::engine
