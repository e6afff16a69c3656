#include "cluster/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using testing::Asked;
using ::testing::ElementsAre;
using testing::Emitted;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kCoordinator = {kCoordinatorDevice, Role::kCoordinator};
constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};

Lease LeaseOf(int64_t step, int64_t slot = 0) {
  return {.id = static_cast<uint64_t>(step * 1000 + slot + 1),
          .step = step,
          .slot = slot,
          .begin = 10 * slot,
          .count = 10};
}

constexpr Range kAll = {0, 4};  // the whole vector

Payload SomeBytes() { return std::make_shared<Bytes>(Bytes{1, 2, 3}); }

WorkerOptions Options() {
  WorkerOptions options;
  options.name = "pi";
  options.token = "secret";
  options.program = "weft test";
  options.incarnation = 77;
  return options;
}

class WorkerTest : public ::testing::Test {
 protected:
  Actions Hear(const Message& message, Address from = kCoordinator) {
    return worker_.Handle(now_, from, message);
  }
  Actions Join(uint64_t term = 1, DeviceId device = 5) { return Hear(WelcomeOf(term, device)); }
  Welcome WelcomeOf(uint64_t term, DeviceId device) const {
    Welcome welcome;
    welcome.device = device;
    welcome.term = term;
    welcome.run = "run";
    welcome.layout = {.number = 1, .parts = {{.range = kAll, .leader = kLeader}}};
    welcome.heartbeat_ms = 500;
    welcome.device_timeout_ms = device_timeout_ms_;
    return welcome;
  }
  void Connect() {
    worker_.Start(now_);
    worker_.OnConnected(now_);
    Join();
  }
  Actions Reconnect(uint64_t term = 1) {
    now_ = *worker_.NextWake();
    worker_.Tick(now_);
    worker_.OnConnected(now_);
    return Join(term);
  }
  Actions GrantOf(const Lease& lease, const Lease& next = {}) {
    return Hear(Grant{worker_term_, lease, lease.step, next});
  }
  Actions Version(int64_t version) {
    return Hear(Parameters{worker_term_, version, SomeBytes(), {0, 4}}, kLeader);
  }
  // The next time it wants to be called.
  Actions Wake() {
    now_ = *worker_.NextWake();
    return worker_.Tick(now_);
  }
  Actions Computed() { return worker_.OnComputed(now_, {5.0, 3, {{{0, 4}, SomeBytes()}}, 100}); }

  TimePoint now_{};
  uint64_t worker_term_ = 1;
  int64_t device_timeout_ms_ = 2000;
  Worker worker_{Options()};
};

TEST_F(WorkerTest, DialsGreetsAndJoins) {
  EXPECT_THAT(Asked<cluster::Connect>(worker_.Start(now_)), SizeIs(1));
  const auto hello = Sent<Hello>(worker_.OnConnected(now_));
  ASSERT_THAT(hello, SizeIs(1));
  EXPECT_EQ(hello[0].name, "pi");
  EXPECT_EQ(hello[0].token, "secret");
  EXPECT_EQ(hello[0].incarnation, 77u);
  EXPECT_EQ(hello[0].device, 0u);
  EXPECT_FALSE(worker_.joined());
  EXPECT_THAT(Asked<OpenRun>(Join()), SizeIs(1));
  EXPECT_TRUE(worker_.joined());
  EXPECT_EQ(worker_.address(), (Address{5, Role::kWorker}));
}

