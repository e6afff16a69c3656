// One call at a time; whole runs are in sim/.

#include "cluster/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Asked;
using ::testing::ElementsAre;
using testing::Emitted;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};

Address WorkerAt(DeviceId device) { return {device, Role::kWorker}; }

JobSpec Spec() {
  JobSpec spec;
  spec.run = "run";
  spec.token = "secret";
  spec.job = "{\"job\":1}";
  spec.model = "model";
  spec.samples = 20;
  spec.batch = 8;
  spec.epochs = 2;
  spec.trainable_count = 2;
  spec.schedule.lr = 0.5;
  return spec;
}

Hello From(uint64_t incarnation, DeviceId device = 0) {
  Hello hello;
  hello.name = "pi";
  hello.token = "secret";
  hello.incarnation = incarnation;
  hello.device = device;
  return hello;
}

class BrokenStore : public CoordStore {
 public:
  Result<std::optional<std::string>> Get(const std::string&) override { return Broken(); }
  Status Put(const std::map<std::string, std::string>&) override { return Broken(); }
  Result<std::map<std::string, std::string>> List(const std::string&) override { return Broken(); }

 private:
  static Status Broken() { return base::Unavailable("no store"); }
};

class CoordinatorTest : public ::testing::Test {
 protected:
  void Make(const JobSpec& spec, int64_t first_step = 0) {
    spec_ = spec;
    coordinator_ = std::make_unique<Coordinator>(spec, store_.get(), first_step);
    first_ = coordinator_->Start(now_);
  }
  Actions Join(uint64_t number) { return coordinator_->OnHello(now_, number, From(number)); }
  Actions Say(Address from, const Message& message) {
    return coordinator_->Handle(now_, from, message);
  }
  void Pass(Duration time) { now_ = now_ + time; }
  // The step that is begun, and of which step a checkpoint is asked for; -1: none.
  static BeginStep Begun(const Actions& actions) { return Sent<BeginStep>(actions).back(); }
  static int64_t AskedToSave(const Actions& actions) {
    const BeginStep first = Sent<BeginStep>(actions).at(0);
    return first.checkpoint ? first.step : -1;
  }
  // The leader says that the step is applied, computed by this device.
  Actions Commit(const BeginStep& begin, DeviceId device = 1) {
    return Say(kLeader, Committed{.term = begin.term,
                                  .step = begin.step,
                                  .version = begin.step + 1,
                                  .leases = begin.leases,
                                  .devices = std::vector<DeviceId>(begin.leases.size(), device),
                                  .loss_sum = 16,
                                  .correct = 4,
                                  .samples = begin.total_samples,
                                  .gradient_norm = 2,
                                  .problem = {},
                                  .range = begin.range});
  }

  TimePoint now_{};
  JobSpec spec_;
  std::unique_ptr<CoordStore> store_ = MakeMemoryStore();
  std::unique_ptr<Coordinator> coordinator_;
  Actions first_;
};

TEST_F(CoordinatorTest, AdmitsGreetsAndBegins) {
  Make(Spec());
  EXPECT_EQ(Emitted<WaitingForWorkers>(first_).at(0).want, 1);
  const Actions actions = Join(31);
  EXPECT_EQ(Asked<Admit>(actions).at(0).connection, 31u);
  const Welcome welcome = Sent<Welcome>(actions).at(0);
  EXPECT_EQ(welcome.device, 1u);
  EXPECT_EQ(welcome.term, 1u);
  EXPECT_EQ(welcome.job, "{\"job\":1}");
  EXPECT_EQ(welcome.model, "model");
  ASSERT_EQ(welcome.layout.parts.size(), 1u);
  EXPECT_EQ(welcome.layout.parts[0].leader, kLeader);
  const BeginStep begin = Sent<BeginStep>(actions).at(0);
  EXPECT_EQ(begin.step, 0);
  EXPECT_EQ(begin.total_samples, 8);
  EXPECT_EQ(begin.lr, 0.5);
  EXPECT_FALSE(begin.checkpoint);
  const Grant grant = Sent<Grant>(actions).at(0);
  EXPECT_EQ(grant.lease, begin.leases.at(0));
  EXPECT_EQ(grant.version, 0);
  EXPECT_EQ(grant.next.step, 1);
  EXPECT_EQ(grant.next.begin, 8);
}

