#include "sim/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::sim {
namespace {

using cluster::RunDone;
using testing::HasSubstr;

ClusterOptions Calm(int devices, bool deterministic = false) {
  ClusterOptions options;
  options.job = ToyJob(300, 4, 32);  // the last step of an epoch is short
  options.job.deterministic = deterministic;
  options.job.slots = 4;
  options.devices = EqualDevices(devices, 200e-6);
  return options;
}

DeviceOptions OneMore() {
  DeviceOptions device = EqualDevices(1, 200e-6).front();
  device.name.clear();
  return device;
}

void ExpectNear(const std::vector<float>& got, const std::vector<float>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5) << i;
}

void ExpectExactlyOnce(const Cluster& run) {
  EXPECT_EQ(run.done()->lost_samples, 0);
  EXPECT_EQ(run.done()->duplicated_samples, 0);
}

TEST(Cluster, LearnsWhatOnePlainLoopLearns) {
  const ClusterOptions options = Calm(4);
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kCompleted);
  EXPECT_EQ(run.done()->next_step, 40);
  ExpectExactlyOnce(run);
  const ToyRun plain = RunToy(options.job);
  ExpectNear(run.parameters(), plain.parameters);
  for (const auto& [step, done] : run.steps()) {
    EXPECT_NEAR(done.loss, plain.losses[static_cast<size_t>(step)], 1e-5);
  }
  EXPECT_LT(plain.losses.back(), 0.01 * plain.losses.front()) << "the toy does not learn";
}

// Promise 5: any batch shares give the trajectory of one device.
TEST(Cluster, SharesDoNotMatter) {
  const ToyRun plain = RunToy(Calm(1).job);
  for (int devices : {1, 2, 5}) {
    Cluster run(Calm(devices));
    ASSERT_TRUE(run.Run());
    ExpectNear(run.parameters(), plain.parameters);
  }
  ClusterOptions unequal = Calm(4);
  unequal.job.shares = {2, 10, 3, 17};
  Cluster run(unequal);
  ASSERT_TRUE(run.Run());
  ExpectNear(run.parameters(), plain.parameters);
  EXPECT_EQ(run.steps().at(0).parts[3].samples, 17);
}

TEST(Cluster, SameSeedSameTrace) {
  ClusterOptions options = Calm(4);
  options.faults.break_connection = std::chrono::milliseconds(200);
  options.faults.kill_device = std::chrono::milliseconds(300);
  const auto hash = [&](uint64_t seed) {
    options.seed = seed;
    Cluster run(options);
    EXPECT_TRUE(run.Run());
    return run.trace_hash();
  };
  EXPECT_EQ(hash(5), hash(5));
  EXPECT_NE(hash(5), hash(6));
}

TEST(Cluster, DeterministicMeansBitForBitWhoeverComputes) {
  Cluster four(Calm(4, true));
  ASSERT_TRUE(four.Run());
  ExpectNear(four.parameters(), RunToy(Calm(4, true).job).parameters);
  for (int devices : {1, 3, 7}) {
    ClusterOptions options = Calm(devices, true);
    options.seed = 100 + devices;
    options.faults.kill_device = std::chrono::milliseconds(150);
    options.faults.break_connection = std::chrono::milliseconds(150);
    Cluster run(options);
    ASSERT_TRUE(run.Run());
    EXPECT_FALSE(run.Events<cluster::DeviceLeft>().empty()) << "no fault happened";
    EXPECT_EQ(run.parameters(), four.parameters());
    ExpectExactlyOnce(run);
  }
}

TEST(Cluster, AdamwAndCodecsSurviveARestartBitForBit) {
  ClusterOptions options = Calm(3, true);
  options.job.optimizer = {.kind = engine::OptimizerOptions::Kind::kAdamw, .weight_decay = 0.01};
  options.job.schedule.kind = engine::ScheduleOptions::Kind::kCosine;
  options.job.codec_up.name = options.job.codec_down.name = "fp16";
  options.job.checkpoint_every = 3;
  Cluster calm(options);
  ASSERT_TRUE(calm.Run());
  options.faults.kill_hub = std::chrono::milliseconds(30);
  options.faults.until = std::chrono::seconds(3);
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_GT(run.hub().coordinator().term(), 1u) << "the hub was never killed";
  EXPECT_EQ(run.parameters(), calm.parameters());
  ExpectExactlyOnce(run);
}

