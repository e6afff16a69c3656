#include "data/order.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace weft::data {
namespace {

std::vector<int64_t> All(const EpochOrder& order) {
  std::vector<int64_t> samples;
  for (int64_t at = 0; at < order.size(); ++at) samples.push_back(order[at]);
  return samples;
}

TEST(EpochOrder, IsAPermutation) {
  for (const int64_t n : {1, 2, 3, 4, 5, 10, 16, 17, 1000, 60000}) {
    const EpochOrder order(3, 1, n);
    std::vector<bool> seen(static_cast<size_t>(n));
    for (const int64_t sample : All(order)) {
      ASSERT_TRUE(sample >= 0 && sample < n) << n;
      ASSERT_FALSE(seen[static_cast<size_t>(sample)]) << sample << " twice of " << n;
      seen[static_cast<size_t>(sample)] = true;
    }
  }
}

TEST(EpochOrder, IsAPureFunctionOfSeedAndEpoch) {
  const std::vector<int64_t> order = All(EpochOrder(3, 1, 1000));
  EXPECT_EQ(order, All(EpochOrder(3, 1, 1000)));
  EXPECT_NE(order, All(EpochOrder(3, 2, 1000)));
  EXPECT_NE(order, All(EpochOrder(4, 1, 1000)));
}

// Devices of other builds and versions must agree on it, and a resumed run with its past.
TEST(EpochOrder, NeverChanges) {
  EXPECT_EQ(All(EpochOrder(1, 0, 8)), (std::vector<int64_t>{7, 1, 0, 3, 6, 2, 5, 4}));
}

TEST(EpochOrder, WithoutShuffleIsTheIdentity) {
  const EpochOrder order(3, 1, 100, false);
  for (int64_t at = 0; at < 100; ++at) EXPECT_EQ(order[at], at);
}

TEST(EpochOrder, HoldsVeryLargeSets) {
  constexpr int64_t kSize = int64_t{1} << 40;
  const EpochOrder order(1, 1, kSize);
  EXPECT_TRUE(order[kSize - 1] >= 0 && order[kSize - 1] < kSize);
  EXPECT_NE(order[0], order[kSize - 1]);
}

// Over many epochs each sample comes to each position about as often.
TEST(EpochOrder, SpreadsSamplesOverPositions) {
  constexpr int64_t kSize = 10;
  constexpr int kEpochs = 10000;
  std::vector<double> counts(kSize * kSize);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const EpochOrder order(5, epoch, kSize);
    for (int64_t at = 0; at < kSize; ++at) ++counts[at * kSize + order[at]];
  }
  constexpr double kExpected = static_cast<double>(kEpochs) / kSize;
  double chi_square = 0;
  for (const double count : counts) chi_square += std::pow(count - kExpected, 2) / kExpected;
  EXPECT_LT(chi_square, 150);  // 81 degrees of freedom: one in 200,000 lies above
}

// In one large epoch the first tenth of the positions draws from all over the set.
TEST(EpochOrder, SpreadsOneEpoch) {
  const EpochOrder order(5, 0, 60000);
  std::vector<double> counts(10);
  for (int64_t at = 0; at < 6000; ++at) ++counts[static_cast<size_t>(order[at] / 6000)];
  double chi_square = 0;
  for (const double count : counts) chi_square += std::pow(count - 600, 2) / 600;
  EXPECT_LT(chi_square, 35);  // 9 degrees of freedom
}

}  // namespace
}  // namespace weft::data