TEST_F(CoordinatorTest, AWrongTokenIsRefusedForGood) {
  Make(Spec());
  for (const char* token : {"", "secre", "secret!", "Secret"}) {
    Hello hello = From(1);
    hello.token = token;
    const Actions actions = coordinator_->OnHello(now_, 9, hello);
    const Refuse refuse = Sent<Refuse>(actions).at(0);
    EXPECT_EQ(refuse.code, 16) << token;
    EXPECT_FALSE(refuse.retry);
    EXPECT_EQ(Asked<CloseConnection>(actions).at(0).connection, 9u);
    EXPECT_THAT(Asked<Admit>(actions), IsEmpty());
  }
}

TEST_F(CoordinatorTest, StepsFollowEachOtherAndEpochsEndWithACheckpoint) {
  Make(Spec());
  Actions actions = Join(1);
  for (int64_t step = 0; step < 6; ++step) {
    const BeginStep begin = Begun(actions);
    EXPECT_EQ(begin.step, step);
    EXPECT_EQ(begin.total_samples, step % 3 == 2 ? 4 : 8);
    actions = Commit(begin);
    EXPECT_EQ(AskedToSave(actions), step % 3 == 2 ? step : -1);
    const StepDone done = Emitted<StepDone>(actions).at(0);
    EXPECT_EQ(done.step, step);
    EXPECT_EQ(done.loss, 16.0 / static_cast<double>(begin.total_samples));
    EXPECT_EQ(Emitted<EpochDone>(actions).size(), step % 3 == 2 ? 1u : 0u);
  }
  EXPECT_EQ(Emitted<EpochDone>(actions).at(0).lost, 0);
  EXPECT_NEAR(Emitted<EpochDone>(actions)[0].loss, 48.0 / 20, 1e-12);
  EXPECT_NEAR(Emitted<EpochDone>(actions)[0].accuracy, 12.0 / 20, 1e-12);
  EXPECT_FALSE(coordinator_->done()) << "the last checkpoint is not written";
  actions = Say(kLeader, CheckpointDone{1, 6, "here", ""});
  EXPECT_EQ(Emitted<RunDone>(actions).at(0).how, RunDone::How::kCompleted);
  EXPECT_EQ(Sent<Finished>(actions).at(0).code, 0);
  EXPECT_TRUE(Asked<Stop>(actions).at(0).status.ok());
}

// The ledger believes what was applied, not what was planned.
TEST_F(CoordinatorTest, WhatALeaderDidNotApplyIsLostAndWhatItAppliedTwiceIsDuplicated) {
  Make(Spec());
  Actions actions = Join(1);
  for (int64_t step = 0; step < 3; ++step) {
    BeginStep begin = Sent<BeginStep>(actions).at(0);
    if (step == 1) begin.leases[0].begin -= 3;
    actions = Commit(begin);
  }
  EXPECT_EQ(Emitted<EpochDone>(actions).at(0).lost, 3);
  EXPECT_EQ(Emitted<EpochDone>(actions).at(0).duplicated, 3);
  EXPECT_EQ(coordinator_->ledger().lost_samples(), 3);
}

