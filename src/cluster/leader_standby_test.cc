// Standbys that are seated while a step or a stream is under way.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/leader_testing.h"

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::LayoutOf;
using testing::LeaderAt;
using testing::Leaders;
using testing::Packet;
using ::testing::SizeIs;
using testing::WorkerAt;

constexpr Range kFront = {0, 2};
constexpr Range kBack = {2, 2};

JobSpec Spec() {
  JobSpec spec;
  spec.samples = spec.batch = 4;
  spec.deterministic = true;
  spec.trainable_count = 4;
  spec.optimizer.momentum = 0.5;
  return spec;
}

// Two of a step.
Lease LeaseOf(int64_t step, int64_t slot) {
  return {.id = static_cast<uint64_t>(step * kLeaseIdsPerStep + slot) + 1,
          .step = step,
          .slot = slot,
          .begin = 2 * slot,
          .count = 2};
}

// Device 2 leads the front, alone since device 1 died; device 3 is to stand by.
class StandbyInStep : public ::testing::Test {
 protected:
  StandbyInStep() {
    for (DeviceId device : {1u, 2u, 3u, 4u}) leaders_.Add(device);
    leaders_.Move(LayoutOf(2, {{kFront, 1, 2}, {kBack, 4, 0}}));
    leaders_.Kill(1);
    leaders_.Hold(LayoutOf(3, {{kFront, 2, 0}, {kBack, 4, 0}}));
    leaders_.Forget();
  }
  void Begin(DeviceId leader, int64_t step) {
    leaders_.Order(leader, BeginStep{.term = 1,
                                     .step = step,
                                     .total_samples = 4,
                                     .leases = {LeaseOf(step, 0), LeaseOf(step, 1)},
                                     .lr = 1,
                                     .range = kFront,
                                     .version = step});
  }
  cluster::Push Update(int64_t step, int64_t slot) {
    return {.term = 1,
            .device = 9,
            .incarnation = 5,
            .sequence = static_cast<uint64_t>(2 * step + slot) + 1,
            .lease = LeaseOf(step, slot),
            .version = step,
            .gradient = Packet({1.0f + static_cast<float>(slot), 1}),
            .range = kFront};
  }
  void Push(DeviceId leader, int64_t step, int64_t slot) {
    leaders_.Tell(leader, WorkerAt(9), Update(step, slot));
  }
  void Step(DeviceId leader, int64_t step) {
    Begin(leader, step);
    Push(leader, step, 0);
    Push(leader, step, 1);
  }
  static Layout With(uint64_t number, DeviceId standby) {
    return LayoutOf(number, {{kFront, 2, standby}, {kBack, 4, 0}});
  }
  void Seat(uint64_t number) { leaders_.OrderAll(Reshape{1, leaders_.layout(), With(number, 3)}); }
  // The leader dies, and its standby leads.
  void LoseLeader(uint64_t number) {
    leaders_.Kill(2);
    leaders_.Hold(LayoutOf(number, {{kFront, 3, 0}, {kBack, 4, 0}}));
    leaders_.Forget();
  }
  const Shard* Held(DeviceId device) {
    const Shard* found = nullptr;
    leaders_.At(device).ForEachShard([&](const Shard& shard) {
      if (shard.range() == kFront) found = &shard;
    });
    return found;
  }

  Leaders leaders_{Spec(), {0, 0, {10, 20, 30, 40}, {}}};
};

TEST_F(StandbyInStep, WhatIsToldWaitsForItFromWhenItsStateIsSent) {
  Begin(2, 0);
  Push(2, 0, 0);
  Seat(4);
  Push(2, 0, 1);
  EXPECT_THAT(leaders_.Heard<PushAck>(), IsEmpty());
  EXPECT_THAT(leaders_.Heard<Committed>(), IsEmpty());
  leaders_.Deliver();
  const auto seated = leaders_.Heard<Seated>();
  EXPECT_TRUE(std::ranges::any_of(seated, [](const Seated& s) { return s.standby; }));
  EXPECT_THAT(leaders_.Heard<PushAck>(), SizeIs(2));
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(1));
  ASSERT_NE(Held(3), nullptr);
  EXPECT_EQ(Held(3)->version(), 1);
  EXPECT_TRUE(std::ranges::equal(Held(3)->parameters(), Held(2)->parameters()));
}

TEST_F(StandbyInStep, NothingIsLostWhenItsLeaderDiesAsWell) {
  Step(2, 0);
  Begin(2, 1);
  Push(2, 1, 0);
  Seat(4);
  leaders_.Deliver();
  leaders_.Hold(With(4, 3));
  LoseLeader(5);
  // What was acknowledged is in, and the open step goes on with what comes again.
  Push(3, 0, 0);
  EXPECT_TRUE(leaders_.Heard<PushAck>().at(0).applied);
  Step(3, 1);
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(1));
  EXPECT_EQ(Held(3)->version(), 2);
  // Momentum 0.5: 1.5, then 1.5 + 0.75.
  EXPECT_THAT(Held(3)->parameters(), ElementsAre(6.25, 17.5));
}

// Its seat may be taken while those of other ranges are not: it leads by a layout of a higher
// number than the one that it was seated for.
TEST_F(StandbyInStep, ItLeadsThoughTheChangeItWasSeatedForIsGivenUp) {
  Begin(2, 0);
  Seat(4);
  leaders_.Deliver();
  LoseLeader(7);
  EXPECT_THAT(leaders_.At(3).led(), ElementsAre(kFront));
  Step(3, 0);
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(1));
}

