// Unequal and unreliable devices: leaders on devices, streams, quorums, shares by speed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/checker.h"
#include "sim/cluster.h"

namespace weft::sim {
namespace {

using aggregate::Mode;
using cluster::RunDone;

ClusterOptions Calm(int devices) {
  ClusterOptions options;
  options.job = ToyJob(300, 4, 32);  // the last step of an epoch is short
  options.job.least_range = 1;
  options.devices = EqualDevices(devices, 200e-6);
  return options;
}

double Distance(const std::vector<float>& got, const std::vector<float>& want) {
  double most = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(got.at(i)) - want[i]));
  }
  return most;
}

void ExpectExactlyOnce(const Cluster& run) {
  ASSERT_TRUE(run.done().has_value());
  EXPECT_EQ(run.done()->how, RunDone::How::kCompleted) << run.done()->reason;
  EXPECT_EQ(run.done()->lost_samples, 0);
  EXPECT_EQ(run.done()->duplicated_samples, 0);
}

double LastLoss(const Cluster& run) { return run.Events<cluster::EpochDone>().back().loss; }

// ---- leaders on devices

class Leaders : public ::testing::TestWithParam<int> {};

TEST_P(Leaders, OnDevicesLearnWhatOneLearns) {
  ClusterOptions options = Calm(4);
  options.job.leaders = GetParam();
  options.job.start_workers = 4;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  ExpectExactlyOnce(run);
  EXPECT_LT(Distance(run.parameters(), RunToy(options.job).parameters), 1e-5);
  const auto changes = run.Events<cluster::LeadersChanged>();
  ASSERT_FALSE(changes.empty());
  EXPECT_EQ(changes.back().parts.size(), static_cast<size_t>(GetParam()));
  for (const auto& part : changes.back().parts) EXPECT_NE(part.standby, 0u);
}

INSTANTIATE_TEST_SUITE_P(Counts, Leaders, ::testing::Values(2, 3, 4));

TEST(Elastic, ALeaderThatDiesIsReplacedByItsStandby) {
  ClusterOptions options = Calm(5);
  options.job.leaders = 3;
  options.job.epochs = 8;
  Cluster run(options);
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>(10));
  const cluster::DeviceId leader =
      run.Events<cluster::LeadersChanged>().back().parts.front().leader.device;
  run.KillDevice(static_cast<int>(leader) - 1);
  ASSERT_TRUE(run.Run());
  ExpectExactlyOnce(run);
  EXPECT_LT(Distance(run.parameters(), RunToy(options.job).parameters), 1e-5);
}

// Of the coordinator's process.
struct Starts : Observer {
  void OnHubStarted(TimePoint, uint64_t, int64_t) override { ++count; }
  int count = 0;
};

// A step takes 100 ms here, and the second death comes within it.
TEST(Elastic, ALeaderAndItsSuccessorThatDieInOneStepLoseNothing) {
  for (const Mode mode : {Mode::kSync, Mode::kAsync}) {
    ClusterOptions options = Calm(6);
    options.devices = EqualDevices(6, 20e-3);
    options.job.leaders = 3;
    options.job.epochs = 8;
    options.job.aggregation.mode = mode;
    Starts starts;
    Cluster run(options);
    run.Watch(&starts);
    ASSERT_TRUE(run.RunUntil<cluster::StepDone>(10));
    const size_t steps = run.Events<cluster::StepDone>().size();
    for (int deaths = 0; deaths < 2; ++deaths) {
      const auto layout = run.Events<cluster::LeadersChanged>();
      run.KillDevice(static_cast<int>(layout.back().parts.front().leader.device) - 1);
      // Its standby leads, and has one itself.
      ASSERT_TRUE(run.RunUntil<cluster::LeadersChanged>(layout.size() + 2));
    }
    if (mode == Mode::kSync) {
      EXPECT_EQ(run.Events<cluster::StepDone>().size(), steps) << "within one step";
    }
    ASSERT_TRUE(run.Run());
    ExpectExactlyOnce(run);
    EXPECT_EQ(starts.count, 1) << "no return to a checkpoint";
    if (mode == Mode::kSync) {
      EXPECT_LT(Distance(run.parameters(), RunToy(options.job).parameters), 1e-5);
    }
  }
}

