#include "cluster/leader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "cluster/step_plan.h"
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

Address WorkerAt(DeviceId device) { return {device, Role::kWorker}; }

JobSpec Spec() {
  JobSpec spec;
  spec.samples = 8;
  spec.batch = 8;
  spec.epochs = 100;
  spec.deterministic = true;
  spec.slots = 2;
  spec.trainable_count = 2;
  return spec;
}

Lease Half(int64_t step, int64_t slot) {
  return {.id = static_cast<uint64_t>(step * kLeaseIdsPerStep + slot) + 1,
          .step = step,
          .epoch = step,
          .slot = slot,
          .begin = 4 * slot,
          .count = 4};
}

BeginStep Begin(int64_t step, bool checkpoint = false, uint64_t term = 1) {
  return {.term = term,
          .step = step,
          .epoch = step,
          .total_samples = 8,
          .leases = {Half(step, 0), Half(step, 1)},
          .lr = 1,
          .checkpoint = checkpoint,
          .version = step};
}

Payload Packet(const std::vector<float>& values) {
  auto packet = std::make_shared<Bytes>();
  EXPECT_TRUE(codec::MakeCodec("dense").value()->Encode(values, {}, packet.get()).ok());
  return packet;
}

Push Update(DeviceId device, uint64_t sequence, int64_t step, int64_t slot,
            const std::vector<float>& gradient) {
  return {.term = 1,
          .device = device,
          .incarnation = 500 + device,
          .sequence = sequence,
          .lease = Half(step, slot),
          .version = step,
          .loss_sum = 4,
          .correct = 2,
          .gradient = Packet(gradient)};
}

class LeaderTest : public ::testing::Test {
 protected:
  LeaderTest() { Make({0, 0, {10, 20}, {}}); }

  void Make(Snapshot start) { leader_ = Leader::Make(Spec(), std::move(start)).value(); }
  Actions Say(const Message& message) { return leader_->Handle({}, kCoordinator, message); }
  Actions Push(const cluster::Push& push) {
    return leader_->Handle({}, WorkerAt(push.device), push);
  }
  std::vector<float> Parameters() const {
    return {leader_->parameters().begin(), leader_->parameters().end()};
  }
  // Two updates of mean 2 and 4: the parameters move by 3.
  Actions RunStep(int64_t step) {
    const auto sequence = static_cast<uint64_t>(step + 1);
    Push(Update(1, sequence, step, 0, {2, 2}));
    return Push(Update(2, sequence, step, 1, {4, 4}));
  }

  std::unique_ptr<Leader> leader_;
};

TEST_F(LeaderTest, AppliesAStepOnceAllOfItIsThere) {
  Say(Begin(0));
  EXPECT_THAT(Push(Update(2, 1, 0, 1, {4, 4})), IsEmpty()) << "nothing is acknowledged too early";
  const Actions actions = Push(Update(1, 1, 0, 0, {2, 2}));
  EXPECT_THAT(Parameters(), ElementsAre(7, 17));
  const auto acks = Sent<PushAck>(actions);
  ASSERT_THAT(acks, SizeIs(2));
  EXPECT_TRUE(acks[0].applied && acks[1].applied);
  EXPECT_EQ(acks[0].version, 1);
  const Committed record = Sent<Committed>(actions).at(0);
  EXPECT_THAT(record.leases, ElementsAre(Half(0, 0), Half(0, 1)));
  EXPECT_THAT(record.devices, ElementsAre(1, 2));
  EXPECT_EQ(record.samples, 8);
  EXPECT_EQ(record.loss_sum, 8);
  EXPECT_EQ(record.correct, 4);
  EXPECT_NEAR(record.gradient_norm, std::sqrt(18.0), 1e-6);
}

// Promise 2.
TEST_F(LeaderTest, ADuplicatePushIsNotAppliedTwice) {
  Say(Begin(0));
  EXPECT_THAT(Push(Update(1, 1, 0, 0, {2, 2})), IsEmpty());
  EXPECT_THAT(Push(Update(1, 1, 0, 0, {2, 2})), IsEmpty()) << "acknowledged with its step";
  EXPECT_THAT(Sent<PushAck>(Push(Update(2, 1, 0, 1, {4, 4}))), SizeIs(2));
  EXPECT_THAT(Parameters(), ElementsAre(7, 17));
  // After the step: it is told again that it counts, and changes nothing.
  const auto acks = Sent<PushAck>(Push(Update(1, 1, 0, 0, {2, 2})));
  ASSERT_THAT(acks, SizeIs(1));
  EXPECT_TRUE(acks[0].applied);
  EXPECT_THAT(Parameters(), ElementsAre(7, 17));
}

