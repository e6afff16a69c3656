// Ranges that move between leaders, standbys, and checkpoints of several leaders.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/leader_testing.h"

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kCoordinator;
using testing::LayoutOf;
using testing::LeaderAt;
using testing::Leaders;
using testing::Packet;
using ::testing::SizeIs;
using testing::WorkerAt;

constexpr Range kAll = {0, 4};
constexpr Range kFront = {0, 2};
constexpr Range kBack = {2, 2};

JobSpec Spec() {
  JobSpec spec;
  spec.samples = spec.batch = 4;
  spec.deterministic = true;
  spec.trainable_count = 3;
  spec.statistics = {{3, 1, 0.5}};
  spec.optimizer.momentum = 0.5;
  return spec;
}

Lease LeaseOf(int64_t step) {
  return {.id = static_cast<uint64_t>(step * kLeaseIdsPerStep) + 1, .step = step, .count = 4};
}

class LeaderLayout : public ::testing::Test {
 protected:
  LeaderLayout() {
    for (DeviceId device : {1u, 2u, 3u}) leaders_.Add(device);
  }
  void Begin(DeviceId leader, int64_t step, const Range& range, bool checkpoint = false) {
    leaders_.Order(leader, BeginStep{.term = 1,
                                     .step = step,
                                     .total_samples = 4,
                                     .leases = {LeaseOf(step)},
                                     .lr = 1,
                                     .checkpoint = checkpoint,
                                     .range = range,
                                     .version = step});
  }
  cluster::Push Update(int64_t step, const Range& range) {
    return {.term = 1,
            .device = 9,
            .incarnation = 5,
            .sequence = static_cast<uint64_t>(step) + 1,
            .lease = LeaseOf(step),
            .version = step,
            .gradient = Packet(std::vector<float>(static_cast<size_t>(range.count), 1.0f)),
            .range = range};
  }
  void Push(DeviceId leader, int64_t step, const Range& range) {
    leaders_.Tell(leader, WorkerAt(9), Update(step, range));
  }
  void Step(DeviceId leader, int64_t step, const Range& range, bool checkpoint = false) {
    Begin(leader, step, range, checkpoint);
    Push(leader, step, range);
  }
  // As a worker would get them.
  std::vector<float> ParametersOf(DeviceId leader, const Range& range) {
    leaders_.Heard<Parameters>();
    int64_t newest = 0;
    leaders_.At(leader).ForEachShard([&](const Shard& shard) {
      if (shard.range() == range) newest = shard.version();
    });
    leaders_.Tell(leader, WorkerAt(8), Pull{1, 8, newest, range});
    const auto got = leaders_.Heard<Parameters>();
    EXPECT_THAT(got, SizeIs(1));
    if (got.size() != 1) return {};
    std::vector<float> values(static_cast<size_t>(range.count));
    EXPECT_TRUE(codec::MakeCodec("dense").value()->Decode(*got[0].values, values).ok());
    return values;
  }

  Leaders leaders_{Spec(), {0, 0, {10, 20, 30, 40}, {}}};
};

// ---- standbys

TEST_F(LeaderLayout, NothingIsToldBeforeTheStandbyHasIt) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  EXPECT_THAT(leaders_.Heard<Seated>(), SizeIs(2));
  leaders_.Tell(1, WorkerAt(9), Pull{1, 9, 1, kAll});
  Step(1, 0, kAll);
  EXPECT_THAT(leaders_.Heard<PushAck>(), IsEmpty());
  EXPECT_THAT(leaders_.Heard<Committed>(), IsEmpty());
  EXPECT_THAT(leaders_.Heard<Parameters>(), SizeIs(1)) << "they are sent out at once";
  Push(1, 0, kAll);
  EXPECT_THAT(leaders_.Heard<PushAck>(), IsEmpty()) << "nor if it is sent again";
  leaders_.Deliver();
  EXPECT_TRUE(leaders_.Heard<PushAck>().at(0).applied);
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(1));
  EXPECT_EQ(ParametersOf(2, kAll), ParametersOf(1, kAll));
  EXPECT_THAT(ParametersOf(2, kAll), ElementsAre(9, 19, 29, 20.5));
}