TEST_F(WorkerTest, PullsComputesPushesAndAsksForTheNextVersion) {
  Connect();
  Actions actions = GrantOf(LeaseOf(0));
  EXPECT_EQ(Sent<Pull>(actions).at(0).version, 0);
  EXPECT_THAT(Asked<Compute>(actions), IsEmpty());
  actions = Version(0);
  ASSERT_THAT(Asked<Compute>(actions), SizeIs(1));
  EXPECT_EQ(Asked<Compute>(actions)[0].lease, LeaseOf(0));
  actions = Computed();
  const Push push = Sent<Push>(actions).at(0);
  EXPECT_EQ(push.sequence, 1u);
  EXPECT_EQ(push.device, 5u);
  EXPECT_EQ(push.loss_sum, 5.0);
  EXPECT_EQ(push.correct, 3);
  EXPECT_EQ(Sent<Pull>(actions).at(0).version, 1);
  EXPECT_EQ(worker_.unacknowledged(), 1u);
  actions = Hear(PushAck{1, 1, true, 1}, kLeader);
  EXPECT_TRUE(Asked<Settled>(actions).at(0).applied);
  EXPECT_EQ(worker_.unacknowledged(), 0u);
  // The next grant finds its parameters already asked for.
  EXPECT_THAT(Sent<Pull>(GrantOf(LeaseOf(1))), IsEmpty());
  EXPECT_THAT(Asked<Compute>(Version(1)), SizeIs(1));
}

TEST_F(WorkerTest, PushesARangeWhileTheRestIsComputed) {
  Connect();
  Version(0);
  const Compute compute = Asked<Compute>(GrantOf(LeaseOf(0))).at(0);
  ASSERT_THAT(compute.pieces, SizeIs(1));
  EXPECT_EQ(compute.pieces[0].range, kAll);
  EXPECT_EQ(*compute.pieces[0].values, *SomeBytes());
  EXPECT_EQ(compute.ranges, std::vector<Range>{kAll});
  const auto first = Sent<Push>(worker_.OnPart(now_, {1, 3}, SomeBytes(), 5.0, 3));
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_EQ(first[0].range, (Range{1, 3}));
  EXPECT_EQ(first[0].loss_sum, 5.0);
  const auto rest = Sent<Push>(worker_.OnComputed(now_, {5.0, 3, {{{0, 1}, SomeBytes()}}, 100}));
  ASSERT_THAT(rest, SizeIs(1));
  EXPECT_EQ(rest[0].range, (Range{0, 1}));
  EXPECT_EQ(rest[0].lease, first[0].lease);
  EXPECT_GT(rest[0].sequence, first[0].sequence);
  const auto settled = Asked<Settled>(Hear(PushAck{1, first[0].sequence, true, 1}, kLeader));
  EXPECT_EQ(settled.at(0).range, (Range{1, 3}));
}

TEST_F(WorkerTest, ARangeThatIsPushedIsPulledAtOnce) {
  Connect();
  Layout layout{.number = 2, .parts = {{.range = {0, 1}}, {.range = {1, 3}}}};
  for (Layout::Part& part : layout.parts) part.leader = kLeader;
  Hear(Relayout{1, layout}, kLeader);
  for (const Layout::Part& part : layout.parts) {
    Hear(Parameters{1, 0, SomeBytes(), part.range}, kLeader);
  }
  EXPECT_THAT(Asked<Compute>(GrantOf(LeaseOf(0))), SizeIs(1));
  const auto early = Sent<Pull>(worker_.OnPart(now_, {1, 3}, SomeBytes(), 5.0, 3));
  ASSERT_THAT(early, SizeIs(1));
  EXPECT_EQ(early[0].range, (Range{1, 3}));
  EXPECT_EQ(early[0].version, 1);
  const auto rest = Sent<Pull>(worker_.OnComputed(now_, {5.0, 3, {{{0, 1}, SomeBytes()}}, 100}));
  ASSERT_THAT(rest, SizeIs(1));
  EXPECT_EQ(rest[0].range, (Range{0, 1}));
}

TEST_F(WorkerTest, ARangeThatNobodyWantsAnyMoreIsSettled) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0));
  GrantOf(LeaseOf(1));  // the step of the first is over
  const Actions actions = worker_.OnPart(now_, {1, 3}, SomeBytes(), 5.0, 3);
  EXPECT_THAT(Sent<Push>(actions), IsEmpty());
  ASSERT_THAT(Asked<Settled>(actions), SizeIs(1));
  EXPECT_FALSE(Asked<Settled>(actions)[0].applied);
  EXPECT_EQ(Asked<Settled>(actions)[0].range, (Range{1, 3}));
}