TEST_F(CoordinatorTest, MessagesOfAnotherTermAreNotHeard) {
  Make(Spec());
  Make(Spec());  // a second start: term 2
  EXPECT_EQ(coordinator_->term(), 2u);
  BeginStep begin = Sent<BeginStep>(Join(1)).at(0);
  const Lease lease = begin.leases[0];
  for (uint64_t term : {1, 3}) {
    begin.term = term;
    EXPECT_THAT(Commit(begin), IsEmpty());
    EXPECT_THAT(Say(WorkerAt(1), Fault{term, 0, 9, "NaN"}), IsEmpty());
    EXPECT_THAT(Say(WorkerAt(1), ReturnLease{term, lease, "no"}), IsEmpty());
    EXPECT_THAT(Say(WorkerAt(1), Heartbeat{term, 5, 5}), IsEmpty());
    EXPECT_THAT(Say(kLeader, CheckpointDone{term, 3, "x", ""}), IsEmpty());
  }
}

TEST_F(CoordinatorTest, OnlyTheLeaderCommits) {
  Make(Spec());
  const BeginStep begin = Sent<BeginStep>(Join(1)).at(0);
  Committed forged;
  forged.term = 1;
  forged.leases = begin.leases;
  EXPECT_THAT(Emitted<Warning>(Say(WorkerAt(1), forged)), SizeIs(1));
  EXPECT_THAT(Emitted<Warning>(Say(WorkerAt(1), CheckpointDone{1, 3, "x", ""})), SizeIs(1));
  EXPECT_THAT(Emitted<Warning>(Say(WorkerAt(1), Pull{})), SizeIs(1));
  EXPECT_THAT(Say(WorkerAt(7), forged), IsEmpty()) << "who is that";
  EXPECT_EQ(coordinator_->ledger().covered(), 0);
}

TEST_F(CoordinatorTest, ACommitIsCountedOnce) {
  Make(Spec());
  const BeginStep begin = Sent<BeginStep>(Join(1)).at(0);
  EXPECT_THAT(Emitted<StepDone>(Commit(begin)), SizeIs(1));
  EXPECT_THAT(Commit(begin), IsEmpty());
  EXPECT_EQ(coordinator_->ledger().duplicated_samples(), 0);
}

TEST_F(CoordinatorTest, ASilentDeviceIsTakenOut) {
  Make(Spec());
  Join(1);
  EXPECT_EQ(*coordinator_->NextWake(), now_ + milliseconds(250)) << "half a heartbeat";
  now_ = now_ + std::chrono::seconds(3);
  Join(2);
  Say(WorkerAt(2), Heartbeat{1, 10, 1});
  now_ = TimePoint{} + std::chrono::seconds(5);
  const Actions actions = coordinator_->Tick(now_);
  EXPECT_EQ(Emitted<DeviceLeft>(actions).at(0).device, 1u);
  EXPECT_TRUE(Sent<Refuse>(actions).at(0).retry);
  EXPECT_EQ(Asked<CloseConnection>(actions).at(0).connection, 1u);
  EXPECT_EQ(Emitted<LeaseRedealt>(actions).at(0).to, 2u);
  EXPECT_THAT(Sent<Grant>(actions), SizeIs(1));
}

TEST_F(CoordinatorTest, ADeviceThatComesBackGetsItsLeaseAgain) {
  Make(Spec());
  Join(1);
  // The hub has not noticed that the old connection broke.
  const Actions actions = coordinator_->OnHello(now_, 50, From(1, 1));
  EXPECT_EQ(Asked<CloseConnection>(actions).at(0).connection, 1u);
  EXPECT_EQ(Asked<Admit>(actions).at(0).device, 1u);
  EXPECT_TRUE(Emitted<DeviceJoined>(actions).at(0).again);
  EXPECT_THAT(Sent<Grant>(actions), SizeIs(1));
  EXPECT_THAT(Emitted<LeaseRedealt>(actions), IsEmpty());
}