TEST(Cluster, ARestartedHubGoesOnFromItsCheckpoint) {
  ClusterOptions options = Calm(4);
  options.faults.disk_write_time = std::chrono::milliseconds(1);
  options.job.checkpoint_every = 5;
  Cluster run(options);
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>(18));
  run.KillHub();
  const int64_t from = run.Checkpoint().step;
  EXPECT_GE(from, 10);
  EXPECT_LT(from, 18);
  const size_t before = run.Events<cluster::StepDone>().size();
  run.StartHub();
  EXPECT_EQ(run.hub().coordinator().term(), 2u);
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.Events<cluster::StepDone>()[before].step, from);
  EXPECT_EQ(run.done()->next_step, 40);
  ExpectExactlyOnce(run);
  ExpectNear(run.parameters(), RunToy(options.job).parameters);
  // The devices found their way back and kept their ids.
  for (const auto& joined : run.Events<cluster::DeviceJoined>()) EXPECT_LE(joined.device, 4u);
}

TEST(Cluster, ADeadDevicesLeasesGoToOthers) {
  Cluster run(Calm(4));
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>(3));
  run.KillDevice(0);
  ASSERT_TRUE(run.Run());
  EXPECT_FALSE(run.Events<cluster::LeaseRedealt>().empty());
  ExpectExactlyOnce(run);
  EXPECT_EQ(run.steps().at(39).parts.size(), 3u);
}

TEST(Cluster, ASilentDeviceIsNoticedByItsMissingHeartbeats) {
  ClusterOptions options = Calm(4);
  options.faults.silent_break = 1;  // the hub is never told
  Cluster run(options);
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>(3));
  run.KillDevice(2);
  const TimePoint killed = run.loop().now();
  ASSERT_TRUE(run.RunUntil<cluster::DeviceSilent>());
  EXPECT_LE(run.loop().now() - killed, std::chrono::milliseconds(1500));
  ASSERT_TRUE(run.Run());
  ExpectExactlyOnce(run);
}

TEST(Cluster, WaitsWithoutWorkersAndGoesOnWhenOneComes) {
  ClusterOptions options = Calm(1);
  options.faults.silent_break = 0;
  Cluster run(options);
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>(3));
  run.KillDevice(0);
  EXPECT_FALSE(run.Run(std::chrono::seconds(60)));
  EXPECT_EQ(run.Events<cluster::WaitingForWorkers>().size(), 2u);  // at the start, and now
  run.AddDevice(OneMore());
  ASSERT_TRUE(run.Run());
  ExpectExactlyOnce(run);
}

TEST(Cluster, BeginsOnlyWithEnoughWorkers) {
  ClusterOptions options = Calm(2);
  options.job.start_workers = 3;
  Cluster run(options);
  EXPECT_FALSE(run.Run(std::chrono::seconds(10)));
  EXPECT_TRUE(run.steps().empty());
  run.AddDevice(OneMore());
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.steps().at(0).parts.size(), 3u);
}

TEST(Cluster, AReturnedLeaseIsDealtAgain) {
  Cluster run(Calm(2));
  run.AddDevice(OneMore(), {.unreadable_data = true});
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kCompleted);
  EXPECT_FALSE(run.Events<cluster::LeaseRedealt>().empty());
  ExpectExactlyOnce(run);
}

TEST(Cluster, ALeaseThatNobodyCanComputeEndsTheRun) {
  Cluster run(Calm(0));
  run.AddDevice(OneMore(), {.unreadable_data = true});
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kFailed);
  EXPECT_THAT(run.done()->reason, HasSubstr("no device can compute lease 0.0"));
  EXPECT_THAT(run.done()->reason, HasSubstr("no data here"));
}

