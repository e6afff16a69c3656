#include "cluster/patience.h"

#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using std::chrono::seconds;

TEST(Patience, KnowsOnlyTheTimeoutAtFirst) {
  Patience patience(seconds(5));
  EXPECT_EQ(patience.allowed(), seconds(60));
  patience.Took(seconds(1000));
  patience.Took(seconds(1000));
  EXPECT_EQ(patience.allowed(), seconds(60));
  patience.Took(seconds(1000));
  EXPECT_EQ(patience.allowed(), seconds(4000));
}

TEST(Patience, IsNeverShorterThanTheTimeout) {
  Patience patience(seconds(5));
  for (int i = 0; i < 5; ++i) patience.Took(std::chrono::milliseconds(3));
  EXPECT_EQ(patience.allowed(), seconds(5));
}

TEST(Patience, FollowsTheMedianOfTheLastSteps) {
  Patience patience(seconds(1));
  for (int i = 0; i < 15; ++i) patience.Took(seconds(i % 5 == 0 ? 500 : 10));
  EXPECT_EQ(patience.allowed(), seconds(40)) << "a few long steps change nothing";
  for (int i = 0; i < 8; ++i) patience.Took(seconds(20));
  EXPECT_EQ(patience.allowed(), seconds(80));
}

}  // namespace
}  // namespace weft::cluster
