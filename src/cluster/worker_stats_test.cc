// What a worker's heartbeats say of its profile.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/testing.h"
#include "cluster/worker.h"

namespace weft::cluster {
namespace {

using std::chrono::milliseconds;
using testing::Asked;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kCoordinator = {kCoordinatorDevice, Role::kCoordinator};
constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};

class WorkerStatsTest : public ::testing::Test {
 protected:
  void Join() {
    worker_.OnConnected(now_);
    Welcome welcome;
    welcome.device = 5;
    welcome.term = 1;
    welcome.run = "run";
    welcome.layout = {.number = 1, .parts = {{.range = {0, 4}, .leader = kLeader}}};
    welcome.heartbeat_ms = 500;
    welcome.device_timeout_ms = 5000;
    worker_.Handle(now_, kCoordinator, welcome);
  }
  Heartbeat Beat() {
    now_ = *worker_.NextWake();
    const auto beats = Sent<Heartbeat>(worker_.Tick(now_));
    EXPECT_THAT(beats, SizeIs(1));
    return beats.empty() ? Heartbeat{} : beats[0];
  }
  void AnswerAfter(Duration wait) {
    worker_.Handle(now_ + wait, kCoordinator, HeartbeatAck{.term = 1});
  }
  void Compute(int64_t step, int64_t samples, double seconds, double plan_seconds = 0) {
    const Lease lease = {.id = static_cast<uint64_t>(step + 1), .step = step, .count = samples};
    worker_.Handle(now_, kCoordinator, Grant{.term = 1, .lease = lease, .version = step});
    const auto values = std::make_shared<Bytes>(Bytes{1});
    ASSERT_THAT(Asked<cluster::Compute>(worker_.Handle(
                    now_, kLeader,
                    Parameters{.term = 1, .version = step, .values = values, .range = {0, 4}})),
                SizeIs(1));
    worker_.OnComputed(
        now_, {.parts = {{{0, 4}, values}}, .seconds = seconds, .plan_seconds = plan_seconds});
  }

  TimePoint now_{};
  Worker worker_{{.name = "pi", .incarnation = 7}};
};

TEST_F(WorkerStatsTest, HeartbeatsCarryWhatIsKnown) {
  worker_.Start(now_);
  Join();
  EXPECT_EQ(Beat().stats, DeviceStats{});
  Compute(0, 10, 9);
  Compute(1, 10, 2);
  Compute(2, 10, 2, 7);
  worker_.OnTransfer(true, 1 << 20, 0.5);
  worker_.OnTransfer(false, 1 << 20, 0.25);
  worker_.OnHost(1000, 0.5, 40);
  const DeviceStats stats = Beat().stats;
  EXPECT_DOUBLE_EQ(stats.lease_seconds + 10 * stats.sample_seconds, 2);
  EXPECT_EQ(stats.plan_seconds, 7);
  EXPECT_EQ(stats.up_bytes_per_second, 2 << 20);
  EXPECT_EQ(stats.down_bytes_per_second, 4 << 20);
  EXPECT_EQ(stats.free_bytes, 1000);
  EXPECT_EQ(stats, worker_.stats());
}

TEST_F(WorkerStatsTest, RoundTripIsThatOfTheHeartbeatAnswered) {
  worker_.Start(now_);
  Join();
  Beat();
  AnswerAfter(milliseconds(40));
  EXPECT_DOUBLE_EQ(worker_.stats().round_trip_seconds, 0.04);
  AnswerAfter(milliseconds(80));
  EXPECT_DOUBLE_EQ(worker_.stats().round_trip_seconds, 0.04) << "an answer that came twice";
}

TEST_F(WorkerStatsTest, RoundTripLongerThanTheTimeBetweenHeartbeats) {
  worker_.Start(now_);
  Join();
  Beat();
  Beat();
  AnswerAfter(milliseconds(200));
  EXPECT_DOUBLE_EQ(worker_.stats().round_trip_seconds, 0.7);
  Beat();
  AnswerAfter(milliseconds(200));
  EXPECT_DOUBLE_EQ(worker_.stats().round_trip_seconds, 0.7);
}

TEST_F(WorkerStatsTest, HeartbeatsOfALostConnectionAreNotAnswered) {
  worker_.Start(now_);
  Join();
  Beat();
  worker_.OnDisconnected(now_, "reset");
  now_ = *worker_.NextWake();
  worker_.Tick(now_);
  Join();
  Beat();
  AnswerAfter(milliseconds(30));
  EXPECT_DOUBLE_EQ(worker_.stats().round_trip_seconds, 0.03);
}

}  // namespace
}  // namespace weft::cluster