TEST_F(LeaderTest, ALeaseCountsOnceWhoeverComputesIt) {
  Say(Begin(0));
  Push(Update(1, 1, 0, 0, {2, 2}));
  EXPECT_THAT(Push(Update(3, 1, 0, 0, {2, 2})), IsEmpty());
  const auto acks = Sent<PushAck>(Push(Update(2, 1, 0, 1, {4, 4})));
  ASSERT_THAT(acks, SizeIs(3));
  EXPECT_TRUE(acks[0].applied && acks[1].applied);
  EXPECT_FALSE(acks[2].applied);
  EXPECT_THAT(Parameters(), ElementsAre(7, 17));
  EXPECT_FALSE(Sent<PushAck>(Push(Update(3, 1, 0, 0, {2, 2}))).at(0).applied);
}

TEST_F(LeaderTest, AnotherIncarnationIsAnotherSender) {
  Say(Begin(0));
  RunStep(0);
  Say(Begin(1));
  cluster::Push reborn = Update(1, 1, 1, 0, {2, 2});
  reborn.incarnation = 9;
  EXPECT_THAT(Push(reborn), IsEmpty()) << "it is in the step";
  EXPECT_THAT(Sent<PushAck>(Push(Update(2, 2, 1, 1, {4, 4}))), SizeIs(2));
}

TEST_F(LeaderTest, AnUpdateThatOutranItsStepIsKept) {
  EXPECT_THAT(Push(Update(1, 1, 0, 0, {2, 2})), IsEmpty());
  EXPECT_THAT(Push(Update(1, 1, 0, 0, {2, 2})), IsEmpty());
  EXPECT_THAT(Push(Update(2, 1, 0, 1, {4, 4})), IsEmpty());
  EXPECT_THAT(Sent<PushAck>(Say(Begin(0))), SizeIs(2));
  EXPECT_THAT(Parameters(), ElementsAre(7, 17));
}

TEST_F(LeaderTest, EarlyUpdatesAreBounded) {
  Say(Begin(0));
  RunStep(0);
  ASSERT_EQ(leader_->most_kept(), Leader::kMaxKept + 4);
  size_t refused = 0;
  for (uint64_t i = 0; i < leader_->most_kept() + 10; ++i) {
    refused += Sent<PushAck>(Push(Update(1, 10 + i, 1, 0, {2, 2}))).size();
  }
  EXPECT_EQ(refused, 10u);
  EXPECT_EQ(leader_->kept(), leader_->most_kept());
}

TEST_F(LeaderTest, AStepOfThousandsMayBeEarlyWithoutOneRefused) {
  for (DeviceId device = 1; device <= 10000; ++device) {
    ASSERT_THAT(Push(Update(device, 1, 0, 0, {2, 2})), IsEmpty());
  }
}

TEST_F(LeaderTest, TheBytesOfEarlyUpdatesAreBounded) {
  JobSpec spec = Spec();
  spec.trainable_count = 20 << 20;  // 80 MiB of them
  std::vector<float> values(static_cast<size_t>(spec.trainable_count));
  const Payload packet = Packet(values);
  leader_ = Leader::Make(spec, {0, 0, std::move(values), {}}).value();
  std::vector<size_t> answers;
  for (uint64_t i = 1; i <= 5; ++i) {
    cluster::Push push = Update(1, i, 0, 0, {});
    push.gradient = packet;
    answers.push_back(Sent<PushAck>(Push(push)).size());
  }
  EXPECT_THAT(answers, ElementsAre(0, 0, 0, 0, 1));
}

TEST_F(LeaderTest, BeatenUpdatesAreBounded) {
  Say(Begin(0));
  Push(Update(1, 1, 0, 0, {2, 2}));
  size_t refused = 0;
  for (uint64_t i = 0; i < leader_->most_kept() + 10; ++i) {
    refused += Sent<PushAck>(Push(Update(3, 1 + i, 0, 0, {2, 2}))).size();
  }
  EXPECT_EQ(refused, 10u);
}

