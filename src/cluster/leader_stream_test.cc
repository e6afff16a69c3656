// Streams: updates that are applied one by one, or a few at once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cluster/leader_testing.h"

namespace weft::cluster {
namespace {

using aggregate::Mode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Leaders;
using testing::Packet;
using ::testing::SizeIs;
using testing::WorkerAt;

constexpr Range kAll = {0, 1};

JobSpec Spec() {
  JobSpec spec;
  spec.samples = 80;
  spec.batch = 8;
  spec.slots = 4;
  spec.trainable_count = 1;
  spec.aggregation.staleness_exponent = 1;
  return spec;
}

// Slot of a step; two samples, a quarter of a round.
Lease LeaseOf(int64_t step, int64_t slot) {
  return {.id = static_cast<uint64_t>(step * kLeaseIdsPerStep + slot) + 1,
          .step = step,
          .slot = slot,
          .begin = 2 * slot,
          .count = 2};
}

class LeaderStream : public ::testing::Test {
 protected:
  void Start(const JobSpec& spec, Mode mode) {
    leaders_ = std::make_unique<Leaders>(spec, Snapshot{0, 0, {10}, {}});
    Begin(mode);
  }
  void Begin(Mode mode) { leaders_->Order(0, BeginStream{1, kAll, static_cast<uint8_t>(mode)}); }
  cluster::Push Update(DeviceId device, int64_t step, int64_t slot, int64_t version,
                       float gradient) {
    return {.term = 1,
            .device = device,
            .incarnation = 5,
            .sequence = ++sequence_,
            .lease = LeaseOf(step, slot),
            .version = version,
            .loss_sum = 4,
            .correct = 1,
            .gradient = Packet({gradient}),
            .range = kAll,
            .lr = 0.5};
  }
  void Say(const cluster::Push& push) { leaders_->Tell(0, WorkerAt(push.device), push); }
  void Push(DeviceId device, int64_t step, int64_t slot, int64_t version, float gradient) {
    Say(Update(device, step, slot, version, gradient));
  }
  bool Acknowledged() {
    const auto acks = leaders_->Heard<PushAck>();
    EXPECT_THAT(acks, SizeIs(1));
    return acks.size() == 1 && acks[0].applied;
  }
  float Parameter() { return leaders_->At(0).parameters()[0]; }