TEST(Cluster, ALossThatIsNotFiniteStopsTheRunWithItsReason) {
  Cluster run(Calm(3));
  const int number = run.AddDevice(OneMore(), {.nan_at_step = 7});
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kFailed);
  EXPECT_THAT(run.done()->status.message(),
              HasSubstr("step 7 on device-3: the loss is not finite"));
  EXPECT_FALSE(run.steps().contains(7));
  EXPECT_EQ(run.device(number).stopped()->code(), Code::kFailedPrecondition);
  EXPECT_THAT(run.device(0).stopped()->message(), HasSubstr("the loss is not finite"));
}

TEST(Cluster, ADivergingRunStops) {
  ClusterOptions options = Calm(2);
  options.job.schedule.lr = 1e12;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kFailed);
  EXPECT_THAT(run.done()->reason, HasSubstr("is not finite; nothing of this step was applied"));
  EXPECT_EQ(run.hub().leader().version(), run.done()->next_step);
}

TEST(Cluster, AWrongTokenIsRefusedForGood) {
  ClusterOptions options = Calm(1);
  options.job.token = "right";
  Cluster run(options);
  const int number = run.AddDevice(OneMore(), {}, "wrong");
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.device(number).stopped()->code(), Code::kUnauthenticated);
  EXPECT_EQ(run.Events<cluster::DeviceJoined>().size(), 1u);
}

TEST(Cluster, DrainEndsWithACheckpointOfTheStepUnderWay) {
  ClusterOptions options = Calm(3);
  Cluster run(options);
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>(5));
  run.Perform(run.hub().coordinator().Drain(run.loop().now(), "asked to stop"));
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kDrained);
  EXPECT_TRUE(run.done()->status.ok());
  EXPECT_EQ(run.done()->next_step, 6);
  EXPECT_EQ(run.Checkpoint().step, 6);
  EXPECT_EQ(run.Checkpoint().parameters, run.parameters());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(run.device(i).stopped()->ok());
}

TEST(Cluster, DrainWithoutWorkersGivesUpTheStep) {
  ClusterOptions options = Calm(1);
  options.faults.silent_break = 0;
  Cluster run(options);
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>(5));
  run.KillDevice(0);
  ASSERT_FALSE(run.Run(std::chrono::seconds(10)));
  run.Perform(run.hub().coordinator().Drain(run.loop().now(), "asked to stop"));
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->next_step, 5);
  EXPECT_EQ(run.Checkpoint().step, 5);
}

TEST(Cluster, StopsEarlyAtAnEpochsEndWhenTheTargetIsReached) {
  ClusterOptions options = Calm(3);
  options.job.pause_for_eval = true;
  Cluster run(options);
  ASSERT_TRUE(run.RunUntil<cluster::EpochDone>(1));
  EXPECT_FALSE(run.Run(std::chrono::seconds(60))) << "it should wait for the evaluation";
  run.Perform(run.hub().coordinator().Continue(run.loop().now()));
  ASSERT_TRUE(run.RunUntil<cluster::EpochDone>(2));
  run.Perform(run.hub().coordinator().StopEarly(run.loop().now(), "target reached"));
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kStoppedEarly);
  EXPECT_EQ(run.done()->next_step, 20);
  EXPECT_EQ(run.Checkpoint().step, 20);
  EXPECT_EQ(run.Events<cluster::EpochDone>().size(), 2u);
}

TEST(Cluster, AFullDiskIsAWarningAndTheOldCheckpointStands) {
  ClusterOptions options = Calm(3);
  options.job.checkpoint_every = 1;
  options.faults.disk_full = 0.6;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kCompleted);
  int64_t saved = 0;
  for (const auto& event : run.Events<cluster::CheckpointSaved>()) saved = event.step;
  EXPECT_EQ(run.Checkpoint().step, saved);
  const auto warnings = run.Events<cluster::Warning>();
  const auto is_full = [](const cluster::Warning& warning) {
    return warning.text.find("No space left on device; the last one still stands") !=
           std::string::npos;
  };
  EXPECT_TRUE(std::ranges::any_of(warnings, is_full));
}