TEST_F(LeaderTest, SaysWhatBecameOfAnUpdate) {
  Say(Begin(0));
  RunStep(0);
  Say(Begin(1));
  cluster::Push question = Update(1, 1, 0, 0, {});
  for (const Payload& nothing : {Payload(), Payload(std::make_shared<Bytes>())}) {
    question.gradient = nothing;
    question.sequence = 1;
    EXPECT_TRUE(Sent<PushAck>(Push(question)).at(0).applied);
    question.sequence = 2;
    EXPECT_FALSE(Sent<PushAck>(Push(question)).at(0).applied);
  }
}

TEST_F(LeaderTest, SaysWhichSlotsAreMissing) {
  EXPECT_THAT(Say(AskMissing{1, 0}), IsEmpty()) << "no step is open";
  Say(Begin(0));
  EXPECT_THAT(Sent<Missing>(Say(AskMissing{1, 0})).at(0).slots, ElementsAre(0, 1));
  Push(Update(1, 1, 0, 0, {2, 2}));
  const Missing missing = Sent<Missing>(Say(AskMissing{1, 0})).at(0);
  EXPECT_THAT(missing.slots, ElementsAre(1));
  EXPECT_EQ(missing.term, 1u);
  EXPECT_THAT(Say(AskMissing{1, 1}), IsEmpty());
  EXPECT_THAT(Say(AskMissing{2, 0}), IsEmpty());
  EXPECT_THAT(Emitted<Warning>(leader_->Handle({}, WorkerAt(1), AskMissing{1, 0})), SizeIs(1));
}

TEST_F(LeaderTest, MessagesOfAnOlderTermAreRefused) {
  Say(Begin(0, false, 2));
  const auto acks = Sent<PushAck>(Push(Update(1, 1, 0, 0, {2, 2})));
  ASSERT_THAT(acks, SizeIs(1));
  EXPECT_FALSE(acks[0].applied);
  EXPECT_EQ(acks[0].term, 2u);
  EXPECT_THAT(leader_->Handle({}, WorkerAt(1), Pull{1, 1, 0}), IsEmpty());
  EXPECT_THAT(Say(Begin(0, false, 1)), IsEmpty());
  // Of the newer term nothing was lost.
  cluster::Push fresh = Update(1, 1, 0, 0, {2, 2});
  fresh.term = 2;
  EXPECT_THAT(Push(fresh), IsEmpty());
}

TEST_F(LeaderTest, AnOlderTermIsRefusedBetweenStepsToo) {
  Say(Begin(0));
  RunStep(0);
  Say(Begin(1, false, 2));
  for (DeviceId device : {1, 2}) {
    cluster::Push push = Update(device, 7, 1, device - 1, {1, 1});
    push.term = 2;
    Push(push);
  }
  EXPECT_EQ(leader_->version(), 2);
  EXPECT_FALSE(Sent<PushAck>(Push(Update(3, 1, 2, 0, {1, 1}))).at(0).applied);
}

TEST_F(LeaderTest, ANewTermVoidsWhatTheOldOneCollected) {
  Say(Begin(0));
  Push(Update(1, 1, 0, 0, {100, 100}));
  Say(Begin(0, false, 2));
  for (DeviceId device : {1, 2}) {
    cluster::Push push = Update(device, 7, 0, device - 1, {1, 1});
    push.term = 2;
    Push(push);
  }
  EXPECT_THAT(Parameters(), ElementsAre(9, 19));
}

TEST_F(LeaderTest, WrongUpdatesAreRefusedAndChangeNothing) {
  Say(Begin(0));
  const auto refused = [&](auto change) {
    cluster::Push push = Update(1, 1, 0, 0, {2, 2});
    change(push);
    const auto acks = Sent<PushAck>(Push(push));
    return acks.size() == 1 && !acks[0].applied;
  };
  EXPECT_TRUE(refused([](cluster::Push& p) { p.version = 5; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.lease.count = 5; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.lease.slot = -1; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.lease.slot = 2; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.correct = 5; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.correct = -1; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.gradient = nullptr; }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.gradient = Packet({1, 2, 3}); }));
  EXPECT_TRUE(refused([](cluster::Push& p) { p.gradient = Packet({1}); }));
  EXPECT_TRUE(refused([](cluster::Push& p) {
    auto damaged = std::make_shared<Bytes>(*p.gradient);
    damaged->back() ^= 1;
    p.gradient = damaged;
  }));
  RunStep(0);
  EXPECT_THAT(Parameters(), ElementsAre(7, 17));
}

