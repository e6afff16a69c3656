#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace weft::base {
namespace {

// The first outputs of splitmix64 from seed 0, as its authors' code gives them.
TEST(Rng, MatchesSplitmix64) {
  Rng rng(0);
  EXPECT_EQ(rng.Next(), 0xE220A8397B1DCDAFu);
  EXPECT_EQ(rng.Next(), 0x6E789E6AA1B965F4u);
  EXPECT_EQ(rng.Next(), 0x06C45D188009454Fu);
}

TEST(Rng, CounterFormIsTheFormulaOfTheReferenceRuns) {
  EXPECT_EQ(SplitMix(0, 0), 0xE220A8397B1DCDAFu);
  EXPECT_EQ(SplitMix(3, 5), Mix((uint64_t{3} << 32) + 5 + 0x9E3779B97F4A7C15u));
  EXPECT_NE(SplitMix(1, 0), SplitMix(0, 1));
}

TEST(Rng, UniformsFillTheUnitInterval) {
  EXPECT_EQ(UnitUniform(0), 0.0);
  EXPECT_LT(UnitUniform(UINT64_MAX), 1.0);
  Rng rng(7);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) sum += rng.NextUniform(-1, 3);
  EXPECT_NEAR(sum / 10000, 1.0, 0.05);
}

TEST(Rng, NextBelowIsUniform) {
  Rng rng(1);
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts.at(rng.NextBelow(7));
  double chi_square = 0;
  for (const int count : counts) chi_square += std::pow(count - 10000.0, 2) / 10000.0;
  EXPECT_LT(chi_square, 30);  // 6 degrees of freedom: one in 25,000 lies above
}

TEST(Rng, NormalsHaveMeanZeroAndDeviationOne) {
  Rng rng(2);
  double sum = 0, squares = 0;
  constexpr int kDraws = 50000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = rng.NextNormal();
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.03);
}

TEST(Rng, DerivedSeedsDiffer) {
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    for (uint64_t tag = 0; tag < 50; ++tag) seeds.insert(DeriveSeed(seed, tag));
  }
  EXPECT_EQ(seeds.size(), 2500u);
}

}  // namespace
}  // namespace weft::base
