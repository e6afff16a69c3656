#include "plan/shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

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

std::vector<Pace> RandomPaces(base::Rng* rng, size_t most_devices) {
  std::vector<Pace> paces(1 + rng->NextBelow(most_devices));
  for (Pace& pace : paces) {
    if (rng->NextBelow(2) == 0) pace.fixed_s = rng->NextUniform();
    pace.per_sample_s = rng->NextBelow(3) == 0 ? 0.05 : rng->NextUniform(0.01, 0.3);
    if (rng->NextBelow(3) == 0) pace.most = 1 + static_cast<int64_t>(rng->NextBelow(9));
  }
  return paces;
}

int64_t Held(std::span<const Pace> paces, int64_t total) {
  int64_t held = 0;
  for (const Pace& pace : paces) held += pace.most > 0 ? std::min(pace.most, total) : total;
  return std::min(held, total);
}

// Gives one sample after the other to whoever is done with it first: the plain form.
double EarliestFinish(int64_t total, std::span<const Pace> paces) {
  std::vector<int64_t> shares(paces.size());
  for (int64_t given = 0; given < total; ++given) {
    size_t best = paces.size();
    for (size_t i = 0; i < paces.size(); ++i) {
      if (paces[i].most > 0 && shares[i] == paces[i].most) continue;
      if (best == paces.size() ||
          paces[i].Seconds(shares[i] + 1) < paces[best].Seconds(shares[best] + 1))
        best = i;
    }
    if (best == paces.size()) break;
    ++shares[best];
  }
  return FinishSeconds(shares, paces);
}

TEST(SharesBySpeed, DevicesFinishTogether) {
  const std::vector<Pace> paces = {{0, 0.1}, {0, 0.2}, {1, 0.1}};
  const SpeedShares result = SharesBySpeed(40, paces);
  EXPECT_THAT(result.shares, ElementsAre(20, 10, 10));
  EXPECT_DOUBLE_EQ(result.finish_s, 2.0);
}

TEST(SharesBySpeed, EqualPacesGetEqualShares) {
  const std::vector<Pace> paces(8, Pace{0.3, 0.07});
  EXPECT_EQ(SharesBySpeed(600, paces).shares, EqualShares(600, 8));
  EXPECT_EQ(SharesBySpeed(603, paces).shares, EqualShares(603, 8));
  EXPECT_EQ(SharesBySpeed(3, paces).shares, EqualShares(3, 8));
}

TEST(SharesBySpeed, OneTooSlowToHelpGetsNone) {
  const std::vector<Pace> paces = {{0, 0.01}, {0, 0.01}, {2, 0.01}};
  EXPECT_THAT(SharesBySpeed(100, paces).shares, ElementsAre(50, 50, 0));
  // Worth its while from 8 samples on, and 4 are all that it would finish in time.
  const std::vector<Pace> slow = {{0, 0.01}, {0, 0.1}};
  EXPECT_THAT(SharesBySpeed(44, slow, 4).shares, ElementsAre(40, 4));
  EXPECT_THAT(SharesBySpeed(44, slow, 8).shares, ElementsAre(44, 0));
}

TEST(SharesBySpeed, NobodyGetsMoreThanItHolds) {
  const std::vector<Pace> paces = {{0, 0.01, 10}, {0, 0.1, 0}, {0, 0.1, 5}};
  EXPECT_THAT(SharesBySpeed(40, paces).shares, ElementsAre(10, 25, 5));
  const std::vector<Pace> small = {{0, 0.01, 10}, {0, 0.1, 3}};
  EXPECT_THAT(SharesBySpeed(40, small).shares, ElementsAre(10, 3));
  const std::vector<Pace> tight = {{0, 0.01, 4}, {0, 0.1, 0}};
  EXPECT_THAT(SharesBySpeed(5, tight, 3).shares, ElementsAre(4, 1));
  EXPECT_THAT(SharesBySpeed(0, small).shares, ElementsAre(0, 0));
}

TEST(SharesBySpeed, NoOtherSharesFinishEarlier) {
  base::Rng rng(5);
  for (int round = 0; round < 2000; ++round) {
    const std::vector<Pace> paces = RandomPaces(&rng, 12);
    const auto total = static_cast<int64_t>(rng.NextBelow(200));
    const SpeedShares result = SharesBySpeed(total, paces);
    ASSERT_EQ(std::accumulate(result.shares.begin(), result.shares.end(), int64_t{0}),
              Held(paces, total));
    ASSERT_DOUBLE_EQ(result.finish_s, FinishSeconds(result.shares, paces));
    ASSERT_LE(result.finish_s, EarliestFinish(total, paces) * (1 + 1e-9)) << "round " << round;
  }
}

TEST(SharesBySpeed, NoShareIsTooSmallToBeUseful) {
  base::Rng rng(6);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Pace> paces = RandomPaces(&rng, 12);
    for (Pace& pace : paces) pace.most = 0;
    const auto total = static_cast<int64_t>(rng.NextBelow(200));
    const int64_t least = 1 + static_cast<int64_t>(rng.NextBelow(20));
    const std::vector<int64_t> shares = SharesBySpeed(total, paces, least).shares;
    ASSERT_EQ(std::accumulate(shares.begin(), shares.end(), int64_t{0}), total);
    for (int64_t share : shares) ASSERT_TRUE(share == 0 || share >= std::min(least, total));
  }
}

}  // namespace
}  // namespace weft::plan
