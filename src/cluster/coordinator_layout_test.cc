// What the coordinator says to leaders on devices.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/coordinator.h"
#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using testing::Sent;
using ::testing::SizeIs;

class CoordinatorLayout : public ::testing::Test {
 protected:
  CoordinatorLayout() {
    spec_.run = "run";
    spec_.samples = 64;
    spec_.batch = 8;
    spec_.trainable_count = 4;
    spec_.leaders = 2;
    spec_.least_range = 1;
    spec_.start_workers = 2;
    coordinator_ = std::make_unique<Coordinator>(spec_, store_.get(), 0);
    coordinator_->Start(now_);
  }
  Actions Join(uint64_t number, DeviceId device = 0, uint64_t connection = 0) {
    return coordinator_->OnHello(now_, connection == 0 ? number : connection,
                                 Hello{.name = "pi",
                                       .incarnation = number,
                                       .device = device,
                                       .endpoint = "here:" + std::to_string(number)});
  }
  Actions Say(Address from, const Message& message) {
    return coordinator_->Handle(now_, from, message);
  }
  // All that the change asks for is done.
  Actions Seat(const Reshape& reshape) {
    Actions last;
    const auto seated = [&](DeviceId device, const Range& range, bool standby) {
      last = Say({device, Role::kLeader}, Seated{.term = reshape.term,
                                                 .layout = reshape.to.number,
                                                 .range = range,
                                                 .version = 0,
                                                 .standby = standby,
                                                 .problem = {}});
    };
    for (const Layout::Part& part : reshape.to.parts) {
      seated(part.leader.device, part.range, false);
      if (part.standby != 0) seated(part.standby, part.range, true);
    }
    return last;
  }

  TimePoint now_{};
  JobSpec spec_;
  std::unique_ptr<CoordStore> store_ = MakeMemoryStore();
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorLayout, AChangeThatDoesNotComeAboutIsSaidAgain) {
  Join(1);
  const auto asked = Sent<Reshape>(Join(2));
  ASSERT_THAT(asked, SizeIs(3)) << "the hub and two devices";
  std::vector<Reshape> again;
  for (int i = 0; i < 100 && again.empty(); ++i) {
    now_ = *coordinator_->NextWake();
    for (const DeviceId device : {1u, 2u}) Say({device, Role::kWorker}, Heartbeat{.term = 1});
    again = Sent<Reshape>(coordinator_->Tick(now_));
  }
  ASSERT_THAT(again, SizeIs(3));
  EXPECT_EQ(again[0].to, asked[0].to);
  EXPECT_THAT(Sent<BeginStep>(Seat(asked[0])), SizeIs(asked[0].to.parts.size()));
}

TEST_F(CoordinatorLayout, ALeaderThatIsBackIsToldWhatItIsToDo) {
  Join(1);
  const Reshape reshape = Sent<Reshape>(Join(2)).at(0);
  EXPECT_THAT(Sent<Reshape>(Join(2, 2, 77)), SizeIs(1));
  Seat(reshape);
  const Actions actions = Join(2, 2, 78);
  ASSERT_THAT(Sent<Relayout>(actions), SizeIs(1));
  EXPECT_EQ(Sent<Relayout>(actions)[0].layout, reshape.to);
  size_t led = 0;
  for (const Layout::Part& part : reshape.to.parts) led += part.leader.device == 2 ? 1 : 0;
  EXPECT_GT(led, 0u);
  EXPECT_THAT(Sent<BeginStep>(actions), SizeIs(led));
}

// ---- quorums of ranges

class CoordinatorQuorum : public CoordinatorLayout {
 protected:
  CoordinatorQuorum() {
    spec_.aggregation.quorum = 0.5;
    coordinator_ = std::make_unique<Coordinator>(spec_, store_.get(), 0);
    coordinator_->Start(now_);
    Join(1);
    begun_ = Sent<BeginStep>(Seat(Sent<Reshape>(Join(2)).at(0)));
  }
  // The range with this number applies these leases of the step.
  Actions Apply(size_t range, const std::vector<Lease>& leases) {
    const Layout::Part& part = coordinator_->layout().parts.at(range);
    Committed record{.term = coordinator_->term(),
                     .step = begun_.at(0).step,
                     .version = begun_[0].version + 1,
                     .leases = leases,
                     .devices = std::vector<DeviceId>(leases.size(), 1),
                     .samples = 4,
                     .problem = {},
                     .range = part.range};
    return Say(part.leader, record);
  }
  std::vector<BeginStep> begun_;
};

TEST_F(CoordinatorQuorum, ARunEndsWithNothingHalfApplied) {
  const std::vector<Lease> leases = begun_.at(0).leases;
  ASSERT_THAT(leases, SizeIs(2));
  EXPECT_GT(begun_[0].quorum_samples, 0);
  coordinator_->Drain(now_, "asked to");
  Apply(0, {leases[0]});
  begun_ = Sent<BeginStep>(Apply(1, {leases[1]}));
  ASSERT_THAT(begun_, SizeIs(2)) << "one more step";
  for (const BeginStep& begin : begun_) {
    EXPECT_FALSE(begin.checkpoint);
    EXPECT_EQ(begin.quorum_samples, 0) << "which waits for all";
  }
  Apply(0, begun_[0].leases);
  const auto saves = Sent<BeginStep>(Apply(1, begun_[1].leases));
  ASSERT_THAT(saves, SizeIs(2));
  EXPECT_TRUE(saves[0].checkpoint);
  EXPECT_EQ(saves[0].step, begun_[0].step);
}