TEST(Cluster, AHubThatDiesWhileItWritesGoesOnFromAWholeCheckpoint) {
  ClusterOptions options = Calm(3, true);
  options.job.checkpoint_every = 1;
  options.faults.torn_write = 1;
  options.faults.crash_hub = 0.01;
  options.faults.until = std::chrono::seconds(20);
  options.hub.restart = std::chrono::milliseconds(10);
  Cluster calm(Calm(3, true)), run(options);
  ASSERT_TRUE(calm.Run());
  ASSERT_TRUE(run.Run());
  EXPECT_GT(run.hub().coordinator().term(), 3u) << "the hub hardly crashed";
  EXPECT_EQ(run.parameters(), calm.parameters());
  ExpectExactlyOnce(run);
}

TEST(Cluster, AProcessTakesItsTimeToStartAndToOpenItsData) {
  ClusterOptions options = Calm(1);
  options.devices[0].speed = 0.5;
  options.devices[0].start_seconds = 2;
  options.devices[0].open_seconds = 3;
  Cluster run(options);
  ASSERT_TRUE(run.RunUntil<cluster::DeviceJoined>());
  EXPECT_NEAR(base::Seconds(run.loop().now() - TimePoint{}), 4, 0.01);
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>());
  EXPECT_NEAR(base::Seconds(run.loop().now() - TimePoint{}), 10, 0.05);
}

TEST(Cluster, TheFirstLeaseOfAProcessTakesLonger) {
  ClusterOptions options = Calm(1);
  options.devices[0].warmup_seconds = 2;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_NEAR(run.result().devices[0].compute_s, 2 + 4 * 300 * 200e-6, 1e-6);
}

TEST(Cluster, ALeaseThatDoesNotFitADevicesMemoryGoesToAnother) {
  ClusterOptions options = Calm(2);
  options.devices[0].memory_bytes = 100;
  options.devices[0].step_bytes.points = {{0, 20.0}, {10, 120.0}};  // 8 samples fit
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.done()->how, RunDone::How::kCompleted);
  ExpectExactlyOnce(run);
  const Result result = run.result();
  EXPECT_EQ(result.devices[0].samples, 4 * 6) << "all but the short last steps are too large";
  EXPECT_EQ(result.devices[1].samples, 4 * (9 * 32 + 6));
}

TEST(Cluster, CountsWhatEachDeviceDid) {
  ClusterOptions options = Calm(2);
  options.job.start_workers = 2;
  options.devices[1].speed = 0.5;
  options.devices[1].availability = {.kind = AvailabilityOptions::Kind::kTrace,
                                     .up = {{Duration(0), std::chrono::seconds(100)}}};
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  const Result result = run.result();
  EXPECT_TRUE(result.completed);
  EXPECT_EQ(result.steps, 40);
  EXPECT_EQ(result.samples, 1200);
  EXPECT_EQ(result.recomputed, 0);
  EXPECT_EQ(result.devices[0].leases, 40);
  EXPECT_EQ(result.devices[0].samples, 600);
  EXPECT_NEAR(result.devices[0].compute_s, 600 * 200e-6, 1e-6);
  EXPECT_NEAR(result.devices[1].compute_s, 1200 * 200e-6, 1e-6);
  EXPECT_EQ(result.devices[1].starts, 1);
  EXPECT_EQ(result.epochs.size(), 4u);
  EXPECT_NEAR(result.epochs[0].seconds + result.epochs[1].seconds + result.epochs[2].seconds +
                  result.epochs[3].seconds,
              result.training_s, 1e-6);
  EXPECT_EQ(result.staleness, (std::map<int64_t, int64_t>{{0, 80}}));
}