TEST_F(LeaderTest, AFalseSenderIsNotHeard) {
  Say(Begin(0));
  const Actions actions = leader_->Handle({}, WorkerAt(9), Update(1, 1, 0, 0, {2, 2}));
  EXPECT_THAT(Emitted<Warning>(actions), SizeIs(1));
  EXPECT_THAT(Sent<PushAck>(actions), IsEmpty());
  EXPECT_THAT(Emitted<Warning>(Push(Update(1, ~uint64_t{0}, 0, 0, {2, 2}))), SizeIs(1));
  EXPECT_THAT(Emitted<Warning>(leader_->Handle({}, WorkerAt(9), Begin(1))), SizeIs(1));
  EXPECT_THAT(Emitted<Warning>(leader_->Handle({}, WorkerAt(9), Bye{})), SizeIs(1));
}

TEST_F(LeaderTest, WhatIsNotFiniteIsNotApplied) {
  for (const bool in_loss : {true, false}) {
    Make({0, 0, {10, 20}, {}});
    Say(Begin(0));
    const float bad = std::numeric_limits<float>::infinity();
    cluster::Push push = Update(1, 1, 0, 0, {in_loss ? 1.0f : bad, 1});
    if (in_loss) push.loss_sum = std::numeric_limits<double>::quiet_NaN();
    Push(push);
    const Actions actions = Push(Update(2, 1, 0, 1, {4, 4}));
    EXPECT_THAT(Sent<Committed>(actions).at(0).problem,
                HasSubstr(in_loss ? "the loss is not finite" : "the gradient is not finite"));
    for (const PushAck& ack : Sent<PushAck>(actions)) EXPECT_FALSE(ack.applied);
    EXPECT_THAT(Parameters(), ElementsAre(10, 20));
    EXPECT_EQ(leader_->version(), 0);
  }
}

TEST_F(LeaderTest, APullWaitsForItsVersionAndOneEncodingServesAll) {
  Say(Begin(0));
  const auto now = Sent<cluster::Parameters>(leader_->Handle({}, WorkerAt(1), Pull{1, 1, 0}));
  ASSERT_THAT(now, SizeIs(1));
  EXPECT_EQ(now[0].version, 0);
  EXPECT_THAT(leader_->Handle({}, WorkerAt(1), Pull{1, 1, 1}), IsEmpty());
  EXPECT_THAT(leader_->Handle({}, WorkerAt(2), Pull{1, 2, 1}), IsEmpty());
  const auto later = Sent<cluster::Parameters>(RunStep(0));
  ASSERT_THAT(later, SizeIs(2));
  EXPECT_EQ(later[0].version, 1);
  EXPECT_EQ(later[0].values, later[1].values) << "the same bytes, not a copy";
  std::vector<float> values(2);
  ASSERT_TRUE(codec::MakeCodec("dense").value()->Decode(*later[0].values, values).ok());
  EXPECT_THAT(values, ElementsAre(7, 17));
}

// A large message may be overtaken by small ones and any may come twice.
TEST_F(LeaderTest, WhatComesTwiceOrLateIsAnsweredOnceAndChangesNothing) {
  leader_->Handle({}, WorkerAt(3), Pull{1, 3, 1});
  leader_->Handle({}, WorkerAt(3), Pull{1, 3, 1});
  Say(Begin(0));
  EXPECT_THAT(Say(Begin(0)), IsEmpty());
  Push(Update(1, 1, 0, 0, {2, 2}));
  Push(Update(3, 1, 0, 0, {2, 2}));
  Push(Update(3, 1, 0, 0, {2, 2}));
  const Actions actions = Push(Update(2, 1, 0, 1, {4, 4}));
  EXPECT_THAT(Sent<PushAck>(actions), SizeIs(3));
  EXPECT_THAT(Sent<cluster::Parameters>(actions), SizeIs(1));
  // It is applied; the record may have been lost.
  const Actions again = Say(Begin(0));
  EXPECT_THAT(again, SizeIs(1));
  EXPECT_THAT(Sent<Committed>(again).at(0).leases, ElementsAre(Half(0, 0), Half(0, 1)));
  Say(Begin(1));
  EXPECT_FALSE(Sent<PushAck>(Push(Update(3, 1, 0, 0, {2, 2}))).at(0).applied);
  EXPECT_TRUE(Sent<PushAck>(Push(Update(1, 1, 0, 0, {2, 2}))).at(0).applied);
  EXPECT_THAT(Parameters(), ElementsAre(7, 17));
  EXPECT_THAT(Sent<Missing>(Say(AskMissing{1, 1})).at(0).slots, ElementsAre(0, 1));
}