TEST_F(LeaderLayout, ALostWordToTheStandbyIsSaidAgain) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  leaders_.Forget();
  Step(1, 0, kAll);
  leaders_.wire().clear();
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<Committed>(), IsEmpty());
  Begin(1, 0, kAll);
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(1));
  // Its answer may be lost as well; then it comes to that again, and applies nothing twice.
  Step(1, 1, kAll);
  leaders_.DeliverAt(0);
  leaders_.wire().clear();
  leaders_.Order(1, AskMissing{1, 1, kAll});
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(1));
  EXPECT_EQ(ParametersOf(2, kAll), ParametersOf(1, kAll));
}

TEST_F(LeaderLayout, WhatWaitsForAStandbyThatIsGoneIsReleased) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  leaders_.Forget();
  Step(1, 0, kAll);
  leaders_.Kill(2);
  leaders_.Hold(LayoutOf(3, {{kAll, 1, 0}}));
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(1));
  EXPECT_THAT(leaders_.Heard<PushAck>(), SizeIs(1));
}

TEST_F(LeaderLayout, TheStandbyOfADeadLeaderGoesOnFromWhatItHas) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  Step(1, 0, kAll);
  leaders_.Deliver();
  Step(1, 1, kAll);  // the standby never hears of it
  leaders_.Kill(1);
  leaders_.Forget();
  leaders_.Hold(LayoutOf(3, {{kAll, 2, 0}}));
  const auto seated = leaders_.Heard<Seated>();
  ASSERT_THAT(seated, SizeIs(1));
  EXPECT_EQ(seated[0].version, 1);
  EXPECT_FALSE(seated[0].standby);
  EXPECT_EQ(seated[0].layout, 3u);
  // What was acknowledged is in, what was not comes again.
  Push(2, 0, kAll);
  EXPECT_TRUE(leaders_.Heard<PushAck>().at(0).applied);
  Begin(2, 0, kAll);
  EXPECT_EQ(leaders_.Heard<Committed>().at(0).step, 0) << "the record may have been lost with it";
  Step(2, 1, kAll);
  EXPECT_TRUE(leaders_.Heard<PushAck>().at(0).applied);
  EXPECT_THAT(ParametersOf(2, kAll), ElementsAre(7.5, 17.5, 27.5, 10.75));
}

TEST_F(LeaderLayout, ADeposedLeaderIsNotFollowed) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  leaders_.Forget();
  const Layout next = LayoutOf(3, {{kAll, 2, 3}});
  leaders_.Order(2, Relayout{1, next});  // which has not come to device 1
  Step(1, 0, kAll);
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<Committed>(), IsEmpty());
  EXPECT_THAT(ParametersOf(2, kAll), ElementsAre(10, 20, 30, 40));
  leaders_.Order(1, Relayout{1, next});
  EXPECT_THAT(leaders_.At(1).led(), IsEmpty());
}

TEST_F(LeaderLayout, AStandbyBearsWithGapsRepeatsAndDamage) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  Step(1, 0, kAll);
  const auto first = std::get<Replicate>(leaders_.wire().at(0).message);
  Replicate later = first;
  later.record.version = 3;
  Replicate damaged = first;
  damaged.gradient = Packet({1});
  Replicate old = first;
  old.layout = 1;
  Replicate of_old_term = first;
  of_old_term.term = 0;
  for (const Replicate& wrong : {damaged, old, of_old_term}) {
    leaders_.Tell(2, LeaderAt(1), wrong);
  }
  leaders_.Tell(2, LeaderAt(3), first);
  leaders_.Tell(2, WorkerAt(1), first);
  EXPECT_THAT(leaders_.wire(), SizeIs(1)) << "no answer to any";
  leaders_.Tell(2, LeaderAt(1), later);
  ASSERT_THAT(leaders_.wire(), SizeIs(2));
  EXPECT_EQ(std::get<Replicated>(leaders_.wire().at(1).message).version, 0) << "what it has";
  EXPECT_THAT(ParametersOf(2, kAll), ElementsAre(10, 20, 30, 40));
  leaders_.Tell(2, LeaderAt(1), first);
  leaders_.Tell(2, LeaderAt(1), first);
  EXPECT_THAT(leaders_.wire(), SizeIs(4));
  EXPECT_THAT(ParametersOf(2, kAll), ElementsAre(9, 19, 29, 20.5));
}