TEST_F(CoordinatorTest, ACheckpointThatFailedIsAskedForAgainAtTheEnd) {
  JobSpec spec = Spec();
  spec.pause_for_eval = true;
  Make(spec);
  Actions actions = Join(1);
  for (int step = 0; step < 3; ++step) actions = Commit(Sent<BeginStep>(actions).at(0));
  Say(kLeader, CheckpointDone{1, 3, "", "disk full"});
  actions = coordinator_->StopEarly(now_, "target reached");
  const BeginStep again = Sent<BeginStep>(actions).at(0);
  EXPECT_EQ(again.step, 2);
  EXPECT_TRUE(again.checkpoint);
  EXPECT_FALSE(coordinator_->done());
  actions = Say(kLeader, CheckpointDone{1, 3, "", "disk full"});
  EXPECT_TRUE(coordinator_->done()) << "twice is enough";
  EXPECT_EQ(Emitted<RunDone>(actions).at(0).how, RunDone::How::kStoppedEarly);
}

// ---- gray failures

TEST_F(CoordinatorTest, AnswersEachHeartbeat) {
  Make(Spec());
  EXPECT_EQ(Sent<Welcome>(Join(1)).at(0).device_timeout_ms, 5000);
  const auto answers = Sent<HeartbeatAck>(Say(WorkerAt(1), Heartbeat{1, 10, 1}));
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].term, 1u);
}

TEST_F(CoordinatorTest, AfterAHaltOfItsOwnItLooksASecondTime) {
  Make(Spec());
  Join(1);
  Pass(seconds(20));  // the process was stopped; heartbeats wait behind this call
  EXPECT_THAT(Emitted<DeviceLeft>(coordinator_->Tick(now_)), IsEmpty());
  EXPECT_THAT(Emitted<DeviceSilent>(coordinator_->Tick(now_)), IsEmpty());
  Say(WorkerAt(1), Heartbeat{1, 10, 1, 0, 1});
  Pass(milliseconds(500));
  EXPECT_THAT(Emitted<DeviceLeft>(coordinator_->Tick(now_)), IsEmpty());
  Pass(seconds(20));
  coordinator_->Tick(now_);
  Pass(milliseconds(500));
  EXPECT_THAT(Emitted<DeviceLeft>(coordinator_->Tick(now_)), SizeIs(1)) << "it is really silent";
}

TEST_F(CoordinatorTest, AGrantThatDidNotComeGoesToAnother) {
  Make(Spec());
  const Lease lease = Sent<Grant>(Join(1)).at(0).lease;
  Join(2);
  const Heartbeat knows_nothing{1, 0, 0, -1, 0};
  Pass(milliseconds(4900));
  EXPECT_THAT(Sent<Grant>(Say(WorkerAt(1), knows_nothing)), IsEmpty()) << "it may be under way";
  Say(WorkerAt(2), knows_nothing);
  Pass(milliseconds(100));
  const Actions actions = Say(WorkerAt(1), knows_nothing);
  ASSERT_THAT(Sent<Grant>(actions), SizeIs(1));
  EXPECT_EQ(Sent<Grant>(actions)[0].lease, lease);
  EXPECT_FALSE(Sent<Grant>(actions)[0].again);
  EXPECT_EQ(Emitted<LeaseRedealt>(actions).at(0).to, 2u);
  EXPECT_THAT(Sent<Grant>(Say(WorkerAt(1), knows_nothing)), IsEmpty()) << "it holds nothing now";
}

TEST_F(CoordinatorTest, AFirstLeaseThatTakesTooLongTellsThatTheDeviceIsSlow) {
  JobSpec spec = Spec();
  spec.samples = 160;
  spec.start_workers = 2;
  Make(spec);
  Join(1);
  BeginStep begin = Begun(Join(2));
  const auto beat = [&](DeviceId device, double sample_seconds) {
    Say(WorkerAt(device), Heartbeat{.term = 1, .stats = {.sample_seconds = sample_seconds}});
  };
  for (int i = 0; i < 61; ++i) {
    Pass(seconds(1));
    beat(1, 0.1);
    beat(2, 0);
  }
  Say(kLeader, Missing{.term = 1, .step = 0, .slots = {1}, .range = begin.range});
  begin = Begun(Commit(begin));
  EXPECT_THAT(begin.leases, SizeIs(1)) << "the second device sits the next step out";
  begin = Begun(Commit(begin));
  EXPECT_THAT(begin.leases, SizeIs(1)) << "it is not free yet";
  beat(2, 0.1);
  begin = Begun(Commit(begin));
  EXPECT_THAT(begin.leases, SizeIs(2)) << "it said that it does not";
}