TEST_F(StandbyInStep, ItsLeaderTellsItAgainWhatCameBeforeItsState) {
  Begin(2, 0);
  Push(2, 0, 0);
  Seat(4);
  Push(2, 0, 1);
  auto& wire = leaders_.wire();
  ASSERT_THAT(wire, SizeIs(2));
  EXPECT_TRUE(std::holds_alternative<Replicate>(wire[1].message));
  const Envelope early = wire[1];
  wire.pop_back();
  leaders_.Tell(3, LeaderAt(2), early.message);
  EXPECT_THAT(leaders_.Heard<PushAck>(), IsEmpty());
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<PushAck>(), SizeIs(2));
}

TEST_F(StandbyInStep, NobodyWaitsForOneThatDoesNotCome) {
  Begin(2, 0);
  Seat(4);
  Push(2, 0, 0);
  Push(2, 0, 1);
  leaders_.wire().clear();
  // The layout that holds, said again, does not know of it yet.
  leaders_.OrderAll(Relayout{1, With(3, 0)});
  EXPECT_THAT(leaders_.Heard<PushAck>(), IsEmpty());
  leaders_.Hold(With(5, 0));
  EXPECT_THAT(leaders_.Heard<PushAck>(), SizeIs(2));
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(1));
}

TEST_F(StandbyInStep, ALostStateComesAgainWithWhatWasAppliedSince) {
  Begin(2, 0);
  Seat(4);
  Push(2, 0, 0);
  Push(2, 0, 1);
  leaders_.wire().clear();
  Seat(4);
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<PushAck>(), SizeIs(2));
  ASSERT_NE(Held(3), nullptr);
  EXPECT_EQ(Held(3)->version(), 1);
}

// Of a step that is applied here and not elsewhere the coordinator may not have heard, and others
// may still compute it.
TEST_F(StandbyInStep, ItKnowsTheRecordAndWhatTheStepStartedFrom) {
  Step(2, 0);
  leaders_.Deliver();
  Seat(4);
  leaders_.Deliver();
  leaders_.Hold(With(4, 3));
  LoseLeader(5);
  Begin(3, 0);
  const auto told = leaders_.Heard<Committed>();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].range, kFront);
  EXPECT_EQ(told[0].version, 1);
  EXPECT_THAT(told[0].leases, ElementsAre(LeaseOf(0, 0), LeaseOf(0, 1)));
  leaders_.Tell(3, WorkerAt(8), Pull{1, 8, 0, kFront});
  const auto got = leaders_.Heard<Parameters>();
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_EQ(got[0].version, 0);
  std::vector<float> values(2);
  ASSERT_TRUE(codec::MakeCodec("dense").value()->Decode(*got[0].values, values).ok());
  EXPECT_THAT(values, ElementsAre(10, 20));
}

TEST_F(StandbyInStep, ADamagedHistoryIsDropped) {
  Begin(2, 0);
  Seat(4);
  auto& wire = leaders_.wire();
  ASSERT_THAT(wire, SizeIs(1));
  auto state = std::get<RangeState>(wire[0].message);
  auto damaged = std::make_shared<Bytes>(*state.values);
  damaged->back() ^= 1;
  state.values = damaged;
  wire.clear();
  leaders_.Forget();
  leaders_.Tell(3, LeaderAt(2), state);
  EXPECT_THAT(leaders_.warnings, SizeIs(1));
  EXPECT_THAT(leaders_.Heard<Seated>(), IsEmpty());
}

// A stream: what it was begun with counts for the new standby too, although its leader, which has
// taken over itself, has applied leases of later steps.
TEST_F(StandbyInStep, OfAStreamGoesOnWithLeasesOfAllItsSteps) {
  const BeginStream stream{1, kFront, static_cast<uint8_t>(aggregate::Mode::kAsync), 0};
  leaders_.Order(2, stream);
  const auto push = [&](DeviceId leader, int64_t step) {
    cluster::Push update = Update(step, 0);
    update.version = 0;
    leaders_.Tell(leader, WorkerAt(9), update);
  };
  push(2, 3);
  Seat(4);
  push(2, 5);
  leaders_.Deliver();
  EXPECT_THAT(leaders_.Heard<PushAck>(), SizeIs(2));
  leaders_.Hold(With(4, 3));
  LoseLeader(5);
  leaders_.Order(3, stream);
  const auto told = leaders_.Heard<Committed>();
  ASSERT_THAT(told, SizeIs(2)) << "what the coordinator may not have heard";
  EXPECT_THAT(told[0].leases, ElementsAre(LeaseOf(3, 0)));
  EXPECT_THAT(told[1].leases, ElementsAre(LeaseOf(5, 0)));
  push(3, 2);
  push(3, 5);
  const auto acks = leaders_.Heard<PushAck>();
  ASSERT_THAT(acks, SizeIs(2));
  EXPECT_TRUE(acks[0].applied) << "an earlier step of the same stream";
  EXPECT_TRUE(acks[1].applied) << "it has that already";
  EXPECT_EQ(Held(3)->version(), 3);
}

}  // namespace
}  // namespace weft::cluster