TEST_F(LeaderLayout, WhatAStandbyMissesItIsSentAtOnce) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  leaders_.Order(1, BeginStream{1, kAll, static_cast<uint8_t>(aggregate::Mode::kAsync)});
  Push(1, 0, kAll);
  leaders_.wire().clear();  // with a line that broke
  leaders_.Forget();
  cluster::Push second = Update(1, kAll);
  second.version = 0;
  leaders_.Tell(1, WorkerAt(9), second);
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<PushAck>(), SizeIs(2));
  EXPECT_EQ(ParametersOf(2, kAll), ParametersOf(1, kAll));
  // But once only: an answer that comes again asks for nothing.
  leaders_.Tell(1, WorkerAt(9), Update(2, kAll));
  leaders_.wire().clear();
  for (int i = 0; i < 3; ++i) leaders_.Tell(1, LeaderAt(2), Replicated{1, 2, kAll, 2});
  EXPECT_THAT(leaders_.wire(), SizeIs(1));
}

// The last device that had the parameters of the step may be gone before all ranges have its
// update.
TEST_F(LeaderLayout, WhatAStepStartedFromIsThereUntilTheNextOne) {
  leaders_.Move(LayoutOf(2, {{kFront, 1, 2}, {kBack, 3, 0}}));
  Step(1, 0, kFront);
  leaders_.Deliver();
  for (const DeviceId device : {1u, 2u}) {
    leaders_.Forget();
    leaders_.Tell(device, WorkerAt(8), Pull{1, 8, 0, kFront});
    const auto got = leaders_.Heard<Parameters>();
    ASSERT_THAT(got, SizeIs(1));
    EXPECT_EQ(got[0].version, 0);
    std::vector<float> values(2);
    ASSERT_TRUE(codec::MakeCodec("dense").value()->Decode(*got[0].values, values).ok());
    EXPECT_THAT(values, ElementsAre(10, 20));
  }
  Begin(1, 1, kFront);
  leaders_.Forget();
  leaders_.Tell(1, WorkerAt(8), Pull{1, 8, 0, kFront});
  EXPECT_EQ(leaders_.Heard<Parameters>().at(0).version, 1);
}

TEST_F(LeaderLayout, AStreamRunsAheadOfItsStandbyByEightVersions) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  leaders_.Forget();
  leaders_.Order(1, BeginStream{1, kAll, static_cast<uint8_t>(aggregate::Mode::kAsync)});
  for (int64_t i = 0; i < 20; ++i) {
    cluster::Push push = Update(i, kAll);
    push.version = 0;
    leaders_.Tell(1, WorkerAt(9), push);
  }
  EXPECT_EQ(leaders_.At(1).version(), 8);
  EXPECT_EQ(leaders_.At(1).kept(), 12u);
  EXPECT_THAT(leaders_.Heard<PushAck>(), IsEmpty());
  leaders_.Deliver();
  EXPECT_EQ(leaders_.At(1).version(), 20);
  EXPECT_THAT(leaders_.Heard<PushAck>(), SizeIs(20));
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(20));
  EXPECT_EQ(ParametersOf(2, kAll), ParametersOf(1, kAll));
}

TEST_F(LeaderLayout, ANewLeaderOfAStreamTellsTheRecordsThatMayBeLost) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  const BeginStream stream{1, kAll, static_cast<uint8_t>(aggregate::Mode::kAsync)};
  leaders_.Order(1, stream);
  Push(1, 0, kAll);
  leaders_.Deliver();
  leaders_.Kill(1);
  leaders_.Hold(LayoutOf(3, {{kAll, 2, 0}}));
  leaders_.Forget();
  leaders_.Order(2, stream);
  EXPECT_THAT(leaders_.Heard<Committed>().at(0).leases, ElementsAre(LeaseOf(0)));
  Push(2, 0, kAll);
  EXPECT_TRUE(leaders_.Heard<PushAck>().at(0).applied);
}

