#include "aggregate/vote.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace weft::aggregate {
namespace {

using testing::ElementsAre;

std::vector<int32_t> Vote(const std::vector<std::vector<float>>& models, int64_t classes) {
  const std::vector<std::span<const float>> views(models.begin(), models.end());
  return MajorityVote(views, classes);
}

TEST(MajorityVote, TheMostNamedClassWinsOverTheSurestModel) {
  EXPECT_THAT(Vote({{0, 1, 0}, {0, 1, 0}, {9, 0, 0}}, 3), ElementsAre(1));
}

TEST(MajorityVote, TiesGoToTheHigherSumOfProbabilities) {
  EXPECT_THAT(Vote({{3, 0, 0, 0.5f}, {0, 1, 0, 4}}, 2), ElementsAre(0, 1));
  EXPECT_THAT(Vote({{5, 0, 0}, {0, 0, 5}}, 3), ElementsAre(0)) << "then to the lower class";
}

TEST(MajorityVote, EachSampleByItself) {
  EXPECT_THAT(Vote({{1, 0, 0, 1, 1, 0}}, 2), ElementsAre(0, 1, 0));
}

TEST(MajorityVote, WhatIsNotANumberDoesNotVote) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_THAT(Vote({{nan, 9}, {nan, 9}, {1, 0}}, 2), ElementsAre(0));
  EXPECT_THAT(Vote({{-inf, 1000}, {0, 2000}}, 2), ElementsAre(1)) << "no overflow";
}

}  // namespace
}  // namespace weft::aggregate