  std::unique_ptr<Leaders> leaders_;
  uint64_t sequence_ = 0;
};

// The word of a new term may come to a worker first.
TEST_F(LeaderStream, APullThatCameBeforeTheStreamIsAnswered) {
  leaders_ = std::make_unique<Leaders>(Spec(), Snapshot{0, 0, {10}, {}});
  leaders_->Tell(0, WorkerAt(1), Pull{1, 1, 0, kAll});
  EXPECT_THAT(leaders_->Heard<Parameters>(), IsEmpty());
  Begin(Mode::kAsync);
  EXPECT_THAT(leaders_->Heard<Parameters>(), SizeIs(1));
}

TEST_F(LeaderStream, EachUpdateIsAppliedByItselfForItsShareOfABatch) {
  Start(Spec(), Mode::kAsync);
  Push(1, 0, 0, 0, 8);
  EXPECT_NEAR(Parameter(), 10 - 0.5 * 0.25 * 8, 1e-6);
  const Committed record = leaders_->Heard<Committed>().at(0);
  EXPECT_EQ(record.step, 0);
  EXPECT_EQ(record.version, 1);
  EXPECT_THAT(record.leases, ElementsAre(LeaseOf(0, 0)));
  EXPECT_THAT(record.devices, ElementsAre(1));
  EXPECT_EQ(record.samples, 2);
  EXPECT_EQ(record.range, kAll);
  const PushAck ack = leaders_->Heard<PushAck>().at(0);
  EXPECT_TRUE(ack.applied);
  EXPECT_EQ(ack.version, 1);
  EXPECT_EQ(ack.range, kAll);
}

TEST_F(LeaderStream, ALeaseCountsOnceAndAnUpdateSentTwiceIsToldSo) {
  Start(Spec(), Mode::kAsync);
  const cluster::Push first = Update(1, 0, 0, 0, 8);
  Say(first);
  EXPECT_TRUE(Acknowledged());
  Say(first);
  EXPECT_TRUE(Acknowledged());
  Push(2, 0, 0, 0, 8);
  EXPECT_FALSE(Acknowledged());
  EXPECT_EQ(leaders_->At(0).version(), 1);
}

TEST_F(LeaderStream, ALeaseOfAnEarlierStepDoesNotComeInAgain) {
  leaders_ = std::make_unique<Leaders>(Spec(), Snapshot{0, 0, {10}, {}});
  BeginStep step{.term = 1, .step = 0, .total_samples = 2, .leases = {LeaseOf(0, 0)}, .lr = 1};
  leaders_->Order(0, step);
  Push(1, 0, 0, 0, 1);
  EXPECT_TRUE(Acknowledged());
  Begin(Mode::kAsync);
  Push(2, 0, 0, 0, 1);  // another device had it too
  EXPECT_FALSE(Acknowledged());
}

// Rounds beyond the usual one: four quarters are usual, so five are a quarter too old.
TEST_F(LeaderStream, StaleUpdatesWeighLess) {
  Start(Spec(), Mode::kAsync);
  for (int64_t i = 0; i < 12; ++i) Push(1, i, 0, i, 0);
  EXPECT_EQ(Parameter(), 10);
  Push(2, 12, 0, 4, 8);  // two rounds old
  EXPECT_NEAR(Parameter(), 10 - 1, 1e-6);
  Push(2, 13, 0, 1, 8);  // three: two more than usual
  EXPECT_NEAR(Parameter(), 10 - 1 - 0.5, 1e-6);
}

TEST_F(LeaderStream, TooStaleIsRefusedButNotWhereTheWorkersWaitForEachOther) {
  for (const Mode mode : {Mode::kAsync, Mode::kSsp}) {
    JobSpec spec = Spec();
    spec.aggregation.max_staleness = 1;
    Start(spec, mode);
    for (int64_t i = 0; i < 9; ++i) Push(1, i, 0, i, 0);
    leaders_->Forget();
    Push(2, 20, 0, 1, 1);  // two rounds old, one more than usual
    EXPECT_TRUE(Acknowledged());
    Push(2, 21, 0, 0, 1);
    EXPECT_EQ(Acknowledged(), mode == Mode::kSsp);
  }
}

TEST_F(LeaderStream, BufferedAppliesSomeAtOnce) {
  Start(Spec(), Mode::kBuffered);  // half of four slots: two
  Push(1, 0, 0, 0, 4);
  EXPECT_THAT(leaders_->Heard<PushAck>(), IsEmpty());
  EXPECT_EQ(Parameter(), 10);
  Push(2, 1, 1, 0, 8);
  EXPECT_NEAR(Parameter(), 10 - 0.5 * 0.5 * 6, 1e-6) << "half a batch of mean 6";
  const Committed record = leaders_->Heard<Committed>().at(0);
  EXPECT_THAT(record.leases, ElementsAre(LeaseOf(0, 0), LeaseOf(1, 1)));
  EXPECT_EQ(record.step, 1);
  EXPECT_THAT(leaders_->Heard<PushAck>(), SizeIs(2));
}

TEST_F(LeaderStream, TheEndAppliesWhatIsBufferedAndSaves) {
  JobSpec spec = Spec();
  spec.aggregation.buffer = 3;
  Start(spec, Mode::kBuffered);
  Push(1, 0, 0, 0, 8);
  leaders_->Order(0, EndStream{1, kAll, true, 7});
  EXPECT_NEAR(Parameter(), 10 - 0.5 * 0.25 * 8, 1e-6);
  EXPECT_TRUE(Acknowledged());
  EXPECT_THAT(leaders_->Heard<Committed>(), SizeIs(1));
  EXPECT_EQ(leaders_->Heard<StreamEnded>().at(0).version, 1);
  ASSERT_THAT(leaders_->saves, SizeIs(1));
  EXPECT_EQ(leaders_->saves[0]->step, 7);
  EXPECT_EQ(leaders_->saves[0]->version, 1);
  // A step goes on from there, whatever its number.
  leaders_->Order(0, BeginStep{.term = 1,
                               .step = 7,
                               .total_samples = 2,
                               .leases = {LeaseOf(7, 0)},
                               .lr = 1,
                               .version = 1});
  Push(1, 7, 0, 1, 1);
  EXPECT_EQ(leaders_->Heard<Committed>().at(0).version, 2);
  // And so does a leader that starts from the checkpoint.
  EXPECT_TRUE(Leader::Make(spec, *leaders_->saves[0]).ok());
}

TEST_F(LeaderStream, TheEndIsToldAgain) {
  Start(Spec(), Mode::kAsync);
  for (int i = 0; i < 2; ++i) {
    leaders_->Order(0, EndStream{1, kAll, false, 1});
    EXPECT_THAT(leaders_->Heard<StreamEnded>(), SizeIs(1));
  }
}

TEST_F(LeaderStream, ABeginningSaidAgainBringsTheRecordsThatMayBeLost) {
  Start(Spec(), Mode::kAsync);
  EXPECT_THAT(leaders_->Heard<Committed>(), IsEmpty());
  Push(1, 0, 0, 0, 8);
  Push(1, 1, 0, 1, 8);
  const auto told = leaders_->Heard<Committed>();
  Begin(Mode::kAsync);
  const auto again = leaders_->Heard<Committed>();
  ASSERT_THAT(again, SizeIs(2));
  EXPECT_EQ(again[0].leases, told[0].leases);
  EXPECT_EQ(again[1].version, told[1].version);
}

TEST_F(LeaderStream, EachNewVersionCanBePulled) {
  Start(Spec(), Mode::kAsync);
  leaders_->Tell(0, WorkerAt(3), Pull{1, 3, 1, kAll});
  EXPECT_THAT(leaders_->Heard<Parameters>(), IsEmpty());
  Push(1, 0, 0, 0, 8);
  const auto got = leaders_->Heard<Parameters>();
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_EQ(got[0].version, 1);
  EXPECT_EQ(got[0].range, kAll);
}

// One that is late by a version of known parameters is corrected by how far they have moved.
TEST_F(LeaderStream, DelayIsCompensatedWhereTheBaseIsKnown) {
  JobSpec spec = Spec();
  spec.aggregation.delay_compensation = 0.1;
  for (const bool pulled : {true, false}) {
    Start(spec, Mode::kAsync);
    if (pulled) leaders_->Tell(0, WorkerAt(2), Pull{1, 2, 0, kAll});
    Push(1, 0, 0, 0, 8);
    EXPECT_NEAR(Parameter(), 9, 1e-6);
    Push(2, 1, 0, 0, 4);
    const double gradient = pulled ? 4 + 0.1 * 16 * (9 - 10) : 4;
    EXPECT_NEAR(Parameter(), 9 - 0.5 * 0.25 * gradient, 1e-6);
  }
}

TEST_F(LeaderStream, WhatIsNotFiniteIsNotApplied) {
  Start(Spec(), Mode::kAsync);
  Push(1, 0, 0, 0, std::numeric_limits<float>::infinity());
  EXPECT_THAT(leaders_->Heard<Committed>().at(0).problem, HasSubstr("gradient is not finite"));
  EXPECT_FALSE(Acknowledged());
  EXPECT_EQ(Parameter(), 10);
  EXPECT_EQ(leaders_->At(0).version(), 0);
}

TEST_F(LeaderStream, WrongUpdatesAreRefused) {
  Start(Spec(), Mode::kAsync);
  const auto refused = [&](auto change) {
    cluster::Push push = Update(1, 0, 0, 0, 1);
    change(push);
    Say(push);
    return !Acknowledged();
  };
  EXPECT_TRUE(refused([](cluster::Push& p) { p.lr = std::nan(""); }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.lr = -1; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.version = -1; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.version = std::numeric_limits<int64_t>::min(); }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.lease.count = 0; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.lease.count = 9; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.lease.id = ~uint64_t{0}; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.lease.id = 0; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.correct = 3; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.gradient = Packet({1, 2}); }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.gradient = nullptr; }));
  EXPECT_EQ(leaders_->At(0).version(), 0);
}

TEST_F(LeaderStream, AStreamThatCannotBeginIsAFault) {
  Start(Spec(), static_cast<Mode>(9));
  EXPECT_THAT(leaders_->Heard<Fault>().at(0).reason, HasSubstr("a stream of mode 9"));
}

TEST_F(LeaderStream, ANewTermEndsIt) {
  Start(Spec(), Mode::kBuffered);
  Push(1, 0, 0, 0, 8);
  leaders_->Order(
      0, BeginStep{.term = 2, .step = 0, .total_samples = 2, .leases = {LeaseOf(0, 0)}, .lr = 1});
  EXPECT_THAT(leaders_->Heard<Fault>(), IsEmpty());
  Push(1, 0, 0, 0, 8);
  EXPECT_FALSE(Acknowledged()) << "of the old term";
}

}  // namespace
}  // namespace weft::cluster
