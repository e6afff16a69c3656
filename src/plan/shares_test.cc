#include "plan/shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/rng.h"

namespace weft::plan {
namespace {

using testing::ElementsAre;

TEST(Shares, EqualOnesDifferByAtMostOne) {
  EXPECT_THAT(EqualShares(128, 4), ElementsAre(32, 32, 32, 32));
  EXPECT_THAT(EqualShares(10, 4), ElementsAre(3, 3, 2, 2));
  EXPECT_THAT(EqualShares(2, 3), ElementsAre(1, 1, 0));
}

TEST(Shares, AFullBatchGetsTheWeightsThemselves) {
  EXPECT_THAT(ProportionalShares(128, std::vector<double>{7, 40, 11, 70}),
              ElementsAre(7, 40, 11, 70));
}

TEST(Shares, AShortBatchIsScaled) {
  EXPECT_THAT(ProportionalShares(64, std::vector<double>{7, 40, 11, 70}),
              ElementsAre(4, 20, 5, 35));
  EXPECT_THAT(ProportionalShares(1, std::vector<double>{7, 40, 11, 70}), ElementsAre(0, 0, 0, 1));
}

TEST(Shares, SumIsExactAndEachShareIsNearItsQuota) {
  base::Rng rng(3);
  for (int round = 0; round < 500; ++round) {
    std::vector<double> weights(1 + rng.NextBelow(20));
    for (double& weight : weights) weight = rng.NextBelow(5) == 0 ? 0 : rng.NextUniform();
    weights[rng.NextBelow(weights.size())] = 0.5;
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    const auto total = static_cast<int64_t>(rng.NextBelow(1000));
    const std::vector<int64_t> shares = ProportionalShares(total, weights);
    ASSERT_EQ(std::accumulate(shares.begin(), shares.end(), int64_t{0}), total);
    for (size_t i = 0; i < shares.size(); ++i) {
      ASSERT_GE(shares[i], 0);
      ASSERT_LT(std::fabs(static_cast<double>(shares[i]) - total * weights[i] / sum), 1.0001);
    }
  }
}

}  // namespace
}  // namespace weft::plan
