// Devices that are not heard of: who is told, and who does their work.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>

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

constexpr Duration kStep = milliseconds(10);

Address WorkerAt(DeviceId device) { return {device, Role::kWorker}; }
Address LeaderAt(DeviceId device) { return {device, Role::kLeader}; }

JobSpec Spec(int64_t devices) {
  JobSpec spec;
  spec.run = "run";
  spec.samples = 240;
  spec.batch = 24;
  spec.epochs = 2;
  spec.trainable_count = 6;
  spec.schedule.lr = 0.5;
  spec.start_workers = devices;
  spec.least_range = 1;
  return spec;
}

// Devices that beat twice a second, but for those that are silent.
class Silence : public ::testing::Test {
 protected:
  void Begin(const JobSpec& spec) {
    coordinator_ = std::make_unique<Coordinator>(spec, store_.get(), 0);
    Note(coordinator_->Start(now_));
    for (int64_t i = 1; i <= spec.start_workers; ++i) Join();
  }
  void Join() {
    const uint64_t number = ++devices_;
    Hello hello{.name = "pi", .incarnation = number};
    hello.endpoint = "10.0.0.1:" + std::to_string(number);
    Note(coordinator_->OnHello(now_, number, hello));
  }
  void Say(Address from, const Message& message) {
    Note(coordinator_->Handle(now_, from, message));
  }
  // All take the seats that they are asked to.
  void Seat() {
    const Reshape reshape = Sent<Reshape>(said_).at(0);
    for (const Layout::Part& part : reshape.to.parts) {
      Say(part.leader, Seated{1, reshape.to.number, part.range, 0, false, ""});
      Say(LeaderAt(part.standby), Seated{1, reshape.to.number, part.range, 0, true, ""});
    }
  }
  void Live(Duration time) {
    for (const TimePoint end = now_ + time; now_ < end;) {
      now_ = now_ + kStep;
      const bool beats = (now_ - TimePoint{}) % milliseconds(500) == Duration(0);
      for (DeviceId device = 1; beats && device <= devices_; ++device) {
        if (!silent_.contains(device)) Say(WorkerAt(device), Heartbeat{.term = 1});
      }
      if (*coordinator_->NextWake() <= now_) Note(coordinator_->Tick(now_));
    }
  }
  // What was said since this was asked last.
  Actions Said() { return std::exchange(said_, {}); }

  TimePoint now_{};
  std::set<DeviceId> silent_;
  std::unique_ptr<Coordinator> coordinator_;

 private:
  void Note(const Actions& actions) { std::ranges::copy(actions, std::back_inserter(said_)); }

  std::unique_ptr<CoordStore> store_ = MakeMemoryStore();
  DeviceId devices_ = 0;
  Actions said_;
};

std::vector<DeviceId> Granted(const Actions& actions) {
  std::vector<DeviceId> devices;
  for (const Send& send : Asked<Send>(actions)) {
    if (std::holds_alternative<Grant>(send.message)) devices.push_back(send.to.device);
  }
  return devices;
}

TEST_F(Silence, ASilentDevicesLeaseGoesToAnotherAndItStays) {
  Begin(Spec(3));
  EXPECT_THAT(Granted(Said()), ElementsAre(1, 2, 3));
  silent_ = {2};
  Live(milliseconds(1240));
  EXPECT_THAT(Emitted<DeviceSilent>(Said()), IsEmpty());
  Live(milliseconds(10));
  const Actions actions = Said();
  ASSERT_THAT(Emitted<DeviceSilent>(actions), SizeIs(1));
  EXPECT_EQ(Emitted<DeviceSilent>(actions)[0].device, 2u);
  EXPECT_EQ(Emitted<DeviceSilent>(actions)[0].silent_s, 1.25);
  ASSERT_THAT(Emitted<LeaseRedealt>(actions), SizeIs(1));
  EXPECT_EQ(Emitted<LeaseRedealt>(actions)[0].from, 2u);
  EXPECT_NE(Emitted<LeaseRedealt>(actions)[0].to, 2u);
  EXPECT_THAT(Asked<CloseConnection>(actions), IsEmpty());
  Live(seconds(2));
  const Actions later = Said();
  EXPECT_THAT(Emitted<DeviceSilent>(later), IsEmpty()) << "said once";
  EXPECT_THAT(Emitted<DeviceLeft>(later), IsEmpty());
  silent_ = {};
  Live(milliseconds(500));
  EXPECT_EQ(Emitted<DeviceHeard>(Said()).at(0).device, 2u);
  EXPECT_NE(coordinator_->devices().Find(2), nullptr);
}