// ---- standbys in mid-step

class CoordinatorStandby : public CoordinatorLayout {
 protected:
  CoordinatorStandby() {
    Join(1);
    Seat(Sent<Reshape>(Join(2)).at(0));
    Join(3);
    Join(4);
  }
  Actions Lose(DeviceId device) { return coordinator_->OnDisconnected(now_, device, "reset"); }
  DeviceId FirstLeader() const { return coordinator_->layout().parts[0].leader.device; }
  // The seats of standbys that the change brings.
  Actions SeatStandbys(const Reshape& reshape) {
    Actions last;
    for (size_t i = 0; i < reshape.to.parts.size(); ++i) {
      const Layout::Part& part = reshape.to.parts[i];
      if (reshape.from.parts[i].standby != 0 || part.standby == 0) continue;
      last = Say({part.standby, Role::kLeader}, Seated{.term = reshape.term,
                                                       .layout = reshape.to.number,
                                                       .range = part.range,
                                                       .version = 0,
                                                       .standby = true,
                                                       .problem = {}});
    }
    return last;
  }
};

TEST_F(CoordinatorStandby, ARangeThatLostItsLeaderGetsOneAtOnce) {
  const Actions lost = Lose(FirstLeader());
  EXPECT_THAT(Sent<BeginStep>(lost), SizeIs(1)) << "the one that takes over goes on";
  const auto reshapes = Sent<Reshape>(lost);
  ASSERT_GE(reshapes.size(), 2u);
  for (const Layout::Part& part : reshapes[0].to.parts) {
    EXPECT_NE(part.standby, 0u);
    EXPECT_NE(part.standby, part.leader.device);
  }
  const auto told = Sent<Relayout>(SeatStandbys(reshapes[0]));
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told[0].layout, reshapes[0].to);
  EXPECT_EQ(coordinator_->layout(), reshapes[0].to);
}

TEST_F(CoordinatorStandby, ASecondDeathInTheStepLosesNothing) {
  SeatStandbys(Sent<Reshape>(Lose(FirstLeader())).at(0));
  const Actions second = Lose(FirstLeader());
  EXPECT_THAT(testing::Asked<Restart>(second), SizeIs(0));
  EXPECT_FALSE(coordinator_->done());
  EXPECT_FALSE(Sent<BeginStep>(second).empty());
  EXPECT_FALSE(Sent<Reshape>(second).empty()) << "and another standby is looked for";
}

TEST_F(CoordinatorStandby, ADeathBeforeTheSeatSendsTheRunBack) {
  Lose(FirstLeader());
  EXPECT_THAT(testing::Asked<Restart>(Lose(FirstLeader())), SizeIs(1));
}

TEST_F(CoordinatorStandby, OneThatDiesOnItsWayIsReplaced) {
  const Reshape first = Sent<Reshape>(Lose(FirstLeader())).at(0);
  DeviceId standby = 0;
  for (const Layout::Part& part : first.to.parts) {
    if (part.leader.device == FirstLeader()) standby = part.standby;
  }
  ASSERT_NE(standby, 0u);
  const Actions lost = Lose(standby);
  EXPECT_GT(Sent<Relayout>(lost).at(0).layout.number, first.to.number);
  const auto again = Sent<Reshape>(lost);
  ASSERT_FALSE(again.empty());
  EXPECT_GT(again[0].to.number, Sent<Relayout>(lost)[0].layout.number);
  SeatStandbys(first);
  EXPECT_NE(coordinator_->layout(), first.to) << "too late";
}

TEST_F(CoordinatorStandby, ADeviceThatJoinsIsWelcomeAsOne) {
  Lose(4);
  Lose(3);
  const DeviceId leader = FirstLeader();
  EXPECT_TRUE(Sent<Reshape>(Lose(leader)).empty()) << "nobody is left";
  EXPECT_FALSE(Sent<Reshape>(Join(5)).empty());
}

TEST_F(CoordinatorStandby, ItIsSaidAgainWhileTheStepGoesOn) {
  const Reshape asked = Sent<Reshape>(Lose(FirstLeader())).at(0);
  std::vector<Reshape> again;
  for (int i = 0; i < 100 && again.empty(); ++i) {
    now_ = *coordinator_->NextWake();
    for (const auto& [device, known] : coordinator_->devices().living()) {
      Say({device, Role::kWorker}, Heartbeat{.term = 1});
    }
    again = Sent<Reshape>(coordinator_->Tick(now_));
  }
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again[0].to, asked.to);
}

}  // namespace
}  // namespace weft::cluster
