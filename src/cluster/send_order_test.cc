#include "cluster/send_order.h"

#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

const SendOrder kPush = SendOrderOf(Push{.range = {8, 8}});
const SendOrder kReplica = SendOrderOf(Replicate{.range = {8, 8}});
const SendOrder kFront = SendOrderOf(Parameters{.range = {0, 8}});
const SendOrder kBack = SendOrderOf(Parameters{.range = {8, 8}});
const SendOrder kSamples = SendOrderOf(Samples{});

TEST(SendOrder, UpdatesAndReplicasOvertakeParameters) {
  EXPECT_TRUE(Overtakes(kPush, kFront));
  EXPECT_TRUE(Overtakes(kReplica, kFront));
  EXPECT_FALSE(Overtakes(kFront, kPush));
  EXPECT_FALSE(Overtakes(kPush, kReplica));
}

TEST(SendOrder, ParametersGoInTheOrderOfTheirRanges) {
  EXPECT_TRUE(Overtakes(kFront, kBack));
  EXPECT_FALSE(Overtakes(kBack, kFront));
  EXPECT_FALSE(Overtakes(kBack, kBack)) << "versions of one range stay in order";
}

TEST(SendOrder, AllElseKeepsItsPlace) {
  for (const SendOrder& other : {kPush, kReplica, kFront, kBack, kSamples}) {
    EXPECT_FALSE(Overtakes(kSamples, other));
    EXPECT_FALSE(Overtakes(other, kSamples));
  }
}

}  // namespace
}  // namespace weft::cluster