// A step that did not wait for all leaves a lease to the next; its update may come between them.
TEST_F(LeaderLayout, ANewLeaderKeepsALateUpdateForTheNextStep) {
  leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
  Step(1, 0, kAll);
  leaders_.Deliver();
  leaders_.Kill(1);
  leaders_.Hold(LayoutOf(3, {{kAll, 2, 0}}));
  leaders_.Forget();
  cluster::Push late = Update(0, kAll);
  late.sequence = 77;
  late.lease.id += 1;
  leaders_.Tell(2, WorkerAt(9), late);
  EXPECT_THAT(leaders_.Heard<PushAck>(), IsEmpty());
  EXPECT_EQ(leaders_.At(2).kept(), 1u);
  leaders_.Order(2, BeginStep{.term = 1,
                              .step = 1,
                              .total_samples = 4,
                              .leases = {LeaseOf(1), late.lease},
                              .lr = 1,
                              .range = kAll,
                              .version = 1});
  Push(2, 1, kAll);
  EXPECT_THAT(leaders_.Heard<Committed>().at(0).leases, ElementsAre(LeaseOf(1), late.lease));
}

// ---- moving

TEST_F(LeaderLayout, ARangeMovesWithItsMomentumAndItsMemory) {
  Step(0, 0, kAll);
  leaders_.Move(LayoutOf(2, {{kFront, 1, 0}, {kBack, 2, 3}}));
  const auto seated = leaders_.Heard<Seated>();
  ASSERT_THAT(seated, SizeIs(3));
  for (const Seated& each : seated) {
    EXPECT_EQ(each.version, 1);
    EXPECT_EQ(each.layout, 2u);
    EXPECT_EQ(each.problem, "");
  }
  EXPECT_THAT(leaders_.At(0).led(), IsEmpty());
  EXPECT_THAT(leaders_.At(0).parameters(), IsEmpty());
  EXPECT_THAT(leaders_.At(1).led(), ElementsAre(kFront));
  leaders_.Forget();
  Push(1, 0, kFront);  // its acknowledgement was lost
  EXPECT_TRUE(leaders_.Heard<PushAck>().at(0).applied);
  Push(2, 0, kAll);  // the same as of the layout before
  const PushAck ack = leaders_.Heard<PushAck>().at(0);
  EXPECT_TRUE(ack.applied);
  EXPECT_EQ(ack.range, kAll);
  Step(1, 1, kFront);
  Step(2, 1, kBack);
  leaders_.Deliver();
  EXPECT_THAT(ParametersOf(1, kFront), ElementsAre(7.5, 17.5));
  EXPECT_THAT(ParametersOf(2, kBack), ElementsAre(27.5, 10.75));
  EXPECT_EQ(ParametersOf(3, kBack), ParametersOf(2, kBack));
  leaders_.Move(LayoutOf(3, {{kAll, 0, 0}}));
  EXPECT_THAT(leaders_.At(0).parameters(), ElementsAre(7.5, 17.5, 27.5, 10.75));
  EXPECT_EQ(leaders_.At(0).version(), 2);
}

TEST_F(LeaderLayout, TheOldLeaderServesUntilTheNewLayoutHolds) {
  leaders_.OrderAll(Reshape{1, leaders_.layout(), LayoutOf(2, {{kAll, 1, 0}})});
  leaders_.Deliver();
  EXPECT_THAT(ParametersOf(0, kAll), SizeIs(4));
  EXPECT_THAT(leaders_.At(0).led(), ElementsAre(kAll));
  EXPECT_THAT(leaders_.At(1).led(), IsEmpty());
}

TEST_F(LeaderLayout, StatesMayComeBeforeTheirPlan) {
  const Reshape plan{1, leaders_.layout(), LayoutOf(2, {{kAll, 1, 0}})};
  leaders_.Order(0, plan);
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<Seated>(), IsEmpty());
  leaders_.Order(1, plan);
  EXPECT_THAT(leaders_.Heard<Seated>(), SizeIs(1));
}