TEST_F(WorkerTest, SeveralLeasesOfAStepGoOneAfterAnother) {
  Connect();
  Version(0);
  EXPECT_THAT(Asked<Compute>(GrantOf(LeaseOf(0, 0))), SizeIs(1));
  EXPECT_THAT(Asked<Compute>(GrantOf(LeaseOf(0, 1))), IsEmpty());
  EXPECT_THAT(GrantOf(LeaseOf(0, 1)), IsEmpty()) << "it has that one";
  EXPECT_EQ(Asked<Compute>(Computed()).at(0).lease, LeaseOf(0, 1));
  EXPECT_THAT(Sent<Pull>(Computed()), IsEmpty()) << "the next version was asked for once";
}

TEST_F(WorkerTest, ReadsAheadInTheOrderOfUse) {
  Connect();
  Version(0);
  std::vector<Lease> order;
  const auto note = [&](const Actions& actions) {
    for (const ReadAhead& ahead : Asked<ReadAhead>(actions)) order.push_back(ahead.lease);
  };
  note(GrantOf(LeaseOf(0, 0), LeaseOf(1, 0)));
  note(GrantOf(LeaseOf(0, 1), LeaseOf(1, 1)));
  note(Computed());
  note(Computed());
  note(Version(1));
  note(GrantOf(LeaseOf(1, 0)));
  note(GrantOf(LeaseOf(1, 1)));
  EXPECT_THAT(order, ElementsAre(LeaseOf(0, 0), LeaseOf(1, 0), LeaseOf(0, 1), LeaseOf(1, 1)));
}

TEST_F(WorkerTest, AStepThatWentOnWithoutItIsDropped) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0, 0));
  GrantOf(LeaseOf(0, 1));
  GrantOf(LeaseOf(1, 0));
  Version(1);
  const Actions actions = Computed();  // of step 0, which nobody needs any more
  EXPECT_THAT(Sent<Push>(actions), IsEmpty());
  EXPECT_FALSE(Asked<Settled>(actions).at(0).applied);
  EXPECT_EQ(Asked<Compute>(actions).at(0).lease, LeaseOf(1, 0));
}

TEST_F(WorkerTest, MessagesOfAnotherTermAreNotHeard) {
  Connect();
  EXPECT_THAT(Hear(Grant{2, LeaseOf(0), 0, {}}), IsEmpty());
  EXPECT_THAT(Hear(Parameters{0, 0, SomeBytes()}, kLeader), IsEmpty());
  Version(0);
  GrantOf(LeaseOf(0));
  Computed();
  EXPECT_THAT(Hear(PushAck{0, 1, false, 0}, kLeader), IsEmpty());
  EXPECT_EQ(worker_.unacknowledged(), 1u);
}

TEST_F(WorkerTest, SaysThatItLostTheCoordinatorAndBacksOff) {
  Connect();
  double last = 0;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto lost = Emitted<CoordinatorLost>(worker_.OnDisconnected(now_, "connection reset"));
    ASSERT_THAT(lost, SizeIs(1));
    EXPECT_EQ(lost[0].reason, "connection reset");
    EXPECT_NEAR(base::Seconds(*worker_.NextWake() - now_), lost[0].retry_in_s, 1e-9);
    EXPECT_GE(lost[0].retry_in_s, std::min(0.1 * std::pow(1.5, attempt), 5.0) * 0.999);
    EXPECT_LE(lost[0].retry_in_s, std::min(0.2 * std::pow(1.5, attempt), 10.0));
    last = lost[0].retry_in_s;
    EXPECT_THAT(worker_.Tick(now_), IsEmpty()) << "too early";
    now_ = *worker_.NextWake();
    EXPECT_THAT(Asked<cluster::Connect>(worker_.Tick(now_)), SizeIs(1));
  }
  EXPECT_GE(last, 5.0);
  worker_.OnConnected(now_);
  Join();
  const auto lost = Emitted<CoordinatorLost>(worker_.OnDisconnected(now_, "connection reset"));
  EXPECT_LE(lost.at(0).retry_in_s, 0.2) << "it starts over";
}