TEST(Elastic, LeadersComeAndGoWhileItTrains) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    ClusterOptions options = Calm(6);
    options.seed = seed;
    options.job.leaders = 4;
    options.job.epochs = 10;
    options.faults.kill_device = std::chrono::milliseconds(300);
    options.faults.break_connection = std::chrono::milliseconds(300);
    Cluster run(options);
    ASSERT_TRUE(run.Run()) << seed;
    if (run.done()->how == RunDone::How::kFailed) {
      ADD_FAILURE() << seed << ": " << run.done()->reason;
      continue;
    }
    ExpectExactlyOnce(run);
    EXPECT_LT(Distance(run.parameters(), RunToy(options.job).parameters), 1e-4) << seed;
  }
}

// ---- streams

class Streams : public ::testing::TestWithParam<Mode> {};

TEST_P(Streams, CountEverySampleOnceAndLearn) {
  for (const int64_t leaders : {1, 3}) {
    ClusterOptions options = Calm(4);
    options.devices[3].speed = 0.3;
    options.job.leaders = leaders;
    options.job.aggregation.mode = GetParam();
    options.job.aggregation.max_staleness = GetParam() == Mode::kSsp ? 2 : 0;
    Cluster run(options);
    ASSERT_TRUE(run.Run()) << leaders;
    ExpectExactlyOnce(run);
    const ToyRun plain = RunToy(options.job);
    EXPECT_LT(LastLoss(run), 0.2 * plain.losses.front()) << leaders;
  }
}

TEST_P(Streams, GoOnWhateverDies) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    ClusterOptions options = Calm(5);
    options.seed = seed;
    options.job.leaders = seed % 2 == 0 ? 1 : 3;
    options.job.aggregation.mode = GetParam();
    options.job.aggregation.max_staleness = GetParam() == Mode::kSsp ? 2 : 0;
    options.faults.kill_device = std::chrono::milliseconds(300);
    options.faults.break_connection = std::chrono::milliseconds(300);
    if (options.job.leaders == 1) options.faults.kill_hub = std::chrono::milliseconds(1500);
    SCOPED_TRACE(seed);
    Cluster run(options);
    ASSERT_TRUE(run.Run());
    ExpectExactlyOnce(run);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, Streams,
                         ::testing::Values(Mode::kSsp, Mode::kAsync, Mode::kBuffered));

// ---- steps that do not wait, and steps in proportion

TEST(Elastic, AQuorumLeavesNobodyOut) {
  ClusterOptions options = Calm(4);
  options.devices[3].speed = 0.2;
  options.job.share_by_speed = false;
  options.job.aggregation.quorum = 0.7;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  ExpectExactlyOnce(run);
  EXPECT_LT(LastLoss(run), 0.2 * RunToy(options.job).losses.front());
}

TEST(Elastic, ExtraDevicesHaveCopiesOfLeases) {
  ClusterOptions options = Calm(6);
  options.job.aggregation.over_selection = 0.5;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  ExpectExactlyOnce(run);
  EXPECT_EQ(run.steps().at(5).parts.size(), 4u) << "6 / 1.5";
  EXPECT_LT(Distance(run.parameters(), RunToy(options.job).parameters), 1e-5);
}

// Any device stumbles at any time: waiting for all of them is slow, and async is chosen.
TEST(Elastic, AutoTakesAsyncWhereDevicesStumbleAndSyncWhereTheyDoNot) {
  for (const bool stumble : {true, false}) {
    ClusterOptions options = Calm(6);
    options.job = ToyJob(6000, 6, 120);
    options.job.aggregation.automatic = true;
    options.job.heartbeat_ms = 50;
    options.devices = EqualDevices(6, 2e-3);
    for (DeviceOptions& device : options.devices) {
      if (stumble) {
        device.slowdown = {std::chrono::milliseconds(400), std::chrono::milliseconds(150), 0.05};
      }
    }
    Cluster run(options);
    ASSERT_TRUE(run.Run());
    ExpectExactlyOnce(run);
    const auto changes = run.Events<cluster::ModeChanged>();
    if (stumble) {
      ASSERT_FALSE(changes.empty());
      EXPECT_EQ(changes.front().mode, "async");
      EXPECT_THAT(changes.front().reason, ::testing::HasSubstr("waiting for"));
    } else {
      EXPECT_TRUE(changes.empty()) << changes.front().reason;
    }
    EXPECT_LT(LastLoss(run), 0.2 * RunToy(options.job).losses.front());
  }
}