TEST_F(LeaderTest, ASnapshotIsConsistentAndResumesBitForBit) {
  JobSpec spec = Spec();
  spec.optimizer.momentum = 0.9;
  leader_ = Leader::Make(spec, {0, 0, {10, 20}, {}}).value();
  Say(Begin(0, true));
  const auto saves = Asked<SaveCheckpoint>(RunStep(0));
  ASSERT_THAT(saves, SizeIs(1));
  const Snapshot snapshot = *saves[0].snapshot;
  Say(Begin(1));
  RunStep(1);
  EXPECT_EQ(*saves[0].snapshot, snapshot) << "it must not change under the writer";
  EXPECT_EQ(snapshot.step, 1);
  const std::vector<float> want = Parameters();

  leader_ = Leader::Make(spec, snapshot).value();
  EXPECT_EQ(leader_->version(), 1);
  Say(Begin(1));
  RunStep(1);
  EXPECT_EQ(Parameters(), want);
}

TEST_F(LeaderTest, OneSnapshotIsOutAtATime) {
  Say(Begin(0, true));
  EXPECT_THAT(Asked<SaveCheckpoint>(RunStep(0)), SizeIs(1));
  for (int64_t step : {1, 2}) {
    Say(Begin(step, true));
    const Actions actions = RunStep(step);
    EXPECT_THAT(Asked<SaveCheckpoint>(actions), IsEmpty());
    EXPECT_THAT(Emitted<Warning>(actions), SizeIs(step == 1 ? 1 : 0)) << "said once";
  }
  Actions actions = leader_->OnCheckpointDone({}, 1, "a", OkStatus());
  EXPECT_EQ(Sent<CheckpointDone>(actions).at(0).step, 1);
  ASSERT_THAT(Asked<SaveCheckpoint>(actions), SizeIs(1));
  EXPECT_EQ(Asked<SaveCheckpoint>(actions)[0].snapshot->step, 3);
  actions = leader_->OnCheckpointDone({}, 3, "b", base::ResourceExhausted("disk full"));
  EXPECT_EQ(Sent<CheckpointDone>(actions).at(0).problem, "disk full");
  EXPECT_THAT(Asked<SaveCheckpoint>(actions), IsEmpty());
}

TEST_F(LeaderTest, ACheckpointCanBeAskedForLate) {
  Say(Begin(0));
  Say(Begin(0, true));  // while the step is under way
  EXPECT_THAT(Asked<SaveCheckpoint>(RunStep(0)), SizeIs(1));
  EXPECT_THAT(Asked<SaveCheckpoint>(Say(Begin(0, true))), IsEmpty()) << "it is being saved";
  leader_->OnCheckpointDone({}, 1, "a", base::ResourceExhausted("disk full"));
  EXPECT_THAT(Asked<SaveCheckpoint>(Say(Begin(0, true))), SizeIs(1)) << "the last one failed";
}

TEST_F(LeaderTest, AStepItCannotBeginIsAFault) {
  EXPECT_THAT(Sent<Fault>(Say(Begin(3))).at(0).reason, HasSubstr("holds version 0"));
}

TEST(LeaderMake, RefusesWhatDoesNotFit) {
  const JobSpec spec = Spec();
  EXPECT_EQ(Leader::Make(spec, {0, 0, {1}, {}}).status().code(), Code::kDataLoss);
  EXPECT_EQ(Leader::Make(spec, {-1, 2, {1, 2}, {}}).status().code(), Code::kDataLoss);
  EXPECT_EQ(Leader::Make(spec, {3, -2, {1, 2}, {}}).status().code(), Code::kDataLoss);
  JobSpec momentum = spec;
  momentum.optimizer.momentum = 0.9;
  EXPECT_EQ(Leader::Make(momentum, {3, 3, {1, 2}, {}}).status().code(), Code::kDataLoss)
      << "a checkpoint without the optimizer's state";
  JobSpec unknown = spec;
  unknown.codec_up.name = "zip";
  EXPECT_EQ(Leader::Make(unknown, {0, 0, {1, 2}, {}}).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace weft::cluster