TEST_F(WorkerTest, ComesBackWithItsIdAndPushesAgain) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0, 0));
  GrantOf(LeaseOf(0, 1));
  Computed();  // pushed, not acknowledged; the other lease is being computed
  worker_.OnDisconnected(now_, "connection reset");
  EXPECT_THAT(Sent<Push>(Computed()), IsEmpty()) << "kept while offline";
  now_ = *worker_.NextWake();
  worker_.Tick(now_);
  EXPECT_EQ(Sent<Hello>(worker_.OnConnected(now_)).at(0).device, 5u);
  const Actions actions = Join();
  EXPECT_THAT(Asked<OpenRun>(actions), IsEmpty());
  const auto pushes = Sent<Push>(actions);
  ASSERT_THAT(pushes, SizeIs(2));
  EXPECT_EQ(pushes[0].sequence, 1u);
  EXPECT_EQ(pushes[1].sequence, 2u);
  EXPECT_THAT(Asked<Compute>(GrantOf(LeaseOf(0, 0))), IsEmpty()) << "it was pushed already";
}

TEST_F(WorkerTest, UnderANewTermNothingOldIsPushed) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0, 0));
  GrantOf(LeaseOf(0, 1));
  Computed();
  worker_.OnDisconnected(now_, "connection reset");
  Actions actions = Reconnect(2);
  EXPECT_THAT(Sent<Push>(actions), IsEmpty());
  EXPECT_THAT(Asked<OpenRun>(actions), SizeIs(1));
  ASSERT_THAT(Asked<Settled>(actions), SizeIs(1));
  EXPECT_FALSE(Asked<Settled>(actions)[0].applied);
  EXPECT_EQ(worker_.unacknowledged(), 0u);
  EXPECT_THAT(Sent<Push>(Computed()), IsEmpty()) << "begun under the old term";
  worker_term_ = 2;
  EXPECT_EQ(Sent<Pull>(GrantOf(LeaseOf(0))).at(0).term, 2u) << "parameters of an old term are void";
}

TEST_F(WorkerTest, BeatsItsHeart) {
  Connect();
  EXPECT_EQ(*worker_.NextWake(), now_ + std::chrono::milliseconds(500));
  EXPECT_THAT(worker_.Tick(now_), IsEmpty());
  Version(0);
  GrantOf(LeaseOf(0));
  Computed();
  now_ = *worker_.NextWake();
  const auto beats = Sent<Heartbeat>(worker_.Tick(now_));
  ASSERT_THAT(beats, SizeIs(1));
  EXPECT_EQ(beats[0].samples_per_second, 100);
  EXPECT_EQ(beats[0].loss, 0.5);
  EXPECT_EQ(*worker_.NextWake(), now_ + std::chrono::milliseconds(500));
}

TEST_F(WorkerTest, ARefusalForGoodStopsItWithTheReason) {
  worker_.Start(now_);
  worker_.OnConnected(now_);
  const Actions actions = Hear(Refuse{16, "wrong token", false});
  EXPECT_EQ(Asked<Stop>(actions).at(0).status, Status(Code::kUnauthenticated, "wrong token"));
  EXPECT_EQ(worker_.NextWake(), std::nullopt);
  EXPECT_THAT(worker_.OnDisconnected(now_, "closed"), IsEmpty());
}

TEST_F(WorkerTest, ARefusalForNowIsTriedAgain) {
  Connect();
  const Actions actions = Hear(Refuse{4, "silent for 5.0 s", true});
  EXPECT_EQ(Emitted<CoordinatorLost>(actions).at(0).reason, "silent for 5.0 s");
  EXPECT_THAT(Asked<Disconnect>(actions), SizeIs(1));
  EXPECT_THAT(Asked<Stop>(actions), IsEmpty());
}

TEST_F(WorkerTest, NoAnswerToItsGreetingIsALoss) {
  worker_.Start(now_);
  worker_.OnConnected(now_);
  now_ = *worker_.NextWake();
  EXPECT_EQ(Emitted<CoordinatorLost>(worker_.Tick(now_)).at(0).reason, "no answer for 10 s");
}