TEST(Elastic, ChangingBetweenSyncAndAsyncLosesNothing) {
  for (const int64_t leaders : {1, 3}) {
    ClusterOptions options = Calm(5);
    options.job = ToyJob(1500, 6, 30);
    options.job.least_range = 1;
    options.job.leaders = leaders;
    options.job.aggregation.automatic = true;
    options.job.policy = {
        .better = -100, .in_a_row = 1, .rounds_between = 3, .rounds_for_losses = 3};
    options.job.heartbeat_ms = 20;
    options.devices = EqualDevices(5, 2e-3);
    options.faults.kill_device = std::chrono::milliseconds(800);
    Cluster run(options);
    ASSERT_TRUE(run.Run());
    ExpectExactlyOnce(run);
    EXPECT_GT(run.Events<cluster::ModeChanged>().size(), 10u);
  }
}

TEST(Elastic, SharesFollowTheSpeeds) {
  ClusterOptions options = Calm(4);
  options.job = ToyJob(6000, 2, 600);
  options.devices = EqualDevices(4, 2e-3);
  options.devices[0].speed = 0.25;
  options.job.heartbeat_ms = 50;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  ExpectExactlyOnce(run);
  const auto& last = run.steps().rbegin()->second;
  ASSERT_EQ(last.parts.size(), 4u);
  std::map<cluster::DeviceId, int64_t> samples;
  for (const auto& part : last.parts) samples[part.device] += part.samples;
  EXPECT_NEAR(static_cast<double>(samples[1]) / 600, 0.25 / 3.25, 0.02);
  EXPECT_NEAR(static_cast<double>(samples[2]) / 600, 1 / 3.25, 0.02);
}

TEST(Elastic, ShardsStayWithTheirDevices) {
  ClusterOptions options = Calm(3);
  options.job.shard_samples = {50, 150, 100};
  options.job.aggregation.local_steps = 1;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  ExpectExactlyOnce(run);
  int64_t of_first = 0;
  for (const auto& step : run.Events<cluster::StepDone>()) {
    for (const auto& part : step.parts) of_first += part.device == 1 ? part.samples : 0;
  }
  EXPECT_EQ(of_first, 4 * 50);
}

// What an owner has is computed by it or by nobody: none is lost, none counts twice, and what was
// not there is said to be absent. The checkers look at every step.
TEST(Elastic, OwnersThatComeAndGoKeepTheirSamples) {
  int64_t absent = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    ClusterOptions options = Calm(4);
    options.seed = seed;
    options.job.shard_samples = {50, 100, 90, 60};
    options.job.start_workers = 4;
    options.job.leaders = seed % 3 == 0 ? 2 : 1;
    if (seed % 4 == 0) options.job.aggregation.mode = Mode::kAsync;
    options.faults.kill_device = std::chrono::milliseconds(400);
    options.faults.break_connection = std::chrono::milliseconds(400);
    SCOPED_TRACE(seed);
    const auto checkers = AllCheckers(options.job);
    Cluster run(options);
    for (const auto& checker : checkers) run.Watch(checker.get());
    ASSERT_TRUE(run.Run());
    ExpectExactlyOnce(run);
    EXPECT_EQ(ViolationsOf(checkers), std::vector<std::string>());
    for (const auto& epoch : run.Events<cluster::EpochDone>()) absent += epoch.absent;
    EXPECT_LT(LastLoss(run), 0.3 * RunToy(options.job).losses.front());
  }
  EXPECT_GT(absent, 0) << "or the faults are too few";
}

}  // namespace
}  // namespace weft::sim
