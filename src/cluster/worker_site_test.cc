// Workers of a site that has a relay.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/testing.h"
#include "cluster/worker.h"

namespace weft::cluster {
namespace {

using testing::Asked;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Sent;

constexpr Address kCoordinator = {kCoordinatorDevice, Role::kCoordinator};
constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};
constexpr Address kRelay = {9, Role::kRelay};
constexpr Range kAll = {0, 4};

class WorkerOfASite : public ::testing::Test {
 protected:
  WorkerOfASite() {
    worker_.Start(now_);
    worker_.OnConnected(now_);
    Welcome welcome{.device = 5, .term = 1, .run = "run"};
    welcome.layout = {.number = 1, .parts = {{.range = kAll, .leader = kLeader}}};
    Hear(welcome);
    Hear(UseRelay{1, 1, 9, "host:9", {5, 9}});
  }
  Actions Hear(const Message& message, Address from = kCoordinator) {
    return worker_.Handle(now_, from, message);
  }
  Actions Version(int64_t version) {
    return Hear(Parameters{1, version, std::make_shared<Bytes>(Bytes{1}), kAll}, kRelay);
  }
  Actions Computed() {
    return worker_.OnComputed(now_, {5.0, 3, {{kAll, std::make_shared<Bytes>(Bytes{1})}}, 100});
  }
  Actions GrantJoint(int64_t step, int64_t joint) {
    const Lease lease{.id = static_cast<uint64_t>(step + 1), .step = step, .count = 10};
    return Hear(Grant{.term = 1, .lease = lease, .version = step, .next = {}, .joint = joint});
  }
  // Computes a lease of the step, of which so many are at the site.
  Actions Update(int64_t step, int64_t joint) {
    GrantJoint(step, joint);
    Version(step);
    return Computed();
  }
  template <class Kind>
  static std::vector<Address> To(const Actions& actions) {
    std::vector<Address> to;
    for (const Send& send : Asked<Send>(actions)) {
      if (std::holds_alternative<Kind>(send.message)) to.push_back(send.to);
    }
    return to;
  }

  TimePoint now_{};
  Worker worker_{WorkerOptions{.name = "pi", .incarnation = 77}};
};

TEST_F(WorkerOfASite, PushesAndPullsThroughTheRelay) {
  EXPECT_THAT(To<Pull>(GrantJoint(0, 2)), ElementsAre(kRelay));
  Version(0);
  const Actions actions = Computed();
  EXPECT_THAT(To<Push>(actions), ElementsAre(kRelay));
  EXPECT_EQ(Sent<Push>(actions)[0].joint, 2);
  EXPECT_THAT(To<Pull>(actions), ElementsAre(kRelay));
}

TEST_F(WorkerOfASite, WhatIsNotPartOfASumGoesStraight) {
  EXPECT_THAT(To<Push>(Update(0, 0)), ElementsAre(kLeader));
}

TEST_F(WorkerOfASite, WhereALeaderIsAtTheSiteNothingGoesThroughTheRelay) {
  const Address leader{9, Role::kLeader};
  Hear(Relayout{1, {.number = 2, .parts = {{.range = kAll, .leader = leader}}}});
  EXPECT_THAT(To<Pull>(GrantJoint(0, 2)), ElementsAre(leader));
  Version(0);
  EXPECT_THAT(To<Push>(Computed()), ElementsAre(leader));
}

TEST_F(WorkerOfASite, PushesStraightWhatIsAskedForAgain) {
  const Push push = Sent<Push>(Update(0, 2)).at(0);
  EXPECT_THAT(Hear(PushAgain{1, push.sequence + 1}, kLeader), IsEmpty());
  EXPECT_THAT(Hear(PushAgain{2, push.sequence}, kLeader), IsEmpty()) << "of another term";
  const Actions actions = Hear(PushAgain{1, push.sequence}, kLeader);
  EXPECT_THAT(To<Push>(actions), ElementsAre(kLeader));
  EXPECT_EQ(Sent<Push>(actions)[0].sequence, push.sequence);
  EXPECT_EQ(Sent<Push>(actions)[0].joint, 0);
}

TEST_F(WorkerOfASite, LeavesARelayThatIsGone) {
  Update(0, 2);
  const Actions actions = worker_.OnPeerLost(now_, 9);
  EXPECT_THAT(To<Push>(actions), ElementsAre(kLeader));
  EXPECT_THAT(To<Pull>(actions), ElementsAre(kLeader));
  Hear(PushAck{1, 1, true, 1}, kLeader);
  EXPECT_THAT(To<Push>(Update(1, 2)), ElementsAre(kLeader)) << "until it is told of another one";
  Hear(UseRelay{1, 2, 8, "host:8", {5, 8}});
  Hear(PushAck{1, 2, true, 2}, kLeader);
  EXPECT_THAT(To<Push>(Update(2, 2)), ElementsAre(Address{8, Role::kRelay}));
}

TEST_F(WorkerOfASite, LeavesARelayWhenItIsTold) {
  Update(0, 2);
  EXPECT_THAT(Hear(UseRelay{1, 1, 0, "", {}}), IsEmpty()) << "an old word";
  EXPECT_THAT(To<Push>(Hear(UseRelay{1, 2, 0, "", {}})), ElementsAre(kLeader));
}

}  // namespace
}  // namespace weft::cluster
