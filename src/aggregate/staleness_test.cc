#include "aggregate/staleness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::aggregate {
namespace {

TEST(StalenessWeight, FallsAsAPower) {
  EXPECT_EQ(StalenessWeight(-2, 0.5), 1);
  EXPECT_EQ(StalenessWeight(0, 0.5), 1);
  EXPECT_EQ(StalenessWeight(1, 0.5), 1);
  EXPECT_NEAR(StalenessWeight(4, 0.5), 0.5, 1e-12);
  EXPECT_NEAR(StalenessWeight(4, 1), 0.25, 1e-12);
  EXPECT_EQ(StalenessWeight(100, 0), 1);
}

// Of the loss w - ln w the gradient is 1 - 1/w. Near w = 0.5 its squared gradient and its Hessian
// are 1 and 4, so lambda = 4 is the right one there.
TEST(DelayCompensate, BringsTheGradientUpToDate) {
  const auto gradient = [](float w) { return 1 - 1 / w; };
  const float base = 0.5f, now = 0.55f;
  std::vector<float> g = {gradient(base)};
  DelayCompensate(g, std::vector<float>{now}, std::vector<float>{base}, 4);
  EXPECT_NEAR(g[0], gradient(now), 0.02);
  EXPECT_GT(std::abs(gradient(base) - gradient(now)), 0.15);
}

TEST(DelayCompensate, NothingWithoutLambdaOrWithoutDelay) {
  std::vector<float> g = {2, 3};
  DelayCompensate(g, std::vector<float>{1, 1}, std::vector<float>{5, 5}, 0);
  EXPECT_THAT(g, testing::ElementsAre(2, 3));
  DelayCompensate(g, std::vector<float>{1, 1}, std::vector<float>{1, 1}, 7);
  EXPECT_THAT(g, testing::ElementsAre(2, 3));
}

}  // namespace
}  // namespace weft::aggregate
