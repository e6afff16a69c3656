#include "app/sim_costs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::app {
namespace {

using testing::ElementsAre;

plan::DeviceProfile ProfileOf(int64_t threads) {
  plan::DeviceProfile profile;  // without measurements: by these rates
  profile.kernels = "reference";
  profile.threads = threads;
  profile.sgemm_gflops = 10;
  profile.memory_gbps = 5;
  profile.process_bytes = 1e6;
  return profile;
}

TEST(SimCosts, LeaseSizesCoverWhatALeaseCanHave) {
  EXPECT_THAT(LeaseSizes(64, 4), ElementsAre(8, 16, 32, 64));
  EXPECT_THAT(LeaseSizes(1, 4), ElementsAre(1));
  EXPECT_THAT(LeaseSizes(3, 1), ElementsAre(1, 2, 3));
  EXPECT_EQ(LeaseSizes(1'000'000, 10'000).front(), 50);
  EXPECT_EQ(LeaseSizes(1'000'000, 10'000).back(), 1024);
  EXPECT_THAT(LeaseSizes(1'000'000, 1), ElementsAre(1024));
}

TEST(SimCosts, PayloadIsWhatTheCodecMakes) {
  const auto size = PayloadSizeOf({.name = "fp16"}, {.name = "dense"}, 1000);
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(size->values, 1000);
  for (const auto& [name, bytes] :
       {std::pair("fp16", size->push_bytes), std::pair("dense", size->parameters_bytes)}) {
    Bytes packet;
    const std::vector<float> values(1000, 1);
    const auto codec = codec::MakeCodec(name);
    ASSERT_TRUE(codec.ok() && (*codec)->Encode(values, {}, &packet).ok());
    EXPECT_EQ(bytes, static_cast<int64_t>(packet.size())) << name;
  }
  EXPECT_EQ(size->push_encode_s_per_value, kCostRates.pack_s_per_value);
  EXPECT_FALSE(PayloadSizeOf({.name = "gzip"}, {}, 1000).ok());
  EXPECT_FALSE(PayloadSizeOf({}, {.name = "gzip"}, 1000).ok());
}

TEST(SimCosts, WhatTakesLongerToEncodeCostsMore) {
  PayloadSize size{.values = 1'000'000, .push_bytes = 4'000'000, .parameters_bytes = 4'000'000};
  const double lease = LeaseSeconds(size, false);
  const double apply = HubCosts({}, size, false).apply_seconds;
  size.push_encode_s_per_value += 3e-9;
  EXPECT_NEAR(LeaseSeconds(size, false) - lease, 3e-3, 1e-9);
  EXPECT_EQ(HubCosts({}, size, false).apply_seconds, apply);
  size.parameters_encode_s_per_value += 3e-9;
  EXPECT_NEAR(LeaseSeconds(size, false) - lease, 3e-3, 1e-9);
  EXPECT_NEAR(HubCosts({}, size, false).apply_seconds - apply, 3e-3, 1e-9);
}

TEST(SimCosts, CoordinatorsCostsFollowSizeAndSpeed) {
  const PayloadSize small{.values = 1000, .push_bytes = 4000, .parameters_bytes = 4000};
  const PayloadSize large{.values = 100'000, .push_bytes = 400'000, .parameters_bytes = 400'000};
  config::CoordinatorOptions coordinator;
  const sim::HubOptions base = HubCosts(coordinator, small, false);
  EXPECT_NEAR(HubCosts(coordinator, large, false).push_seconds, 100 * base.push_seconds, 1e-9);
  EXPECT_GT(base.apply_seconds, 0);
  coordinator.speed = 2;
  coordinator.push_seconds = 3;
  EXPECT_GT(HubCosts(coordinator, small, true).push_seconds, base.push_seconds);
  EXPECT_GT(LeaseSeconds(small, true), LeaseSeconds(small, false));
  const sim::HubOptions given = HubCosts(coordinator, small, false);
  EXPECT_EQ(given.push_seconds, 1.5);
  EXPECT_DOUBLE_EQ(given.send_seconds, base.send_seconds / 2);
  EXPECT_EQ(LeadingCosts(small, false).push_seconds, base.push_seconds);
  EXPECT_GT(LeadingCosts(small, true).send_seconds, base.send_seconds);
}

TEST(SimCosts, StretchesCoverTheCells) {
  const auto graph = model::LoadPreset("pernet-mlp", {});
  ASSERT_TRUE(graph.ok());
  for (const int64_t cells : {int64_t{7}, int64_t{4096}, graph->parameter_count()}) {
    const auto times = StretchTimesOf(*graph, 8, cells);
    ASSERT_TRUE(times.ok()) << times.status().ToString();
    int64_t covered = 0;
    for (const sim::StretchTime& time : *times) {
      EXPECT_LE(time.begin, covered);
      EXPECT_GE(time.begin + time.count, covered);
      covered = time.begin + time.count;
      EXPECT_LT(time.read_at, time.final_at);
    }
    EXPECT_EQ(covered, cells);
    EXPECT_EQ(times->front().final_at, 1);
    EXPECT_GT(times->front().final_at, times->back().final_at);
  }
}

TEST(SimCosts, WholeVectorsWeighTheirValuesAndTheOptimizersMemory) {
  cluster::JobSpec spec;
  spec.trainable_count = 1000;
  spec.optimizer.kind = engine::OptimizerOptions::Kind::kAdamw;
  const PayloadSize size{.values = 1000, .push_bytes = 2016, .parameters_bytes = 4016};
  const sim::WireOptions wire = WireBytes(size, spec);
  EXPECT_EQ(wire.push_bytes, 2016);
  EXPECT_EQ(wire.parameters_bytes, 4016);
  EXPECT_GE(wire.replica_bytes, 4000);
  EXPECT_LT(wire.replica_bytes, 4100);
  EXPECT_EQ(wire.state_bytes, 12'000);
}

TEST(SimCosts, PredictionGrowsWithSamplesAndShrinksWithCores) {
  const auto graph = model::LoadPreset("lenet5", {});
  ASSERT_TRUE(graph.ok());
  const std::vector<int64_t> sizes = {8, 16, 32};
  const PayloadSize payload{.values = graph->parameter_count()};
  const auto one = PredictLeases(*graph, ProfileOf(1), sizes, 1, payload);
  ASSERT_TRUE(one.ok()) << one.status().ToString();
  ASSERT_EQ(one->seconds.points.size(), 3U);
  EXPECT_NEAR(one->seconds.At(32) / one->seconds.At(8), 4, 1);
  EXPECT_GT(one->seconds.At(8), 0);
  EXPECT_GT(one->bytes.At(32), one->bytes.At(8));
  EXPECT_GT(one->bytes.At(8), 1e6);
  const auto four = PredictLeases(*graph, ProfileOf(1), sizes, 4, payload);
  EXPECT_DOUBLE_EQ(four->seconds.At(16), one->seconds.At(16) / 4);
  const auto two_of_two = PredictLeases(*graph, ProfileOf(2), sizes, 2, payload);
  EXPECT_NEAR(two_of_two->seconds.At(16), one->seconds.At(16), 1e-2 * one->seconds.At(16));
}

}  // namespace
}  // namespace weft::app