TEST_F(CoordinatorTest, AGrantThatDidNotComeIsSaidAgainIfThereIsNobodyElse) {
  Make(Spec());
  Join(1);
  const Heartbeat knows_nothing{1, 0, 0, -1, 0};
  size_t grants = 0;
  for (int beat = 1; beat <= 100; ++beat) {
    Pass(milliseconds(500));
    const auto again = Sent<Grant>(Say(WorkerAt(1), knows_nothing));
    for (const Grant& grant : again) EXPECT_TRUE(grant.again);
    grants += again.size();
  }
  EXPECT_EQ(grants, 3u) << "after 5, 10 and 20 seconds more";
}

TEST_F(CoordinatorTest, WhatAWorkerKnowsOfStaysWithIt) {
  Make(Spec());
  Join(1);
  Join(2);
  Pass(seconds(30));
  for (const Heartbeat& beat : {Heartbeat{1, 0, 0, 0, 1}, Heartbeat{1, 0, 0, 1, 0},
                                Heartbeat{.term = 1}, Heartbeat{2, 0, 0, -1, 0}}) {
    EXPECT_THAT(Sent<Grant>(Say(WorkerAt(1), beat)), IsEmpty());
  }
}

// A step of two leases with three steps of one second each behind it.
class LateLeaseTest : public CoordinatorTest {
 protected:
  void SetUp() override {
    JobSpec spec = Spec();
    spec.start_workers = 2;
    spec.device_timeout_ms = 2000;
    spec.epochs = 100;
    Make(spec);
    Join(1);
    Actions actions = Join(2);
    for (int step = 0; step < 4; ++step) {
      begin_ = Begun(actions);
      if (step == 3) break;
      Beat(seconds(1));
      actions = Commit(begin_);
    }
    ASSERT_THAT(begin_.leases, SizeIs(2));
  }
  // Lets time pass, in which both devices and their leases are well.
  Actions Beat(Duration time) {
    const TimePoint end = now_ + time;
    Actions all;
    const auto add = [&](const Actions& more) { all.insert(all.end(), more.begin(), more.end()); };
    while (now_ < end) {
      Pass(milliseconds(500));
      for (DeviceId device : {1, 2}) add(Say(WorkerAt(device), Heartbeat{1, 0, 0, begin_.step, 9}));
      add(coordinator_->Tick(now_));
    }
    return all;
  }
  BeginStep begin_;  // of the step under way
};

TEST_F(LateLeaseTest, ALeaseThatTakesFarLongerThanStepsDoGoesToAnotherAsWell) {
  EXPECT_THAT(Sent<AskMissing>(Beat(milliseconds(3500))), IsEmpty());
  EXPECT_EQ(Sent<AskMissing>(Beat(milliseconds(500))).at(0).step, begin_.step) << "4 steps' time";
  const Actions actions = Say(kLeader, Missing{1, begin_.step, {1}, {0, 2}});
  const Grant grant = Sent<Grant>(actions).at(0);
  EXPECT_EQ(grant.lease, begin_.leases[1]);
  EXPECT_EQ(Emitted<LeaseRedealt>(actions).at(0).from, 2u);
  EXPECT_EQ(Emitted<LeaseRedealt>(actions).at(0).to, 1u);
  EXPECT_THAT(Sent<Grant>(Say(kLeader, Missing{1, begin_.step, {1}, {0, 2}})), IsEmpty()) << "once";
  // The second device was overtaken and sits out a step.
  EXPECT_THAT(Sent<BeginStep>(Commit(begin_, 1)).at(0).leases, SizeIs(1));
}

