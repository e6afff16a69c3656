// Sums of sites: when they are tried, who is told, and which leases they are of.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "cluster/coordinator.h"
#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Asked;
using ::testing::ElementsAre;
using testing::Emitted;
using ::testing::IsEmpty;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kHub = {kCoordinatorDevice, Role::kLeader};

// Device 1 at the hub's site, 2 to 4 at another.
class Sites : public ::testing::Test {
 protected:
  void Begin(SiteSums sums) {
    spec_.run = "run";
    spec_.samples = 1200;
    spec_.batch = 12;
    spec_.trainable_count = 6;
    spec_.start_workers = 4;
    spec_.share_by_speed = false;
    spec_.site = "home";
    spec_.site_sums = sums;
    coordinator_ = std::make_unique<Coordinator>(spec_, store_.get(), 0);
    Note(coordinator_->Start(now_));
    for (DeviceId id = 1; id <= 4; ++id) {
      Hello hello{.name = "pi", .incarnation = id};
      hello.endpoint = "10.0.0.1:" + std::to_string(id);
      hello.site = id == 1 ? "home" : "away";
      Note(coordinator_->OnHello(now_, id, hello));
    }
  }
  void Say(Address from, const Message& message) {
    Note(coordinator_->Handle(now_, from, message));
  }
  // A step that takes so long, of which devices compute for 100 ms.
  void Step(double step_seconds) {
    now_ = now_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(step_seconds));
    for (DeviceId id = 1; id <= 4; ++id) {
      DeviceStats stats;
      stats.lease_seconds = 0.1;
      Say({id, Role::kWorker}, Heartbeat{.term = 1, .version = step_, .leases = 1, .stats = stats});
    }
    Committed record{.term = 1, .step = step_, .version = step_ + 1, .samples = 12};
    for (int64_t slot = 0; slot < 4; ++slot) {
      record.leases.push_back({.id = static_cast<uint64_t>(step_ * kLeaseIdsPerStep + slot) + 1,
                               .step = step_,
                               .slot = slot,
                               .begin = 12 * step_ + 3 * slot,
                               .count = 3});
      record.devices.push_back(static_cast<DeviceId>(slot + 1));
    }
    record.range = {0, 6};
    ++step_;
    Say(kHub, record);
  }
  Actions Said() { return std::exchange(said_, {}); }
  std::vector<int64_t> Joint(const Actions& actions) {
    std::vector<int64_t> joint;
    for (const Grant& grant : Sent<Grant>(actions)) joint.push_back(grant.joint);
    return joint;
  }

  JobSpec spec_;
  TimePoint now_{};
  int64_t step_ = 0;
  std::unique_ptr<Coordinator> coordinator_;
  void Note(const Actions& actions) { std::ranges::copy(actions, std::back_inserter(said_)); }

 private:
  std::unique_ptr<CoordStore> store_ = MakeMemoryStore();
  Actions said_;
};

TEST_F(Sites, ThoseOfOneRelayArePushedAsOneSum) {
  Begin(SiteSums::kAlways);
  const Actions actions = Said();
  EXPECT_THAT(Joint(actions), ElementsAre(0, 3, 3, 3));
  std::vector<Address> told;
  for (const Send& send : Asked<Send>(actions)) {
    if (std::holds_alternative<UseRelay>(send.message)) told.push_back(send.to);
  }
  EXPECT_THAT(told, ElementsAre(Address{2, Role::kRelay}, Address{2, Role::kWorker},
                                Address{3, Role::kWorker}, Address{4, Role::kWorker}));
  EXPECT_EQ(Sent<UseRelay>(actions)[0].endpoint, "10.0.0.1:2");
  ASSERT_THAT(Emitted<SitesChanged>(actions), SizeIs(1));
  EXPECT_EQ(Describe(Emitted<SitesChanged>(actions)[0]),
            "3 devices at away send one sum through device 2");
}

TEST_F(Sites, WhatIsDealtAnewGoesStraight) {
  Begin(SiteSums::kAlways);
  Said();
  Say({3, Role::kWorker}, Bye{"off"});
  const Actions actions = Said();
  EXPECT_THAT(Joint(actions), ElementsAre(0));
  EXPECT_THAT(Sent<UseRelay>(actions), SizeIs(3)) << "two are left, and the relay";
}

TEST_F(Sites, WithoutTheRelayAnotherIsTold) {
  Begin(SiteSums::kAlways);
  Said();
  Note(coordinator_->OnDisconnected(now_, 2, "reset"));
  for (const UseRelay& use : Sent<UseRelay>(Said())) EXPECT_EQ(use.relay, 3u);
}

TEST_F(Sites, AreTriedAndStayIfStepsAreShorter) {
  Begin(SiteSums::kAuto);
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(Joint(Said()), ElementsAre(0, 0, 0, 0)) << "step " << i;
    Step(2);
  }
  const Actions actions = Said();
  EXPECT_THAT(Joint(actions), ElementsAre(0, 3, 3, 3));
  EXPECT_EQ(Emitted<SitesChanged>(actions).at(0).reason, "a trial");
  for (int i = 0; i < 8; ++i) {
    Step(1);
    EXPECT_THAT(Joint(Said()), ElementsAre(0, 3, 3, 3)) << "step " << i;
  }
}

TEST_F(Sites, AreGivenUpIfStepsAreNoShorter) {
  Begin(SiteSums::kAuto);
  for (int i = 0; i < 5; ++i) Step(2);
  Said();
  for (int i = 0; i < 4; ++i) Step(2);
  const Actions actions = Said();
  ASSERT_THAT(Emitted<SitesChanged>(actions), SizeIs(1));
  EXPECT_EQ(Describe(Emitted<SitesChanged>(actions)[0]),
            "no site sends sums from now on: steps took as long with sums");
  Step(2);
  EXPECT_THAT(Joint(Said()), ElementsAre(0, 0, 0, 0));
}

TEST_F(Sites, NotWhereOneUpdateMustBeToldFromAnother) {
  spec_.aggregation.combine = aggregate::Combine::kMedian;
  Begin(SiteSums::kAlways);
  EXPECT_THAT(Joint(Said()), ElementsAre(0, 0, 0, 0));
}

TEST_F(Sites, NotIfTheyAreNotWanted) {
  Begin(SiteSums::kNever);
  for (int i = 0; i < 8; ++i) Step(2);
  const Actions actions = Said();
  EXPECT_THAT(Sent<UseRelay>(actions), IsEmpty());
  EXPECT_THAT(Joint(actions), ::testing::Each(0));
}

}  // namespace
}  // namespace weft::cluster