TEST_F(LeaderLayout, ALostStateComesAgainWhenThePlanIsSaidAgain) {
  const Reshape plan{1, leaders_.layout(), LayoutOf(2, {{kAll, 1, 2}})};
  leaders_.OrderAll(plan);
  leaders_.wire().pop_back();
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<Seated>(), SizeIs(1));
  leaders_.OrderAll(plan);
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<Seated>(), SizeIs(2)) << "one of them says it again";
}

TEST_F(LeaderLayout, ANewerPlanReplacesOneThatIsUnderWay) {
  leaders_.OrderAll(Reshape{1, leaders_.layout(), LayoutOf(2, {{kAll, 1, 0}})});
  leaders_.OrderAll(Reshape{1, leaders_.layout(), LayoutOf(3, {{kFront, 2, 0}, {kBack, 3, 0}})});
  leaders_.Deliver();
  for (const Seated& seated : leaders_.Heard<Seated>()) EXPECT_EQ(seated.layout, 3u);
  leaders_.Hold(LayoutOf(3, {{kFront, 2, 0}, {kBack, 3, 0}}));
  EXPECT_THAT(leaders_.At(1).led(), IsEmpty());
  EXPECT_THAT(leaders_.At(2).led(), ElementsAre(kFront));
  leaders_.OrderAll(Relayout{1, LayoutOf(2, {{kAll, 1, 0}})});  // too late
  EXPECT_THAT(leaders_.At(2).led(), ElementsAre(kFront));
}

TEST_F(LeaderLayout, OnlyAStandbyChangesAndOnlyItIsSentAnything) {
  leaders_.Move(LayoutOf(2, {{kFront, 1, 0}, {kBack, 2, 0}}));
  leaders_.Forget();
  const Layout next = LayoutOf(3, {{kFront, 1, 3}, {kBack, 2, 0}});
  leaders_.OrderAll(Reshape{1, leaders_.layout(), next});
  ASSERT_THAT(leaders_.wire(), SizeIs(1));
  EXPECT_EQ(leaders_.wire()[0].to, LeaderAt(3));
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<Seated>(), SizeIs(3)) << "all have their seats";
}

TEST_F(LeaderLayout, OneThatHasNotItsRangeSaysSo) {
  leaders_.Hold(LayoutOf(2, {{kAll, 1, 0}}));
  const auto seated = leaders_.Heard<Seated>();
  ASSERT_THAT(seated, SizeIs(1));
  EXPECT_THAT(seated[0].problem, HasSubstr("not here"));
}

TEST_F(LeaderLayout, AStateThatIsNoneIsDropped) {
  const Reshape plan{1, leaders_.layout(), LayoutOf(2, {{kAll, 1, 0}})};
  leaders_.OrderAll(plan);
  const auto good = std::get<RangeState>(leaders_.wire().at(0).message);
  leaders_.wire().clear();
  const auto tell = [&](Address from, auto change) {
    RangeState state = good;
    change(state);
    leaders_.Tell(1, from, state);
  };
  tell(LeaderAt(2), [](RangeState&) {});
  tell(WorkerAt(0), [](RangeState&) {});
  tell(LeaderAt(0), [](RangeState& s) { s.range = {0, 3}; });
  tell(LeaderAt(0), [](RangeState& s) { s.range = {-1, 4}; });
  tell(LeaderAt(0), [](RangeState& s) { s.range = {1, INT64_MAX}; });
  tell(LeaderAt(0), [](RangeState& s) { s.version = -1; });
  tell(LeaderAt(0), [](RangeState& s) { s.values = nullptr; });
  tell(LeaderAt(0), [](RangeState& s) {
    auto damaged = std::make_shared<Bytes>(*s.values);
    damaged->back() ^= 1;
    s.values = damaged;
  });
  EXPECT_THAT(leaders_.warnings, SizeIs(8));
  EXPECT_THAT(leaders_.Heard<Seated>(), IsEmpty());
  leaders_.Tell(1, LeaderAt(0), good);
  EXPECT_THAT(leaders_.Heard<Seated>(), SizeIs(1));
}