TEST_F(LateLeaseTest, AStepThatNobodyFinishesIsAskedAfterForEverButSeldomDealt) {
  size_t grants = 0;
  size_t asked = 0;
  for (int i = 0; i < 400; ++i) {
    asked += Sent<AskMissing>(Beat(milliseconds(500))).size();
    grants += Sent<Grant>(Say(kLeader, Missing{1, begin_.step, {0, 1}, {0, 2}})).size();
  }
  EXPECT_GE(asked, 99u);
  EXPECT_EQ(grants, 2 * 5u) << "after 4, 8, 16, 32 and 64 seconds more";
}

TEST_F(LateLeaseTest, OnlyTheLeaderSaysWhatIsMissingAndOnlyOfThisStep) {
  Beat(seconds(10));
  EXPECT_THAT(Emitted<Warning>(Say(WorkerAt(1), Missing{1, begin_.step, {0}, {0, 2}})), SizeIs(1));
  EXPECT_THAT(Say(kLeader, Missing{2, begin_.step, {0}, {0, 2}}), IsEmpty());
  EXPECT_THAT(Say(kLeader, Missing{1, begin_.step - 1, {0}, {0, 2}}), IsEmpty());
  EXPECT_THAT(Say(kLeader, Missing{1, begin_.step, {-1, 2, int64_t{1} << 40}, {0, 2}}), IsEmpty());
}

// ---- what a transport may do

TEST_F(CoordinatorTest, AHelloThatComesTwiceIsHeardOnce) {
  Make(Spec());
  Join(1);
  EXPECT_THAT(Say(WorkerAt(1), From(1)), IsEmpty());
  EXPECT_THAT(Emitted<Warning>(Say(WorkerAt(1), From(2))), SizeIs(1)) << "another's";
}

TEST_F(CoordinatorTest, AReturnOrAByeThatComesTwiceCountsOnce) {
  Make(Spec());
  const Lease lease = Sent<Grant>(Join(1)).at(0).lease;
  Join(2);
  const ReturnLease returned{1, lease, "no data"};
  EXPECT_EQ(Emitted<LeaseRedealt>(Say(WorkerAt(1), returned)).at(0).to, 2u);
  EXPECT_THAT(Say(WorkerAt(1), returned), IsEmpty());
  EXPECT_THAT(Emitted<DeviceLeft>(Say(WorkerAt(1), Bye{"done"})), SizeIs(1));
  EXPECT_THAT(Say(WorkerAt(1), Bye{"done"}), IsEmpty());
}

TEST_F(CoordinatorTest, AResumedRunTakesItsLedgerAlong) {
  JobSpec spec = Spec();
  spec.checkpoint_every = 2;
  Make(spec);
  Actions actions = Join(1);
  BeginStep begin = Sent<BeginStep>(actions).at(0);
  begin.leases[0].count -= 1;  // position 7 is never applied
  actions = Commit(begin);
  Commit(Sent<BeginStep>(actions).at(0));
  Make(spec, 2);
  actions = Join(1);
  begin = Sent<BeginStep>(actions).at(0);
  EXPECT_EQ(begin.step, 2);
  ASSERT_THAT(begin.leases, SizeIs(2)) << "what was not applied is dealt now";
  EXPECT_EQ(begin.leases[0].begin, 7);
  EXPECT_EQ(begin.leases[0].count, 1);
  actions = Commit(begin);
  EXPECT_EQ(Emitted<EpochDone>(actions).at(0).lost, 0);
}

TEST_F(CoordinatorTest, ADrainedRunTakesItsLedgerAlong) {
  Make(Spec());
  BeginStep begin = Sent<BeginStep>(Join(1)).at(0);
  begin.leases[0].count -= 1;  // position 7 is never applied
  Commit(begin);
  const Actions actions = coordinator_->OnDisconnected(now_, 1, "gone");
  EXPECT_EQ(Sent<BeginStep>(actions).at(0).step, 0) << "the checkpoint of what is applied";
  coordinator_->Drain(now_, "asked to");
  EXPECT_FALSE(coordinator_->done()) << "it waits for the checkpoint";
  Say(kLeader, CheckpointDone{1, 1, "here", ""});
  EXPECT_TRUE(coordinator_->done());
  Make(Spec(), 1);
  EXPECT_EQ(coordinator_->ledger().covered(), 7);
}

