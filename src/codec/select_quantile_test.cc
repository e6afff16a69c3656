#include "codec/select_quantile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace weft::codec {
namespace {

constexpr size_t kValues = 300000;

std::vector<float> HeavyTailed(uint64_t seed, size_t n) {
  base::Rng rng(seed);
  std::vector<float> values(n);
  for (float& value : values) {
    value = static_cast<float>(rng.NextNormal() * std::exp2(rng.NextUniform(-6, 0)));
  }
  return values;
}

Threshold Find(const std::vector<float>& values, size_t k, float last) {
  std::vector<float> sample(kSampleValues);
  return FindThreshold({values, {}}, k, last, 7, sample);
}

double RatioAt(const std::vector<float>& values, size_t k, const Threshold& threshold) {
  return static_cast<double>(CountAbove({values, {}}, threshold.value)) / static_cast<double>(k);
}

TEST(SelectQuantile, CountIsWithinTheFactor) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const std::vector<float> values = HeavyTailed(seed, kValues);
    for (const double density : {0.0001, 0.001, 0.01, 0.1, 0.5}) {
      const auto k = static_cast<size_t>(density * kValues);
      const Threshold threshold = Find(values, k, -1);
      const double ratio = RatioAt(values, k, threshold);
      EXPECT_GE(ratio * kCountFactor, 1) << density;
      EXPECT_LE(ratio, kCountFactor) << density;
    }
  }
}

TEST(SelectQuantile, AThresholdLastsWhileItSelectsAboutAsMany) {
  const size_t k = kValues / 1000;
  const Threshold first = Find(HeavyTailed(1, kValues), k, -1);
  EXPECT_TRUE(first.estimated);
  std::vector<float> next = HeavyTailed(2, kValues);
  const Threshold kept = Find(next, k, first.value);
  EXPECT_FALSE(kept.estimated);
  EXPECT_EQ(kept.value, first.value);
  EXPECT_EQ(kept.passes, 1u);
  for (float& value : next) value *= 2;
  const Threshold moved = Find(next, k, first.value);
  EXPECT_TRUE(moved.estimated);
  EXPECT_NEAR(RatioAt(next, k, moved), 1, kCountFactor - 1);
}

TEST(SelectQuantile, FewValuesAreCountedExactly) {
  const std::vector<float> values = HeavyTailed(3, 1000);
  for (const size_t k : {1, 2, 10, 999, 1000}) {
    EXPECT_EQ(CountAbove({values, {}}, Find(values, k, -1).value), k);
  }
}

TEST(SelectQuantile, EqualMagnitudesPassTogetherAndZerosNever) {
  const std::vector<float> equal(kValues, -0.5f);
  EXPECT_EQ(CountAbove({equal, {}}, Find(equal, 100, -1).value), kValues);
  const std::vector<float> zeros(kValues, 0.0f);
  EXPECT_EQ(CountAbove({zeros, {}}, Find(zeros, 100, -1).value), 0u);
  // So few that no sample may see them.
  std::vector<float> rare(kValues, 0.0f);
  for (size_t i = 0; i < 20; ++i) rare[i * 14001] = 1.0f;
  EXPECT_EQ(CountAbove({rare, {}}, Find(rare, 20, -1).value), 20u);
}

TEST(SelectQuantile, SumsAreTakenAsTheyAre) {
  std::vector<float> values = HeavyTailed(4, kValues);
  std::vector<float> sums = values;
  std::vector<float> residual = HeavyTailed(5, kValues);
  for (size_t i = 0; i < kValues; ++i) sums[i] += residual[i];
  std::vector<float> sample(kSampleValues);
  const Threshold of_both = FindThreshold({values, residual}, 300, -1, 7, sample);
  EXPECT_EQ(of_both.value, Find(sums, 300, -1).value);
}

}  // namespace
}  // namespace weft::codec