TEST_F(LeaderLayout, LayoutsThatDoNotTileTheVectorAreDropped) {
  for (const Layout& wrong :
       {LayoutOf(2, {{kFront, 1, 0}}), LayoutOf(2, {{kBack, 1, 0}, {kFront, 1, 0}}),
        LayoutOf(2, {{{0, 5}, 1, 0}}), LayoutOf(2, {})}) {
    leaders_.OrderAll(Relayout{1, wrong});
    leaders_.OrderAll(Reshape{1, leaders_.layout(), wrong});
  }
  EXPECT_THAT(leaders_.At(0).led(), ElementsAre(kAll));
  EXPECT_THAT(leaders_.wire(), IsEmpty());
}

TEST_F(LeaderLayout, APullThatIsFasterThanTheLayoutIsAnsweredThen) {
  leaders_.Tell(1, WorkerAt(9), Pull{1, 9, 0, kAll});
  EXPECT_EQ(leaders_.At(1).waiting_pulls(), 1u);
  leaders_.Move(LayoutOf(2, {{kAll, 1, 0}}));
  EXPECT_THAT(leaders_.Heard<Parameters>(), SizeIs(1));
  EXPECT_EQ(leaders_.At(1).waiting_pulls(), 0u);
}

// ---- checkpoints

TEST_F(LeaderLayout, ACheckpointIsMadeOfAllRanges) {
  leaders_.Move(LayoutOf(2, {{kFront, 1, 3}, {kBack, 2, 0}}));
  for (const auto& [leader, range] : {std::pair(1u, kFront), std::pair(2u, kBack)}) {
    EXPECT_THAT(leaders_.saves, IsEmpty());
    Step(leader, 0, range, true);
    leaders_.Deliver();
  }
  ASSERT_THAT(leaders_.saves, SizeIs(1));
  const Snapshot& saved = *leaders_.saves[0];
  EXPECT_EQ(saved.step, 1);
  EXPECT_EQ(saved.version, 1);
  EXPECT_THAT(saved.parameters, ElementsAre(9, 19, 29, 20.5));
  EXPECT_EQ(saved.optimizer.steps, 1);
  EXPECT_THAT(saved.optimizer.moments.at(0).values, ElementsAre(1, 1, 1));
  EXPECT_EQ(leaders_.At(0).archived()->parameters, saved.parameters);
  EXPECT_TRUE(Leader::Make(Spec(), saved).ok());
  // Asked for again it is sent again, but not written twice.
  Begin(1, 0, kFront, true);
  Begin(2, 0, kBack, true);
  leaders_.Deliver();
  EXPECT_THAT(leaders_.saves, SizeIs(1));
}

TEST_F(LeaderLayout, RangesOfDifferentStepsMakeNoCheckpoint) {
  leaders_.Move(LayoutOf(2, {{kFront, 1, 0}, {kBack, 2, 0}}));
  Step(1, 0, kFront, true);
  Step(1, 1, kFront);
  Step(2, 0, kBack);
  Step(2, 1, kBack, true);
  leaders_.Deliver();
  EXPECT_THAT(leaders_.saves, IsEmpty());
  Begin(1, 1, kFront, true);  // asked for late
  leaders_.Deliver();
  ASSERT_THAT(leaders_.saves, SizeIs(1));
  EXPECT_EQ(leaders_.saves[0]->step, 2);
}

TEST_F(LeaderLayout, OneFailedIsMadeAgain) {
  leaders_.Move(LayoutOf(2, {{kFront, 1, 0}, {kBack, 0, 0}}));
  for (int i = 0; i < 2; ++i) {
    Step(1, 0, kFront, true);
    Step(0, 0, kBack, true);
    leaders_.Deliver();
    ASSERT_THAT(leaders_.saves, SizeIs(i + 1));
    leaders_.At(0).OnCheckpointDone({}, 1, "", base::ResourceExhausted("disk full"));
  }
}

}  // namespace
}  // namespace weft::cluster
