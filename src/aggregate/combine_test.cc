#include "aggregate/combine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"

namespace weft::aggregate {
namespace {

using testing::ElementsAre;

class Combining : public testing::Test {
 protected:
  Combining(std::vector<std::vector<float>> vectors = {{1, -3}, {2, 100}, {4, 0}, {9, 2}})
      : vectors_(std::move(vectors)), views_(vectors_.begin(), vectors_.end()) {}
  std::vector<std::vector<float>> vectors_;
  std::vector<std::span<const float>> views_;
  std::vector<float> out_ = {0, 0};
};

TEST_F(Combining, ByHand) {
  Average(views_, out_);
  EXPECT_THAT(out_, ElementsAre(4, 24.75));
  WeightedAverage(views_, std::vector<double>{1, 0, 2, 1}, out_);
  EXPECT_THAT(out_, ElementsAre(4.5, -0.25));
  Median(views_, out_);
  EXPECT_THAT(out_, ElementsAre(3, 1));
  TrimmedMean(views_, 0.25, out_);
  EXPECT_THAT(out_, ElementsAre(3, 1));
  TrimmedMean(views_, 0.24, out_);
  EXPECT_THAT(out_, ElementsAre(4, 24.75)) << "less than one of four is none";
}

TEST_F(Combining, OneIsItself) {
  const std::span<const std::span<const float>> one(views_.data(), 1);
  Median(one, out_);
  EXPECT_THAT(out_, ElementsAre(1, -3));
  TrimmedMean(one, 0.49, out_);
  EXPECT_THAT(out_, ElementsAre(1, -3));
}

// Up to a quarter of the vectors may be anything: what comes out lies within the honest ones.
TEST(Robust, HostileVectorsStayWithoutEffect) {
  base::Rng rng(5);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<float>> vectors;
    for (int i = 0; i < 9; ++i) vectors.push_back({static_cast<float>(rng.NextNormal())});
    const auto [low, high] = std::ranges::minmax_element(vectors);
    const std::vector<float> least = *low, most = *high;
    for (const float bad : {nan, -1e30f, 1e30f}) {
      if (round % 2 == 0) vectors.push_back({round % 3 == 0 ? nan : bad});
    }
    std::rotate(vectors.begin(), vectors.begin() + round % 7, vectors.end());
    const std::vector<std::span<const float>> views(vectors.begin(), vectors.end());
    std::vector<float> out(1);
    Median(views, out);
    EXPECT_TRUE(out[0] >= least[0] && out[0] <= most[0]);
    TrimmedMean(views, 0.26, out);
    EXPECT_TRUE(out[0] >= least[0] && out[0] <= most[0]) << out[0];
  }
}

}  // namespace
}  // namespace weft::aggregate