TEST_F(WorkerTest, GivesUpAfterTheTimeItWasGiven) {
  WorkerOptions options = Options();
  options.give_up_after = std::chrono::seconds(3);
  Worker worker(options);
  worker.Start(now_);
  Actions actions;
  while (!worker.stopped()) {
    actions = worker.OnDisconnected(now_, "connection refused");
    now_ = worker.NextWake().value_or(now_);
    worker.Tick(now_);
  }
  EXPECT_EQ(Asked<Stop>(actions).at(0).status.code(), Code::kUnavailable);
  EXPECT_THAT(Asked<Stop>(actions).at(0).status.message(), HasSubstr("connection refused"));
  EXPECT_GE(now_, TimePoint{} + std::chrono::seconds(3));
}

TEST_F(WorkerTest, TheEndOfTheRunIsTheEndOfItsWork) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0, 0));
  GrantOf(LeaseOf(0, 1));
  const Actions actions = Hear(Finished{1, 0, "the run is complete"});
  EXPECT_TRUE(Asked<Stop>(actions).at(0).status.ok());
  EXPECT_EQ(Emitted<Left>(actions).at(0).reason, "the run is complete");
  const Actions late = Computed();
  EXPECT_THAT(Sent<Push>(late), IsEmpty());
  EXPECT_THAT(Asked<Compute>(late), IsEmpty());
}

TEST_F(WorkerTest, AFaultGoesToTheCoordinator) {
  Connect();
  Version(3);
  GrantOf(LeaseOf(3));
  const auto faults = Sent<Fault>(worker_.OnFault(now_, {Code::kFailedPrecondition, "NaN loss"}));
  ASSERT_THAT(faults, SizeIs(1));
  EXPECT_EQ(faults[0].step, 3);
  EXPECT_EQ(faults[0].code, 9);
  EXPECT_EQ(faults[0].reason, "NaN loss");
}

TEST_F(WorkerTest, WhatItCannotComputeItReturns) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0, 0));
  GrantOf(LeaseOf(0, 1));
  const Actions actions = worker_.OnCannotCompute(now_, base::NotFound("no such file"));
  EXPECT_EQ(Sent<ReturnLease>(actions).at(0).lease, LeaseOf(0, 0));
  EXPECT_EQ(Asked<Compute>(actions).at(0).lease, LeaseOf(0, 1));
}

TEST_F(WorkerTest, ARefusedUpdateOfAnOpenStepGivesTheLeaseBack) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0));
  Computed();
  const Actions open = Hear(PushAck{1, 1, false, 0}, kLeader);
  EXPECT_THAT(Sent<ReturnLease>(open), SizeIs(1));
  Version(1);
  GrantOf(LeaseOf(1));
  Computed();
  const Actions done = Hear(PushAck{1, 2, false, 2}, kLeader);
  EXPECT_THAT(Sent<ReturnLease>(done), IsEmpty()) << "another device was faster";
  EXPECT_FALSE(Asked<Settled>(done).at(0).applied);
}

TEST_F(WorkerTest, LeavesWithABye) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0));
  const Actions actions = worker_.Leave(now_, "asked to");
  EXPECT_EQ(Sent<Bye>(actions).at(0).reason, "asked to");
  EXPECT_THAT(Asked<Disconnect>(actions), SizeIs(1));
  EXPECT_TRUE(Asked<Stop>(actions).at(0).status.ok());
  EXPECT_THAT(Sent<Push>(Computed()), IsEmpty());
  EXPECT_THAT(worker_.Leave(now_, "again"), IsEmpty());
}

// ---- gray failures

TEST_F(WorkerTest, APartOfAMessageIsASignOfLife) {
  Connect();
  for (int beat = 1; beat <= 10; ++beat) {
    worker_.OnSign(now_);
    EXPECT_THAT(Sent<Heartbeat>(Wake()), SizeIs(1));
  }
}