TEST_F(CoordinatorTest, AFinishedRunThatIsResumedEndsAtOnce) {
  Make(Spec(), 6);
  EXPECT_EQ(Emitted<RunDone>(first_).at(0).how, RunDone::How::kCompleted);
  EXPECT_FALSE(Sent<Refuse>(Join(1)).at(0).retry);
}

TEST_F(CoordinatorTest, WithoutItsStoreItDoesNotStart) {
  store_ = std::make_unique<BrokenStore>();
  Make(Spec());
  EXPECT_EQ(Asked<Stop>(first_).at(0).status.code(), Code::kUnavailable);
  EXPECT_THAT(Asked<Stop>(first_)[0].status.message(), HasSubstr("no store"));
}

TEST_F(CoordinatorTest, AnUnknownFaultCodeIsStillAFault) {
  for (int32_t code : {0, -5, 999}) {
    store_ = MakeMemoryStore();
    Make(Spec());
    Join(1);
    const Actions actions = Say(WorkerAt(1), Fault{coordinator_->term(), 0, code, "odd"});
    EXPECT_EQ(Asked<Stop>(actions).at(0).status.code(), Code::kUnknown) << code;
  }
}

TEST_F(CoordinatorTest, ALeaseThatAllReturnedWaitsAWhileForAnotherDevice) {
  JobSpec spec = Spec();
  spec.deterministic = true;  // one lease
  Make(spec);
  const auto begin = Sent<BeginStep>(Join(1))[0];
  const auto give_back = [&](DeviceId device) {
    return Say(WorkerAt(device), ReturnLease{begin.term, begin.leases[0], "no data here"});
  };
  EXPECT_THAT(Emitted<RunDone>(give_back(1)), IsEmpty());
  Pass(seconds(4));
  EXPECT_THAT(Sent<Grant>(Join(2)), SizeIs(1)) << "the new one tries";
  const auto beat = [&] {
    for (const DeviceId device : {1u, 2u}) Say(WorkerAt(device), Heartbeat{begin.term, 0, 0});
  };
  beat();
  EXPECT_THAT(Emitted<RunDone>(give_back(2)), IsEmpty());
  Pass(seconds(4));
  beat();
  EXPECT_THAT(Emitted<RunDone>(coordinator_->Tick(now_)), IsEmpty());
  Pass(seconds(1));
  EXPECT_LE(*coordinator_->NextWake(), now_);
  const auto done = Emitted<RunDone>(coordinator_->Tick(now_));
  ASSERT_THAT(done, SizeIs(1));
  EXPECT_THAT(done[0].reason, HasSubstr("no device can compute lease 0.0"));
  EXPECT_THAT(done[0].reason, HasSubstr("no data here"));
}

// The one that could have computed it dies after all others have given it back.
TEST_F(CoordinatorTest, ALeaseWhoseLastHopeDiesEndsTheRunToo) {
  JobSpec spec = Spec();
  spec.deterministic = true;
  Make(spec);
  const auto begin = Sent<BeginStep>(Join(1))[0];
  Join(2);
  EXPECT_THAT(Sent<Grant>(Say(WorkerAt(1), ReturnLease{begin.term, begin.leases[0], "no"})),
              SizeIs(1));
  coordinator_->OnDisconnected(now_, 2, "connection reset");
  Say(WorkerAt(1), Heartbeat{begin.term, 0, 0});
  Pass(seconds(4));
  Say(WorkerAt(1), Heartbeat{begin.term, 0, 0});
  Pass(seconds(1));
  EXPECT_THAT(Emitted<RunDone>(coordinator_->Tick(now_)), SizeIs(1));
}

}  // namespace
}  // namespace weft::cluster
