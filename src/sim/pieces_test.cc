// Steps in pieces: what a range weighs in cost mode, and gradients that leave before the lease is
// done.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/cluster.h"

namespace weft::sim {
namespace {

using cluster::RunDone;

constexpr double kBatchSeconds = 0.5;

// Four devices with links of 100 Mbit/s, on which a vector of 4 MB takes 0.33 s, and the hub's.
ClusterOptions Heavy(int64_t leaders) {
  ClusterOptions options;
  options.job = ToyJob(320, 2, 32);
  options.job.leaders = leaders;
  options.job.trainable_count = leaders == 1 ? 1 : 1024;
  options.job.statistics.clear();
  options.job.least_range = 1;
  options.job.value_weight = 1e6 / static_cast<double>(options.job.trainable_count);
  options.workload = MakeCostWorkload(options.job.trainable_count);
  options.wire = {.push_bytes = 4'000'000,
                  .parameters_bytes = 4'000'000,
                  .replica_bytes = 4'000'000,
                  .state_bytes = 8'000'000,
                  .unfairness = 0};
  options.devices = EqualDevices(4, kBatchSeconds / 8);
  options.hub.link = {.up_bps = 100e6, .down_bps = 100e6};
  for (DeviceOptions& device : options.devices) device.link = options.hub.link;
  options.job.start_workers = 4;
  return options;
}

double TrainingSeconds(const ClusterOptions& options) {
  Cluster run(options);
  EXPECT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kCompleted) << run.done()->reason;
  EXPECT_EQ(run.done()->lost_samples, 0);
  EXPECT_EQ(run.done()->duplicated_samples, 0);
  return run.result().training_s;
}

// 20 steps. Flat, the hub's link carries four vectors there and four back; split over four leaders
// a device's carries three quarters of one, twice, and a quarter to its standby.
TEST(Pieces, LeadersOnDevicesShareTheBytes) {
  const double vector_s = 4e6 * 8 * 1.046 / 100e6;
  const double flat = TrainingSeconds(Heavy(1)) / 20;
  EXPECT_NEAR(flat, kBatchSeconds + 8 * vector_s, 0.1 * flat);
  const double split = TrainingSeconds(Heavy(4)) / 20;
  EXPECT_GT(split, kBatchSeconds + 1.5 * vector_s);
  EXPECT_LT(split, kBatchSeconds + 2.6 * vector_s);
}

// As many leaders as pay: without being asked for any it comes to the same.
TEST(Pieces, LinksAreMeasuredAndASplitThatPaysIsMade) {
  ClusterOptions options = Heavy(0);
  options.job.epochs = 6;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  const auto changes = run.Events<cluster::LeadersChanged>();
  ASSERT_FALSE(changes.empty());
  EXPECT_GE(changes.back().parts.size(), 3U);
  const cluster::DeviceStats& stats = run.device(0).worker().stats();
  EXPECT_GT(stats.up_bytes_per_second, 5e6);
  EXPECT_LT(stats.up_bytes_per_second, 12.5e6);
}

std::vector<StretchTime> LastLayersFirst(int64_t values) {
  const int64_t half = values / 2;
  return {{0, half, 0.0, 1.0}, {half, values - half, 0.1, 0.5}};
}

TEST(Pieces, GradientsThatAreFinalLeaveBeforeTheLeaseIsDone) {
  ClusterOptions options = Heavy(4);
  const double whole = TrainingSeconds(options) / 20;
  options.stretch_times = LastLayersFirst(1024);
  options.job.stretch_begins = {512};
  const double early = TrainingSeconds(options) / 20;
  const double vector_s = 4e6 * 8 * 1.046 / 100e6;
  // Half of a push is over when the lease is done.
  EXPECT_LT(early, whole - 0.25 * vector_s);
  EXPECT_GT(early, whole - 1.0 * vector_s);
}

// The last layers have nine tenths of the values, which are not read before half of the forward
// pass is over and whose gradients are soon final.
TEST(Pieces, TheForwardPassRunsWhileParametersCome) {
  ClusterOptions options = Heavy(4);
  options.job.stretch_begins = {128};
  options.stretch_times = {{0, 128, 0.0, 1.0}, {128, 896, 0.0, 0.5}};
  const double waits = TrainingSeconds(options) / 20;
  options.stretch_times.at(1).read_at = 0.3;
  const double overlaps = TrainingSeconds(options) / 20;
  EXPECT_LT(overlaps, waits - 0.1 * kBatchSeconds);
  EXPECT_GT(overlaps, waits - 0.31 * kBatchSeconds);
}

TEST(Pieces, TheResultIsThatOfOnePiece) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    ClusterOptions options;
    options.seed = seed;
    options.job = ToyJob(300, 4, 32);
    options.job.least_range = 1;
    options.job.leaders = 3;
    options.devices = EqualDevices(4, 2e-3);
    for (DeviceOptions& device : options.devices) device.lease_seconds = 1e-3;
    // What this one leads comes after the rest.
    if (seed % 3 == 0) options.devices[1].link.latency = std::chrono::milliseconds(3);
    options.stretch_times = LastLayersFirst(options.job.parameter_count());
    if (seed % 2 == 0) options.job.stretch_begins = {options.job.parameter_count() / 2};
    if (seed > 1) {
      options.faults.kill_device = std::chrono::milliseconds(600);
      options.faults.break_connection = std::chrono::milliseconds(600);
    }
    Cluster run(options);
    ASSERT_TRUE(run.Run()) << seed;
    ASSERT_EQ(run.done()->how, RunDone::How::kCompleted) << seed << ": " << run.done()->reason;
    EXPECT_EQ(run.done()->lost_samples, 0) << seed;
    EXPECT_EQ(run.done()->duplicated_samples, 0) << seed;
    const std::vector<float> want = RunToy(options.job).parameters;
    double most = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      most = std::max(most, std::abs(static_cast<double>(run.parameters().at(i)) - want[i]));
    }
    EXPECT_LT(most, 1e-4) << seed;
  }
}

}  // namespace
}  // namespace weft::sim