TEST_F(WorkerTest, AConnectionOverWhichNothingComesIsLost) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0, 0));
  GrantOf(LeaseOf(0, 1));
  for (int beat = 1; beat <= 3; ++beat) EXPECT_THAT(Sent<Heartbeat>(Wake()), SizeIs(1));
  Actions actions = Wake();
  EXPECT_EQ(Emitted<CoordinatorLost>(actions).at(0).reason, "no sign of life for 2 s");
  EXPECT_THAT(Asked<Disconnect>(actions), SizeIs(1));
  EXPECT_THAT(Asked<cluster::Connect>(Wake()), SizeIs(1));
}

TEST_F(WorkerTest, AnyMessageIsASignOfLife) {
  Connect();
  for (int beat = 1; beat <= 20; ++beat) {
    EXPECT_THAT(Sent<Heartbeat>(Wake()), SizeIs(1)) << beat;
    if (beat % 3 != 0) continue;
    EXPECT_THAT(Hear(HeartbeatAck{1}), IsEmpty());
  }
}

TEST_F(WorkerTest, ACoordinatorThatDoesNotAnswerHeartbeatsMayBeSilent) {
  device_timeout_ms_ = 0;
  Connect();
  for (int beat = 1; beat <= 100; ++beat) EXPECT_THAT(Sent<Heartbeat>(Wake()), SizeIs(1));
}

TEST_F(WorkerTest, AHaltOfItsOwnIsNotTheCoordinatorsSilence) {
  Connect();
  now_ = now_ + std::chrono::seconds(60);
  EXPECT_THAT(Sent<Heartbeat>(worker_.Tick(now_)), SizeIs(1));
  for (int beat = 1; beat <= 3; ++beat) EXPECT_THAT(Sent<Heartbeat>(Wake()), SizeIs(1));
  EXPECT_THAT(Emitted<CoordinatorLost>(Wake()), SizeIs(1)) << "this is";
}

TEST_F(WorkerTest, ADialThatHangsIsGivenUp) {
  worker_.Start(now_);
  const Actions actions = Wake();
  EXPECT_EQ(Emitted<CoordinatorLost>(actions).at(0).reason, "no connection for 60 s");
  EXPECT_THAT(Asked<Disconnect>(actions), SizeIs(1));
  EXPECT_THAT(Asked<cluster::Connect>(Wake()), SizeIs(1));
}

TEST_F(WorkerTest, ItsHeartbeatSaysWhichLeasesItKnowsOf) {
  Connect();
  const auto says = [&] {
    const Heartbeat beat = Sent<Heartbeat>(Wake()).at(0);
    Hear(HeartbeatAck{1});
    return std::pair(beat.version, beat.leases);
  };
  EXPECT_EQ(says(), std::pair(int64_t{-1}, int64_t{0}));
  Version(0);
  for (int64_t slot = 0; slot < 4; ++slot) GrantOf(LeaseOf(0, slot));
  EXPECT_EQ(says(), std::pair(int64_t{0}, int64_t{4})) << "one computed, three wait";
  Computed();
  EXPECT_EQ(says(), std::pair(int64_t{0}, int64_t{4})) << "one pushed";
  Hear(PushAck{1, 1, true, 1}, kLeader);
  EXPECT_EQ(says(), std::pair(int64_t{0}, int64_t{4})) << "one acknowledged";
  worker_.OnCannotCompute(now_, base::NotFound("no such file"));
  EXPECT_EQ(says(), std::pair(int64_t{0}, int64_t{3})) << "one given back";
  GrantOf(LeaseOf(1, 0));
  EXPECT_EQ(says(), std::pair(int64_t{1}, int64_t{1}));
}

TEST_F(WorkerTest, AskedAgainItPullsAndPushesAgain) {
  Connect();
  EXPECT_THAT(Sent<Pull>(GrantOf(LeaseOf(0))), SizeIs(1));
  const Grant again{1, LeaseOf(0), 0, {}, true};
  EXPECT_THAT(Sent<Pull>(Hear(again)), SizeIs(1)) << "the parameters did not come";
  Version(0);
  EXPECT_THAT(Hear(again), IsEmpty()) << "it computes";
  Computed();
  const auto pushes = Sent<Push>(Hear(again));
  ASSERT_THAT(pushes, SizeIs(1));
  EXPECT_EQ(pushes[0].sequence, 1u) << "the same update";
  EXPECT_EQ(worker_.unacknowledged(), 1u);
}

