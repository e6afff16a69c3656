// Sums of sites: what they save, that they change nothing else, and what becomes of them when a
// relay goes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/cluster.h"
#include "sim/toy.h"

namespace weft::sim {
namespace {

using cluster::RunDone;
using cluster::SiteSums;
using std::chrono::milliseconds;

// Two devices at the hub's site, four at another, behind a slow way out.
ClusterOptions TwoSites(SiteSums sums) {
  ClusterOptions options;
  options.job = ToyJob(960, 4, 48);
  options.job.start_workers = 6;
  options.job.site = "home";
  options.job.site_sums = sums;
  options.devices = EqualDevices(6, 1e-3);
  options.segments = {{.name = "out", .link = {.up_bps = 4e6, .down_bps = 4e6}, .gateway = true}};
  options.segments[0].link.latency = milliseconds(39);
  for (size_t i = 0; i < options.devices.size(); ++i) {
    DeviceOptions& device = options.devices[i];
    device.site = i < 2 ? "home" : "away";
    device.link.up_bps = device.link.down_bps = 1e9;
    if (i >= 2) device.link.segment = "out";
  }
  options.wire.push_bytes = options.wire.parameters_bytes = options.wire.replica_bytes = 200'000;
  return options;
}

struct Outcome {
  double seconds = 0;
  int64_t out_bytes = 0;  // of the slow way, both directions
  double distance = 0;    // of the parameters, from those that one device alone computes
};

Outcome RunOf(const ClusterOptions& options) {
  Cluster run(options);
  EXPECT_TRUE(run.Run());
  EXPECT_TRUE(run.done() && run.done()->how == RunDone::How::kCompleted);
  EXPECT_EQ(run.done()->lost_samples + run.done()->duplicated_samples, 0);
  const Result result = run.result();
  EXPECT_THAT(result.violations, ::testing::IsEmpty());
  Outcome outcome{.seconds = result.virtual_s};
  for (const auto& [name, use] : result.segments)
    outcome.out_bytes += use.up_bytes + use.down_bytes;
  const std::vector<float> want = RunToy(options.job).parameters;
  for (size_t i = 0; i < want.size(); ++i) {
    outcome.distance =
        std::max(outcome.distance, std::abs(static_cast<double>(run.parameters().at(i)) - want[i]));
  }
  return outcome;
}

TEST(SiteSums, CrossTheSlowWayOnce) {
  const Outcome flat = RunOf(TwoSites(SiteSums::kNever));
  const Outcome sums = RunOf(TwoSites(SiteSums::kAlways));
  EXPECT_LT(static_cast<double>(sums.out_bytes), 0.3 * static_cast<double>(flat.out_bytes));
  EXPECT_LT(sums.seconds, 0.5 * flat.seconds);
  EXPECT_LT(sums.distance, 1e-4);
}

TEST(SiteSums, AreTakenUpWhereTheyPay) {
  ClusterOptions options = TwoSites(SiteSums::kAuto);
  const Outcome flat = RunOf(TwoSites(SiteSums::kNever));
  const Outcome chosen = RunOf(options);
  EXPECT_LT(chosen.seconds, 0.7 * flat.seconds);
  EXPECT_LT(chosen.distance, 1e-4);
}

TEST(SiteSums, AreGivenUpWhereTheyDoNot) {
  ClusterOptions options = TwoSites(SiteSums::kAuto);
  options.segments[0].link = {.up_bps = 1e9, .down_bps = 1e9};
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  const auto changes = run.Events<cluster::SitesChanged>();
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_TRUE(changes[1].sites.empty()) << changes[1].reason;
}

TEST(SiteSums, OutliveTheirRelay) {
  ClusterOptions options = TwoSites(SiteSums::kAlways);
  Cluster run(options);
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>(5));
  const cluster::DeviceId relay = run.Events<cluster::SitesChanged>().back().sites.at(0).relay;
  run.KillDevice(static_cast<int>(relay) - 1);
  ASSERT_TRUE(run.Run());
  ASSERT_TRUE(run.done().has_value());
  EXPECT_EQ(run.done()->how, RunDone::How::kCompleted);
  EXPECT_EQ(run.done()->lost_samples + run.done()->duplicated_samples, 0);
  EXPECT_NE(run.Events<cluster::SitesChanged>().back().sites.at(0).relay, relay);
}

TEST(SiteSums, WithLeadersOnDevicesOfBothSites) {
  ClusterOptions options = TwoSites(SiteSums::kAlways);
  options.job.leaders = 3;
  options.job.least_range = 1;
  const Outcome outcome = RunOf(options);
  EXPECT_LT(outcome.distance, 1e-4);
}

}  // namespace
}  // namespace weft::sim