TEST_F(Silence, AfterTheDeviceTimeoutItIsTakenOut) {
  Begin(Spec(2));
  silent_ = {1};
  Live(milliseconds(4990));
  EXPECT_THAT(Emitted<DeviceLeft>(Said()), IsEmpty());
  Live(milliseconds(10));
  EXPECT_EQ(Emitted<DeviceLeft>(Said()).at(0).device, 1u);
}

// The fault is probably here.
TEST_F(Silence, IfAllAreSilentNothingIsTakenFromThem) {
  Begin(Spec(2));
  Said();
  silent_ = {1, 2};
  Live(seconds(2));
  const Actions actions = Said();
  EXPECT_THAT(Emitted<DeviceSilent>(actions), SizeIs(2));
  EXPECT_THAT(Granted(actions), IsEmpty());
  // The first that is heard takes over.
  silent_ = {1};
  Live(milliseconds(500));
  const Actions later = Said();
  EXPECT_EQ(Emitted<DeviceHeard>(later).at(0).device, 2u);
  EXPECT_THAT(Granted(later), ElementsAre(2));
}

TEST_F(Silence, APartOfAMessageIsASign) {
  Begin(Spec(2));
  silent_ = {1};  // its heartbeats wait behind a large update
  for (int i = 0; i < 8; ++i) {
    Live(milliseconds(500));
    coordinator_->OnSign(now_, 1);
  }
  EXPECT_THAT(Emitted<DeviceSilent>(Said()), IsEmpty());
}

TEST_F(Silence, AfterAHaltOfItsOwnNobodyIsSilentAtOnce) {
  Begin(Spec(2));
  Live(seconds(1));
  now_ = now_ + seconds(2);
  EXPECT_THAT(Emitted<DeviceSilent>(coordinator_->Tick(now_)), IsEmpty());
  Live(seconds(3));
  EXPECT_THAT(Emitted<DeviceSilent>(Said()), IsEmpty());
}

TEST_F(Silence, HeartbeatsMayBeFastButSilenceIsHalfASecond) {
  JobSpec spec = Spec(2);
  spec.heartbeat_ms = 20;
  spec.device_timeout_ms = 2000;
  Begin(spec);
  silent_ = {1, 2};  // beats of half a second
  Live(milliseconds(490));
  EXPECT_THAT(Emitted<DeviceSilent>(Said()), IsEmpty());
  Live(milliseconds(10));
  EXPECT_THAT(Emitted<DeviceSilent>(Said()), SizeIs(2));
}

// ---- leaders

class SilentLeader : public Silence {
 protected:
  void SetUp() override {
    JobSpec spec = Spec(4);
    spec.leaders = 3;
    Begin(spec);
    Seat();
    ASSERT_THAT(coordinator_->layout().parts, SizeIs(3));
    before_ = coordinator_->layout();
    Said();
  }
  Layout before_;
};