TEST(Cluster, CountsNothingTwiceThatARestartUndid) {
  ClusterOptions options = Calm(3);
  options.job.checkpoint_every = 4;
  options.faults.kill_hub = std::chrono::milliseconds(40);
  options.faults.until = std::chrono::seconds(10);
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_GT(run.hub().coordinator().term(), 2u);
  const Result result = run.result();
  EXPECT_EQ(result.steps, 40);
  EXPECT_EQ(result.samples, 1200);
  EXPECT_GT(result.recomputed, 0);
  EXPECT_EQ(result.devices[0].samples + result.devices[1].samples + result.devices[2].samples,
            1200);
  EXPECT_EQ(result.staleness.size(), 1u);
}

TEST(Cluster, ASwitchedOffDeviceComesBack) {
  ClusterOptions options = Calm(2);
  options.job.epochs = 40;
  options.devices[1].availability = {.kind = AvailabilityOptions::Kind::kExponential,
                                     .mean_up = std::chrono::milliseconds(100),
                                     .mean_down = std::chrono::milliseconds(50)};
  options.faults.silent_break = 0;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_GT(run.result().devices[1].starts, 3);
  ExpectExactlyOnce(run);
}

// Processes that are gone without the hub being told must not hand a lease on among themselves.
TEST(Cluster, GhostsDoNotStarveALease) {
  ClusterOptions options = Calm(2);
  options.devices = EqualDevices(2, 10e-3);
  options.job.epochs = 40;
  options.devices[1].availability = {.kind = AvailabilityOptions::Kind::kExponential,
                                     .mean_up = std::chrono::seconds(2),
                                     .mean_down = std::chrono::seconds(1)};
  options.faults.silent_break = 0.3;
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_GT(run.result().devices[1].starts, 15);
  ExpectExactlyOnce(run);
}

TEST(Cluster, EventsHappenAtTheirTimes) {
  ClusterOptions options = Calm(2);
  options.job.epochs = 100;
  using Kind = ScheduledEvent::Kind;
  options.schedule = {{std::chrono::milliseconds(50), Kind::kKill, "device-0"},
                      {std::chrono::milliseconds(150), Kind::kStart, "device-0"},
                      {std::chrono::milliseconds(250), Kind::kKill, ""},
                      {std::chrono::milliseconds(300), Kind::kStart, ""},
                      {std::chrono::milliseconds(800), Kind::kLeave, "device-1"}};
  Cluster run(options);
  ASSERT_TRUE(run.Run());
  EXPECT_EQ(run.result().devices[0].starts, 2);
  EXPECT_EQ(run.hub().coordinator().term(), 2u);
  EXPECT_TRUE(run.device(1).stopped()->ok());
  ExpectExactlyOnce(run);
}

TEST(Cluster, ASlowDiskDelaysNoStep) {
  ClusterOptions options = Calm(3, true);
  options.job.checkpoint_every = 1;
  Cluster fast(options);
  options.faults.disk_write_time = std::chrono::seconds(30);
  Cluster slow(options);
  ASSERT_TRUE(fast.Run());
  ASSERT_TRUE(slow.RunUntil<cluster::StepDone>(40));
  EXPECT_LT(slow.loop().now(), TimePoint{} + std::chrono::seconds(30));
  ASSERT_TRUE(slow.Run());
  EXPECT_EQ(slow.Checkpoint().step, 40);
  EXPECT_EQ(slow.Events<cluster::CheckpointSaved>().size(), 2u);
  EXPECT_EQ(slow.parameters(), fast.parameters());
}

TEST(Cluster, ADeviceThatLeavesIsNotMissed) {
  Cluster run(Calm(3));
  ASSERT_TRUE(run.RunUntil<cluster::StepDone>(4));
  run.device(1).Leave("asked to");
  ASSERT_TRUE(run.Run());
  EXPECT_TRUE(run.device(1).stopped()->ok());
  ExpectExactlyOnce(run);
  EXPECT_EQ(run.Events<cluster::DeviceLeft>()[0].reason, "asked to");
}

}  // namespace
}  // namespace weft::sim