TEST_F(WorkerTest, AsksWhatBecameOfAnUpdateWhoseAnswerDidNotCome) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0));
  Computed();
  EXPECT_THAT(Sent<Push>(Wake()), IsEmpty()) << "its step is open";
  GrantOf(LeaseOf(1));
  const auto questions = Sent<Push>(Wake());
  ASSERT_THAT(questions, SizeIs(1));
  EXPECT_EQ(questions[0].sequence, 1u);
  EXPECT_EQ(questions[0].gradient, nullptr);
  EXPECT_TRUE(Asked<Settled>(Hear(PushAck{1, 1, true, 1}, kLeader)).at(0).applied);
  EXPECT_THAT(Sent<Push>(Wake()), IsEmpty());
}

// ---- what a transport may do

TEST_F(WorkerTest, AGrantThatComesTwiceIsComputedOnce) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0));
  EXPECT_THAT(GrantOf(LeaseOf(0)), IsEmpty()) << "being computed";
  Computed();
  EXPECT_THAT(GrantOf(LeaseOf(0)), IsEmpty()) << "pushed";
  Hear(PushAck{1, 1, true, 1}, kLeader);
  EXPECT_THAT(GrantOf(LeaseOf(0)), IsEmpty()) << "acknowledged";
  Version(1);
  GrantOf(LeaseOf(1));
  EXPECT_THAT(GrantOf(LeaseOf(0)), IsEmpty()) << "its step is over";
  Computed();
  EXPECT_THAT(Asked<Compute>(GrantOf(LeaseOf(0))), IsEmpty());
}

TEST_F(WorkerTest, ALeaseThatItGaveBackItGivesBackAgain) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0));
  worker_.OnCannotCompute(now_, base::NotFound("no such file"));
  const Actions actions = GrantOf(LeaseOf(0));
  EXPECT_THAT(Asked<Compute>(actions), IsEmpty());
  EXPECT_EQ(Sent<ReturnLease>(actions).at(0).reason, "no such file");
}

TEST_F(WorkerTest, AWelcomeThatComesTwiceChangesNothing) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0));
  Computed();
  EXPECT_THAT(Join(), IsEmpty());
  EXPECT_THAT(Join(2, 9), IsEmpty()) << "over one connection only the first counts";
  EXPECT_EQ(worker_.address().device, 5u);
}

TEST_F(WorkerTest, AnAcknowledgementThatComesTwiceSettlesOnce) {
  Connect();
  Version(0);
  GrantOf(LeaseOf(0));
  Computed();
  EXPECT_THAT(Asked<Settled>(Hear(PushAck{1, 1, true, 1}, kLeader)), SizeIs(1));
  EXPECT_THAT(Hear(PushAck{1, 1, true, 1}, kLeader), IsEmpty());
  EXPECT_THAT(Hear(PushAck{1, 1, false, 0}, kLeader), IsEmpty());
}

TEST_F(WorkerTest, ParametersThatComeTwiceOrLateChangeNothing) {
  Connect();
  GrantOf(LeaseOf(0));
  EXPECT_THAT(Asked<Compute>(Version(0)), SizeIs(1));
  Computed();
  EXPECT_THAT(Version(0), IsEmpty());
  // Large messages are overtaken by small ones: the grant of step 2 is there before version 1.
  GrantOf(LeaseOf(2));
  EXPECT_THAT(Asked<Compute>(Version(1)), IsEmpty());
  const auto computes = Asked<Compute>(Version(2));
  ASSERT_THAT(computes, SizeIs(1));
  EXPECT_EQ(computes[0].version, 2);
  EXPECT_THAT(Version(1), IsEmpty());
}

TEST_F(WorkerTest, WhatIsNotForAWorkerIsDroppedWithAWarning) {
  Connect();
  EXPECT_THAT(Emitted<Warning>(Hear(Bye{})), SizeIs(1));
}

}  // namespace
}  // namespace weft::cluster