TEST_F(SilentLeader, IsReplacedByItsStandby) {
  const Layout::Part led = before_.parts[0];
  silent_ = {led.leader.device};
  Live(milliseconds(1250));
  const Actions actions = Said();
  ASSERT_THAT(Emitted<DeviceSilent>(actions), SizeIs(1));
  const LeadersChanged changed = Emitted<LeadersChanged>(actions).at(0);
  EXPECT_EQ(changed.parts[0].leader, LeaderAt(led.standby));
  EXPECT_GT(changed.layout, before_.number);
  for (const Layout::Part& part : changed.parts) {
    EXPECT_NE(part.leader.device, led.leader.device);
    EXPECT_NE(part.standby, led.leader.device) << "nobody waits for it";
  }
  EXPECT_THAT(Emitted<DeviceLeft>(actions), IsEmpty());
  // The step goes on there.
  bool begun = false;
  for (const Send& send : Asked<Send>(actions)) {
    const auto* begin = std::get_if<BeginStep>(&send.message);
    begun |= begin != nullptr && begin->range == led.range && send.to == LeaderAt(led.standby);
  }
  EXPECT_TRUE(begun);
}

TEST_F(SilentLeader, IsNoLongerHeardOfItsRange) {
  const Layout::Part led = before_.parts[0];
  silent_ = {led.leader.device};
  Live(milliseconds(1250));
  Say(led.leader, Committed{.term = 1, .step = 0, .version = 1, .range = led.range});
  const Actions actions = Said();
  EXPECT_THAT(Emitted<DeviceHeard>(actions), SizeIs(1));
  EXPECT_EQ(coordinator_->layout().parts[0].leader, LeaderAt(led.standby));
}

TEST_F(SilentLeader, WithASilentStandbyKeepsItsRange) {
  const Layout::Part led = before_.parts[0];
  silent_ = {led.leader.device, led.standby};
  Live(seconds(2));
  EXPECT_EQ(coordinator_->layout().parts[0].leader, led.leader);
  EXPECT_EQ(coordinator_->layout().parts[0].standby, led.standby);
  // As soon as the standby is heard it leads.
  silent_ = {led.leader.device};
  Live(milliseconds(500));
  EXPECT_EQ(coordinator_->layout().parts[0].leader, LeaderAt(led.standby));
}

TEST_F(SilentLeader, LeavingTheRunLaterChangesNothingMore) {
  silent_ = {before_.parts[0].leader.device};
  Live(milliseconds(1250));
  const uint64_t number = coordinator_->layout().number;
  Live(seconds(4));
  EXPECT_EQ(coordinator_->devices().Find(*silent_.begin()), nullptr);
  EXPECT_EQ(coordinator_->layout().number, number);
}

// ---- streams

TEST_F(Silence, InAStreamItsLeasesAreComputedByOthersAsWell) {
  JobSpec spec = Spec(3);
  spec.aggregation.mode = aggregate::Mode::kAsync;
  spec.samples = 24 * 2;  // all of it is dealt at once
  Begin(spec);
  const Actions first = Said();
  silent_ = {3};
  Live(milliseconds(1250));
  EXPECT_THAT(Granted(Said()), IsEmpty()) << "the others have all that they may have";
  // One has done its part.
  std::vector<Lease> done;
  for (const Send& send : Asked<Send>(first)) {
    const auto* grant = std::get_if<Grant>(&send.message);
    if (grant != nullptr && send.to.device == 1) done.push_back(grant->lease);
  }
  ASSERT_FALSE(done.empty());
  for (const Lease& lease : done) {
    Say({kCoordinatorDevice, Role::kLeader}, Committed{.term = 1,
                                                       .step = 0,
                                                       .version = 1,
                                                       .leases = {lease},
                                                       .devices = {1},
                                                       .samples = lease.count,
                                                       .range = {0, 6}});
  }
  const Actions actions = Said();
  ASSERT_FALSE(Emitted<LeaseRedealt>(actions).empty());
  EXPECT_EQ(Emitted<LeaseRedealt>(actions)[0].from, 3u);
  EXPECT_EQ(Emitted<LeaseRedealt>(actions)[0].to, 1u);
}

}  // namespace
}  // namespace weft::cluster
