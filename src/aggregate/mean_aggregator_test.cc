#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "aggregate/aggregator.h"
#include "base/rng.h"

namespace weft::aggregate {
namespace {

constexpr int64_t kN = 1003;  // not a multiple of any vector width

std::vector<float> RandomGradient(uint64_t seed) {
  base::Rng rng(seed);
  std::vector<float> gradient(kN);
  for (float& value : gradient) value = static_cast<float>(rng.NextNormal());
  return gradient;
}

// The gradients of 7, 40, 11 and 70 samples, and what they combine to.
struct Parts {
  std::vector<int64_t> samples = {7, 40, 11, 70};
  std::vector<std::vector<float>> gradients;
  std::vector<double> mean = std::vector<double>(kN, 0.0);

  Parts() {
    for (size_t slot = 0; slot < samples.size(); ++slot) {
      gradients.push_back(RandomGradient(slot + 1));
      for (size_t i = 0; i < mean.size(); ++i) {
        mean[i] += static_cast<double>(gradients[slot][i]) * samples[slot] / 128.0;
      }
    }
  }
  Contribution At(int64_t slot) const {
    const auto at = static_cast<size_t>(slot);
    return {slot, samples[at], gradients[at]};
  }
};

std::vector<float> Combine(const Parts& parts, const std::vector<int64_t>& order, bool ordered) {
  const auto aggregator = MakeAggregator({.count = kN, .ordered = ordered});
  aggregator->Begin(4, 128);
  for (int64_t slot : order) {
    EXPECT_FALSE(aggregator->Ready());
    EXPECT_TRUE(aggregator->Add(parts.At(slot)).ok());
  }
  EXPECT_TRUE(aggregator->Ready());
  const auto sum = aggregator->Finish();
  return {sum.begin(), sum.end()};
}

TEST(MeanAggregator, UnequalPartsGiveTheMeanOfTheWhole) {
  const Parts parts;
  for (bool ordered : {true, false}) {
    const std::vector<float> sum = Combine(parts, {2, 0, 3, 1}, ordered);
    for (size_t i = 0; i < sum.size(); ++i) ASSERT_NEAR(sum[i], parts.mean[i], 1e-6);
  }
}

TEST(MeanAggregator, OneWholeIsExact) {
  const std::vector<float> gradient = RandomGradient(3);
  const auto aggregator = MakeAggregator({.count = kN, .ordered = true});
  aggregator->Begin(1, 128);
  ASSERT_TRUE(aggregator->Add({0, 128, gradient}).ok());
  EXPECT_TRUE(std::ranges::equal(aggregator->Finish(), gradient));
}

TEST(MeanAggregator, OrderedSumIsBitEqualForEveryOrderOfArrival) {
  const Parts parts;
  std::vector<int64_t> order = {0, 1, 2, 3};
  const std::vector<float> want = Combine(parts, order, true);
  bool unordered_differs = false;
  do {
    ASSERT_EQ(Combine(parts, order, true), want);
    unordered_differs |= Combine(parts, order, false) != want;
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_TRUE(unordered_differs) << "the inputs are too tame to show that order matters";
}

TEST(MeanAggregator, ASlotCountsOnce) {
  const Parts parts;
  for (bool ordered : {true, false}) {
    const auto aggregator = MakeAggregator({.count = kN, .ordered = ordered});
    aggregator->Begin(4, 128);
    for (int64_t slot : {1, 3, 0}) {
      ASSERT_TRUE(aggregator->Add(parts.At(slot)).ok());
      EXPECT_EQ(aggregator->Add(parts.At(slot)).code(), Code::kAlreadyExists);
    }
    EXPECT_THAT(aggregator->Added(), testing::ElementsAre(0, 1, 3));
    EXPECT_FALSE(aggregator->Ready());
    ASSERT_TRUE(aggregator->Add(parts.At(2)).ok());
    EXPECT_NEAR(aggregator->Finish()[17], parts.mean[17], 1e-6);
  }
}

TEST(MeanAggregator, ASumOfSeveralSlotsIsAsGoodAsThey) {
  const Parts parts;
  std::vector<float> joint(kN);
  for (size_t i = 0; i < joint.size(); ++i) {
    joint[i] = (7 * parts.gradients[0][i] + 70 * parts.gradients[3][i]) / 77;
  }
  const std::vector<int64_t> more = {3};
  const Contribution both{.slot = 0, .samples = 77, .gradient = joint, .more = more};
  const auto aggregator = MakeAggregator({.count = kN});
  aggregator->Begin(4, 128);
  ASSERT_TRUE(aggregator->Add(parts.At(1)).ok());
  ASSERT_TRUE(aggregator->Add(both).ok());
  EXPECT_EQ(aggregator->Add(both).code(), Code::kAlreadyExists);
  EXPECT_EQ(aggregator->Add(parts.At(3)).code(), Code::kAlreadyExists);
  EXPECT_THAT(aggregator->Added(), ::testing::ElementsAre(0, 1, 3));
  ASSERT_TRUE(aggregator->Add(parts.At(2)).ok());
  ASSERT_TRUE(aggregator->Ready());
  const auto sum = aggregator->Finish();
  for (size_t i = 0; i < sum.size(); ++i) ASSERT_NEAR(sum[i], parts.mean[i], 1e-6);
}

TEST(MeanAggregator, ASumOfSeveralSlotsIsRefusedWhereEachMatters) {
  const std::vector<float> gradient(kN, 1.0f);
  const std::vector<int64_t> more = {1}, twice = {0};
  for (const AggregatorOptions& options :
       {AggregatorOptions{.count = kN, .ordered = true},
        AggregatorOptions{.count = kN, .combine = Combine::kMedian}}) {
    const auto aggregator = MakeAggregator(options);
    aggregator->Begin(2, 8);
    EXPECT_EQ(aggregator->Add({.slot = 0, .samples = 8, .gradient = gradient, .more = more}).code(),
              Code::kInvalidArgument);
    EXPECT_THAT(aggregator->Added(), ::testing::IsEmpty());
  }
  const auto aggregator = MakeAggregator({.count = kN});
  aggregator->Begin(2, 8);
  EXPECT_EQ(aggregator->Add({.slot = 0, .samples = 8, .gradient = gradient, .more = twice}).code(),
            Code::kInvalidArgument);
  EXPECT_FALSE(aggregator->Ready());
}

TEST(MeanAggregator, WrongContributionsAreRefusedAndChangeNothing) {
  const Parts parts;
  const auto aggregator = MakeAggregator({.count = kN, .ordered = true});
  aggregator->Begin(4, 128);
  const std::vector<float> shorter(kN - 1);
  EXPECT_EQ(aggregator->Add({4, 1, parts.gradients[0]}).code(), Code::kInvalidArgument);
  EXPECT_EQ(aggregator->Add({-1, 1, parts.gradients[0]}).code(), Code::kInvalidArgument);
  EXPECT_EQ(aggregator->Add({0, 0, parts.gradients[0]}).code(), Code::kInvalidArgument);
  EXPECT_EQ(aggregator->Add({0, 129, parts.gradients[0]}).code(), Code::kInvalidArgument);
  EXPECT_EQ(aggregator->Add({0, 7, shorter}).code(), Code::kInvalidArgument);
  EXPECT_TRUE(aggregator->Added().empty());
}

TEST(MeanAggregator, StepsDoNotLeakIntoEachOther) {
  const Parts parts;
  const auto aggregator = MakeAggregator({.count = kN, .ordered = true});
  aggregator->Begin(4, 128);
  ASSERT_TRUE(aggregator->Add(parts.At(3)).ok());  // an abandoned step with an early arrival
  const std::vector<float> want = Combine(parts, {0, 1, 2, 3}, true);
  for (int step = 0; step < 3; ++step) {
    aggregator->Begin(4, 128);
    EXPECT_FALSE(aggregator->Ready());
    for (int64_t slot : {3, 2, 1, 0}) ASSERT_TRUE(aggregator->Add(parts.At(slot)).ok());
    EXPECT_TRUE(std::ranges::equal(aggregator->Finish(), want));
  }
}

// A quorum: what came is normalised by the samples that came.
TEST(MeanAggregator, AnUnfinishedStepIsTheMeanOfWhatCame) {
  const Parts parts;
  for (bool ordered : {true, false}) {
    const auto aggregator = MakeAggregator({.count = kN, .ordered = ordered});
    aggregator->Begin(4, 128);
    for (int64_t slot : {3, 1}) ASSERT_TRUE(aggregator->Add(parts.At(slot)).ok());
    EXPECT_EQ(aggregator->samples(), 110);
    const auto mean = aggregator->Finish();
    for (size_t i = 0; i < mean.size(); ++i) {
      const double want = (40.0 * static_cast<double>(parts.gradients[1][i]) +
                           70.0 * static_cast<double>(parts.gradients[3][i])) /
                          110;
      ASSERT_NEAR(mean[i], want, 1e-6);
    }
    aggregator->Begin(4, 128);  // nothing of it is left
    for (int64_t slot : {0, 1, 2, 3}) ASSERT_TRUE(aggregator->Add(parts.At(slot)).ok());
    EXPECT_NEAR(aggregator->Finish()[17], parts.mean[17], 1e-6);
  }
}

// Stale gradients weigh less; what was measured beside them must not shrink for that.
TEST(MeanAggregator, WeightsShrinkGradientsAndShiftStatistics) {
  for (bool ordered : {true, false}) {
    const auto aggregator = MakeAggregator({.count = 2, .statistics = 1, .ordered = ordered});
    aggregator->Begin(2, 4);
    const std::vector<float> fresh = {1, 1}, stale = {8, 8};
    const Contribution late{.slot = 1, .samples = 2, .gradient = stale, .weight = 0.5};
    ASSERT_TRUE(aggregator->Add(late).ok());
    ASSERT_TRUE(aggregator->Add({0, 2, fresh}).ok());
    const auto mean = aggregator->Finish();
    EXPECT_NEAR(mean[0], (2 * 1 + 0.5 * 2 * 8) / 4, 1e-6);
    EXPECT_NEAR(mean[1], (2 * 1 + 0.5 * 2 * 8) / 3, 1e-6);
    aggregator->Begin(1, 4);
    EXPECT_FALSE(aggregator->Add({.samples = 4, .gradient = fresh, .weight = 0}).ok());
    EXPECT_FALSE(aggregator->Add({.samples = 4, .gradient = fresh, .weight = NAN}).ok());
  }
}

}  // namespace
}  // namespace weft::aggregate
