#include "cluster/mode_chooser.h"

#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

constexpr int64_t kBatch = 100;

TimePoint At(double seconds) {
  return TimePoint() + Duration(static_cast<int64_t>(seconds * 1e9));
}

class ModeChooserTest : public ::testing::Test {
 protected:
  // Both devices have computed one lease of 50 more.
  void Lease(double first_s, double second_s) {
    ++leases_;
    for (DeviceId device : {1u, 2u}) {
      const double seconds = device == 1 ? first_s : second_s;
      const DeviceStats stats{.leases = leases_, .last_samples = 50, .last_seconds = seconds};
      chooser_.OnStats(device, stats);
      chooser_.OnStats(device, stats);  // said again with the next heartbeat
    }
  }
  std::optional<PolicyAnswer> Round(double until_s, int64_t samples = 50) {
    const std::vector<StepDone::Part> parts = {{1, samples}, {2, samples}};
    done_ += 2 * samples;
    chooser_.OnCommitted(At(until_s), parts, 1.0, done_);
    return chooser_.Evaluate(devices_, {}, 10000);
  }
  ModeChooser chooser_{aggregate::Mode::kSync, kBatch, {}};
  const std::vector<ModeChooser::KnownDevice> devices_ = {
      {1, "one", {.per_sample_s = 0.01}}, {2, "two", {.per_sample_s = 0.01}}, {3, "new", {}}};
  int64_t leases_ = 0;
  int64_t done_ = 0;
};

TEST_F(ModeChooserTest, AsksOnceARoundIsFull) {
  chooser_.GoOn(At(10));
  Lease(0.5, 0.5);
  EXPECT_FALSE(Round(10.2, 20).has_value());
  EXPECT_FALSE(Round(10.4, 20).has_value());
  const auto answer = Round(10.5, 10);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->mode, aggregate::Mode::kSync);
  EXPECT_NEAR(answer->sync_round_s, 0.5, 1e-6);
  EXPECT_NEAR(answer->async_round_s, 0.5, 1e-6);
}

TEST_F(ModeChooserTest, WhatADeviceRepeatsCountsOnce) {
  chooser_.GoOn(At(0));
  // One in four leases of each takes four times as long: half of the rounds wait for one of them.
  double at = 0;
  std::optional<PolicyAnswer> answer;
  for (int i = 0; i < 16; ++i) {
    Lease(i % 4 == 0 ? 2 : 0.5, i % 4 == 2 ? 2 : 0.5);
    answer = Round(at += i % 2 == 0 ? 2 : 0.5);
  }
  ASSERT_TRUE(answer.has_value());
  EXPECT_NEAR(answer->sync_round_s, 1.25, 0.25);
  EXPECT_LT(answer->async_round_s, answer->sync_round_s);
}

TEST_F(ModeChooserTest, APauseIsNoPartOfARound) {
  chooser_.GoOn(At(0));
  Lease(0.5, 0.5);
  chooser_.GoOn(At(100));
  const auto answer = Round(100.5);
  ASSERT_TRUE(answer.has_value());
  EXPECT_NEAR(answer->sync_round_s, 0.5, 1e-6);
}

TEST_F(ModeChooserTest, WithoutAKnownDeviceThereIsNothingToAsk) {
  chooser_.GoOn(At(0));
  const std::vector<StepDone::Part> parts = {{3, kBatch}};
  chooser_.OnCommitted(At(1), parts, 1.0, kBatch);
  EXPECT_FALSE(chooser_.Evaluate(devices_, {}, 100).has_value());
}

}  // namespace
}  // namespace weft::cluster
