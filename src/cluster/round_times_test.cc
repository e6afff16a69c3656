#include "cluster/round_times.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::cluster {
namespace {

std::vector<RoundDevice> Equal(int count) {
  std::vector<RoundDevice> devices;
  for (int i = 1; i <= count; ++i)
    devices.push_back({static_cast<DeviceId>(i), "pi-" + std::to_string(i), {0, 0.01}, 100});
  return devices;
}

TEST(RoundTimes, WithoutLeaseTimesThePacesSayAll) {
  std::vector<RoundDevice> devices = Equal(4);
  devices[2].pace.per_sample_s = 0.03;
  devices.push_back({5, "out", {0, 9}, 0});
  const RoundPrediction prediction = RoundTimes().Predict(devices, {0.5, 0.25});
  EXPECT_DOUBLE_EQ(prediction.sync_s, 3.5);
  EXPECT_DOUBLE_EQ(prediction.waiting_s, 1.5);
  EXPECT_EQ(prediction.slowest, "pi-3");
  EXPECT_DOUBLE_EQ(prediction.async_s, 400 / (300 / 1.0 + 100 / 3.0));
  EXPECT_DOUBLE_EQ(RoundTimes().Predict({}, {1, 1}).sync_s, 0);
}

TEST(RoundTimes, TheLinkCanBeWhatAsyncWaitsFor) {
  EXPECT_DOUBLE_EQ(RoundTimes().Predict(Equal(4), {8, 4}).async_s, 4);
}

TEST(RoundTimes, LeaseTimesAreScaledToTheShare) {
  RoundTimes times;
  times.LeaseTook(1, 50, 2);  // half a lease: twice as long
  EXPECT_DOUBLE_EQ(times.Predict(Equal(2), {}).sync_s, 4);
  times.Forget(1);
  EXPECT_DOUBLE_EQ(times.Predict(Equal(2), {}).sync_s, 1);
}

TEST(RoundTimes, OnlyTheLastOnesCount) {
  RoundTimes times;
  times.LeaseTook(1, 100, 50);
  for (size_t i = 0; i < RoundTimes::kTimes; ++i) times.LeaseTook(1, 100, 1);
  EXPECT_DOUBLE_EQ(times.Predict(Equal(2), {}).sync_s, 1);
}

// One lease in ten takes five times as long: of 16 devices hardly a round goes without.
TEST(RoundTimes, ExpectsTheSlowestOfMany) {
  base::Rng rng(5);
  RoundTimes times;
  for (DeviceId device = 1; device <= 16; ++device)
    for (int lease = 0; lease < 16; ++lease)
      times.LeaseTook(device, 100, rng.NextBelow(10) == 0 ? 5 : 1);
  const RoundPrediction prediction = times.Predict(Equal(16), {});
  EXPECT_NEAR(prediction.sync_s, 5 - 4 * 0.185, 0.4);  // 0.9 ^ 16 = 0.185
  EXPECT_NEAR(prediction.async_s, 1.4, 0.25);
  EXPECT_DOUBLE_EQ(prediction.sync_s, times.Predict(Equal(16), {}).sync_s);
}

}  // namespace
}  // namespace weft::cluster
