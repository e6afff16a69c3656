#include "plan/scaling.h"

#include <gtest/gtest.h>

namespace weft::plan {
namespace {

// Weak scaling: each device computes 10 samples in 1 s.
ScalingInput Weak(int64_t devices) {
  ScalingInput input;
  input.devices = devices;
  input.samples = 10.0 * static_cast<double>(devices);
  input.compute_seconds = 1;
  input.alone_samples_per_second = 10;
  return input;
}

TEST(Scaling, WithoutANetworkItIsTheNumberOfDevices) {
  for (const int64_t devices : {1, 2, 8}) {
    const Scaling scaling = ScalingOf(Weak(devices));
    EXPECT_DOUBLE_EQ(scaling.step_seconds, 1);
    EXPECT_DOUBLE_EQ(scaling.speedup, static_cast<double>(devices));
    EXPECT_DOUBLE_EQ(scaling.efficiency, 1);
    EXPECT_FALSE(scaling.leader_bound);
  }
}

TEST(Scaling, CommunicationIsPaidOnceARound) {
  ScalingInput input = Weak(8);
  input.exchange = {.up_bytes = 100, .down_bytes = 300};
  input.device = {
      .up_bytes_per_second = 1000, .down_bytes_per_second = 1000, .round_trip_seconds = 0.1};
  EXPECT_DOUBLE_EQ(ScalingOf(input).exchange_seconds, 0.5);
  EXPECT_DOUBLE_EQ(ScalingOf(input).speedup, 8 / 1.5);
  input.local_steps = 5;
  EXPECT_DOUBLE_EQ(ScalingOf(input).step_seconds, 1.1);
  EXPECT_DOUBLE_EQ(ScalingOf(input).efficiency, 1 / 1.1);
}

TEST(Scaling, ASharedBatchIsComparedBySamples) {
  ScalingInput input = Weak(4);
  input.samples = 10;           // four devices share what one computes in 1 s,
  input.compute_seconds = 0.3;  // with a little loss,
  input.device.round_trip_seconds = 0.2;
  EXPECT_DOUBLE_EQ(ScalingOf(input).step_seconds, 0.5);
  EXPECT_DOUBLE_EQ(ScalingOf(input).speedup, 2);
  EXPECT_DOUBLE_EQ(ScalingOf(input).efficiency, 0.5);
}

TEST(Scaling, TheLeadersLinkCarriesAll) {
  ScalingInput input = Weak(2);
  input.exchange = {.up_bytes = 100, .down_bytes = 300};
  input.device = {.up_bytes_per_second = 1000, .down_bytes_per_second = 1000};
  input.leader = {.up_bytes_per_second = 3000, .down_bytes_per_second = 2000};
  EXPECT_FALSE(ScalingOf(input).leader_bound);  // 0.1 s in and 0.2 s out; the devices' 0.4 s
  EXPECT_DOUBLE_EQ(ScalingOf(input).exchange_seconds, 0.4);
  input.devices = 8;
  EXPECT_TRUE(ScalingOf(input).leader_bound);  // 0.4 s in and 0.8 s out
  EXPECT_DOUBLE_EQ(ScalingOf(input).exchange_seconds, 1.2);
  input.exchange.overlapped = true;
  EXPECT_DOUBLE_EQ(ScalingOf(input).exchange_seconds, 0.8);
}

TEST(Scaling, ProcessorsTakeTheirTime) {
  ScalingInput input = Weak(4);
  input.device_seconds = 0.1;
  input.leader_seconds = 0.2;
  input.leader_seconds_per_device = 0.05;
  EXPECT_DOUBLE_EQ(ScalingOf(input).exchange_seconds, 0.1 + 0.2 + 4 * 0.05);
  EXPECT_TRUE(ScalingOf(input).leader_bound);
  input.exchange.up_bytes = 500;
  input.device.up_bytes_per_second = 1000;
  EXPECT_DOUBLE_EQ(ScalingOf(input).exchange_seconds, 0.1 + 0.2 + 0.5);
}

}  // namespace
}  // namespace weft::plan
