#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "aggregate/aggregator.h"

namespace weft::aggregate {
namespace {

using testing::ElementsAre;

std::vector<float> Joined(const AggregatorOptions& options,
                          const std::vector<std::vector<float>>& gradients) {
  const auto aggregator = MakeAggregator(options);
  aggregator->Begin(static_cast<int64_t>(gradients.size()), 100);
  for (size_t i = 0; i < gradients.size(); ++i) {
    EXPECT_FALSE(aggregator->Ready());
    EXPECT_TRUE(aggregator->Add({static_cast<int64_t>(i), 5, gradients[i]}).ok());
  }
  EXPECT_TRUE(aggregator->Ready());
  const auto out = aggregator->Finish();
  return {out.begin(), out.end()};
}

TEST(RobustAggregator, AHostileUpdateDoesNotMoveTheMedian) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_THAT(Joined({.count = 2, .combine = Combine::kMedian}, {{1, 10}, {inf, -inf}, {2, 11}}),
              ElementsAre(2, 10));
}

TEST(RobustAggregator, TheTrimmedMeanLeavesOutBothEnds) {
  EXPECT_THAT(Joined({.count = 1, .combine = Combine::kTrimmedMean, .trim = 0.2},
                     {{1}, {-1e9f}, {2}, {1e9f}, {6}}),
              ElementsAre(3));
}

TEST(RobustAggregator, JoinsWhatHasComeAndForgetsItAtTheNextStep) {
  const auto aggregator = MakeAggregator({.count = 1, .combine = Combine::kMedian});
  for (const float shift : {0.0f, 5.0f}) {
    aggregator->Begin(4, 100);
    for (int64_t slot : {3, 0}) {
      const std::vector<float> gradient = {shift + static_cast<float>(slot)};
      ASSERT_TRUE(aggregator->Add({slot, 5, gradient}).ok());
      EXPECT_EQ(aggregator->Add({slot, 5, gradient}).code(), Code::kAlreadyExists);
    }
    EXPECT_EQ(aggregator->samples(), 10);
    EXPECT_THAT(aggregator->Added(), ElementsAre(0, 3));
    EXPECT_THAT(aggregator->Finish(), ElementsAre(shift + 1.5f));
  }
}

TEST(RobustAggregator, WeightsAreOfGradientsNotOfStatistics) {
  const auto aggregator =
      MakeAggregator({.count = 2, .statistics = 1, .combine = Combine::kMedian});
  aggregator->Begin(1, 4);
  const std::vector<float> gradient = {8, 8};
  ASSERT_TRUE(
      aggregator->Add({.slot = 0, .samples = 4, .gradient = gradient, .weight = 0.25}).ok());
  EXPECT_THAT(aggregator->Finish(), ElementsAre(2, 8));
}

}  // namespace
}  // namespace weft::aggregate
