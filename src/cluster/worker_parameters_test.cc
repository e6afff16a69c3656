// Which parameters a worker computes with, and what it waits for.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/testing.h"
#include "cluster/worker.h"

namespace weft::cluster {
namespace {

using testing::Asked;
using ::testing::IsEmpty;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kCoordinator = {kCoordinatorDevice, Role::kCoordinator};
constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};
constexpr Range kFront = {0, 2};
constexpr Range kBack = {2, 2};

Lease LeaseOf(int64_t step, int64_t slot = 0) {
  return {
      .id = static_cast<uint64_t>(step * 1000 + slot + 1), .step = step, .slot = slot, .count = 10};
}

class WorkerParameters : public ::testing::Test {
 protected:
  WorkerParameters() {
    worker_.Start(now_);
    worker_.OnConnected(now_);
    Welcome welcome;
    welcome.device = 5;
    welcome.term = 1;
    welcome.run = "run";
    welcome.layout = {.number = 1, .parts = {{.range = kFront}, {.range = kBack}}};
    for (Layout::Part& part : welcome.layout.parts) part.leader = kLeader;
    welcome.heartbeat_ms = 500;
    worker_.Handle(now_, kCoordinator, welcome);
  }
  Actions Get(const Range& range, int64_t version) {
    const auto values = std::make_shared<Bytes>(Bytes{1});
    return worker_.Handle(
        now_, kLeader, Parameters{.term = 1, .version = version, .values = values, .range = range});
  }
  Actions Step(int64_t step, int64_t version) {
    return worker_.Handle(now_, kCoordinator,
                          Grant{.term = 1, .lease = LeaseOf(step), .version = version});
  }
  Actions Stream(int64_t slot) {
    return worker_.Handle(
        now_, kCoordinator,
        Grant{.term = 1, .lease = LeaseOf(0, slot), .newest = true, .overlap = true});
  }
  Actions Computed() {
    const auto gradient = std::make_shared<Bytes>(Bytes{1});
    return worker_.OnComputed(now_,
                              {.loss_sum = 5, .parts = {{kFront, gradient}, {kBack, gradient}}});
  }

  TimePoint now_{};
  Worker worker_{{.name = "pi", .incarnation = 7}};
};

TEST_F(WorkerParameters, AStepIsComputedWithItsOwnParametersThoughALeaderIsAheadOfIt) {
  Get(kFront, 3);
  const auto pulls = Sent<Pull>(Step(2, 2));
  ASSERT_THAT(pulls, SizeIs(2));
  for (const Pull& pull : pulls) EXPECT_EQ(pull.version, 2);
  EXPECT_THAT(Asked<Compute>(Get(kBack, 2)), IsEmpty());
  const auto computes = Asked<Compute>(Get(kFront, 2));
  ASSERT_THAT(computes, SizeIs(1));
  for (const Piece& piece : computes[0].pieces) EXPECT_EQ(piece.version, 2);
}

TEST_F(WorkerParameters, ALeaderThatHasNothingSoOldIsNotAskedAgain) {
  Get(kFront, 3);
  Step(2, 2);
  Get(kBack, 2);
  const Actions actions = Get(kFront, 4);
  EXPECT_THAT(Asked<Compute>(actions), IsEmpty());
  EXPECT_THAT(Sent<Pull>(actions), IsEmpty());
}

TEST_F(WorkerParameters, InAStreamTheLastLeaseThatItHasWaitsForWhatItsUpdatesMake) {
  Get(kFront, 0);
  Get(kBack, 0);
  Stream(0);
  Stream(1);
  EXPECT_THAT(Asked<Compute>(Computed()), IsEmpty());
  Get(kFront, 1);
  EXPECT_THAT(Asked<Compute>(Get(kBack, 1)), SizeIs(1));
}

// The coordinator here has no timeout: it waits for two heartbeats.
TEST_F(WorkerParameters, ItDoesNotWaitForEver) {
  Get(kFront, 0);
  Get(kBack, 0);
  Stream(0);
  Stream(1);
  EXPECT_THAT(Asked<Compute>(Computed()), IsEmpty());
  const TimePoint computed = now_;
  std::vector<Compute> computes;
  while (computes.empty() && now_ < computed + std::chrono::seconds(20)) {
    now_ = *worker_.NextWake();
    computes = Asked<Compute>(worker_.Tick(now_));
  }
  EXPECT_THAT(computes, SizeIs(1));
  EXPECT_GE(now_ - computed, std::chrono::seconds(1));
}

}  // namespace
}  // namespace weft::cluster
