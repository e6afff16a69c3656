#include "cluster/profiler.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace weft::cluster {
namespace {

constexpr int64_t kMiB = 1 << 20;

TEST(Profiler, StatsAreZeroUntilSomethingIsKnown) {
  const Profiler profiler;
  EXPECT_EQ(profiler.stats(), DeviceStats{});
  EXPECT_EQ(profiler.SamplesPerSecond(10), 0);
}

TEST(Profiler, SpeedGrowsWithTheLeaseWhereLeasesHaveACostOfTheirOwn) {
  Profiler profiler;
  for (int i = 0; i < 12; ++i) {
    const int64_t samples = 10 + 10 * (i % 3);
    profiler.OnLease(samples, 0.1 + 0.01 * static_cast<double>(samples));
  }
  EXPECT_NEAR(profiler.stats().lease_seconds, 0.1, 0.005);
  EXPECT_NEAR(profiler.stats().sample_seconds, 0.01, 0.0003);
  EXPECT_NEAR(profiler.SamplesPerSecond(10), 50, 1);
  EXPECT_NEAR(profiler.SamplesPerSecond(100), 1000.0 / 11, 2);
  EXPECT_EQ(profiler.SamplesPerSecond(0), 0);
}

TEST(Profiler, ThePlansCostIsThatOfTheSecondAndLater) {
  Profiler profiler;
  profiler.OnPlan(0);  // none was made
  EXPECT_EQ(profiler.stats().plan_seconds, 0);
  profiler.OnPlan(30);
  EXPECT_EQ(profiler.stats().plan_seconds, 30);
  profiler.OnPlan(2);
  EXPECT_EQ(profiler.stats().plan_seconds, 2);
  profiler.OnPlan(4);
  EXPECT_EQ(profiler.stats().plan_seconds, 2.5);
  profiler.OnPlan(NAN);
  EXPECT_EQ(profiler.stats().plan_seconds, 2.5);
  EXPECT_EQ(profiler.stats().leases, 0);
}

TEST(Profiler, CountsChanges) {
  Profiler profiler;
  for (int i = 0; i < 20; ++i) profiler.OnLease(10, 1);
  for (int i = 0; i < 3; ++i) profiler.OnLease(10, 2);
  EXPECT_EQ(profiler.stats().changes, 1);
  EXPECT_NEAR(profiler.SamplesPerSecond(10), 5, 1e-9);
}

TEST(Profiler, TransfersTooSmallToTellAreIgnored) {
  Profiler profiler;
  profiler.OnTransfer(true, 16 << 10, 1);
  profiler.OnTransfer(true, kMiB, 0.0005);
  profiler.OnTransfer(false, kMiB, INFINITY);
  profiler.OnTransfer(false, kMiB, 0);
  EXPECT_EQ(profiler.stats(), DeviceStats{});
}

TEST(Profiler, WhatComesInAtOnceIsALowerBound) {
  Profiler profiler;
  profiler.OnTransfer(false, kMiB, 1e-5);
  EXPECT_EQ(profiler.stats().down_bytes_per_second, 1000.0 * kMiB);
  profiler.OnTransfer(false, kMiB / 2, 1e-5);
  EXPECT_EQ(profiler.stats().down_bytes_per_second, 1000.0 * kMiB);
  profiler.OnTransfer(false, kMiB, 0.002);
  EXPECT_EQ(profiler.stats().down_bytes_per_second, 950.0 * kMiB);
}

TEST(Profiler, DirectionsAreKeptApart) {
  Profiler profiler;
  profiler.OnTransfer(true, kMiB, 1);
  profiler.OnTransfer(false, kMiB, 0.25);
  EXPECT_EQ(profiler.stats().up_bytes_per_second, kMiB);
  EXPECT_EQ(profiler.stats().down_bytes_per_second, 4 * kMiB);
}

// Two in three transfers share the link with one or two others.
TEST(Profiler, TransfersThatSharedTheLinkCountLittle) {
  Profiler profiler;
  base::Rng rng(1);
  for (int i = 0; i < 200; ++i) {
    const double others = static_cast<double>(rng.NextBelow(3));
    profiler.OnTransfer(true, kMiB, (1 + others) * rng.NextUniform(0.95, 1.05));
  }
  EXPECT_GT(profiler.stats().up_bytes_per_second, 0.7 * kMiB);
  EXPECT_LT(profiler.stats().up_bytes_per_second, 1.1 * kMiB);
}

TEST(Profiler, ALinkThatBecameSlowerIsBelievedInTheEnd) {
  Profiler profiler;
  for (int i = 0; i < 10; ++i) profiler.OnTransfer(false, 10 * kMiB, 1);
  for (int i = 0; i < 22; ++i) profiler.OnTransfer(false, kMiB, 1);
  EXPECT_NEAR(profiler.stats().down_bytes_per_second, 1.9 * kMiB, 0.05 * kMiB);
  for (int i = 0; i < 6; ++i) profiler.OnTransfer(false, 10 * kMiB, 1);
  EXPECT_GT(profiler.stats().down_bytes_per_second, 9 * kMiB) << "faster is believed sooner";
}

TEST(Profiler, RoundTripsThatWaitedBehindAPayloadCountLittle) {
  Profiler profiler;
  base::Rng rng(2);
  for (int i = 0; i < 100; ++i) {
    const double wait = i % 3 == 0 ? 0 : 0.2;
    profiler.OnRoundTrip(0.05 + wait + rng.NextUniform(0, 0.002));
  }
  EXPECT_NEAR(profiler.stats().round_trip_seconds, 0.05, 0.003);
  for (int i = 0; i < 40; ++i) profiler.OnRoundTrip(0.2);
  EXPECT_NEAR(profiler.stats().round_trip_seconds, 0.2, 0.01) << "the way became longer";
}

TEST(Profiler, TakesWhatTheHostSays) {
  Profiler profiler;
  profiler.OnHost(1000, 0.25, 60);
  EXPECT_EQ(profiler.stats().free_bytes, 1000);
  EXPECT_EQ(profiler.stats().other_load, 0.25);
  EXPECT_EQ(profiler.stats().temperature, 60);
}

}  // namespace
}  // namespace weft::cluster
