#include "cluster/site_relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/leader.h"
#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using std::chrono::milliseconds;
using testing::Asked;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kCoordinator = {kCoordinatorDevice, Role::kCoordinator};
constexpr Address kHub = {kCoordinatorDevice, Role::kLeader};
constexpr Range kAll = {0, 2};

Address WorkerAt(DeviceId device) { return {device, Role::kWorker}; }

JobSpec Spec() {
  JobSpec spec;
  spec.samples = 8;
  spec.batch = 8;
  spec.trainable_count = 2;
  return spec;
}

Payload Packet(const std::vector<float>& values) {
  auto packet = std::make_shared<Bytes>();
  EXPECT_TRUE(codec::MakeCodec("dense").value()->Encode(values, {}, packet.get()).ok());
  return packet;
}

std::vector<float> ValuesOf(const Payload& packet) {
  std::vector<float> values(2);
  EXPECT_TRUE(codec::MakeCodec("dense").value()->Decode(*packet, values).ok());
  return values;
}

Lease LeaseOf(int64_t step, int64_t slot, int64_t count) {
  return {.id = static_cast<uint64_t>(step * kLeaseIdsPerStep + slot) + 1,
          .step = step,
          .slot = slot,
          .begin = 10 * slot,
          .count = count};
}

Push PushOf(DeviceId device, int64_t step, int64_t count, const std::vector<float>& gradient) {
  return {.term = 1,
          .device = device,
          .incarnation = 500 + device,
          .sequence = static_cast<uint64_t>(step + 1),
          .lease = LeaseOf(step, device, count),
          .version = step,
          .gradient = Packet(gradient),
          .range = kAll,
          .joint = 3};
}

Layout LayoutOf(uint64_t number, Address leader) {
  return {
      .number = number,
      .parts = {
          {.range = kAll, .leader = leader, .endpoint = {}, .standby = 0, .standby_endpoint = {}}}};
}

// Devices 4 to 6 at a site, 4 the relay.
class Relay : public ::testing::Test {
 protected:
  Relay() {
    Hear(kCoordinator, Relayout{1, LayoutOf(1, kHub)});
    Hear(kCoordinator, UseRelay{1, 1, 4, "a:1", {4, 5, 6}});
  }
  Actions Hear(Address from, const Message& message) { return relay_->Handle(now_, from, message); }
  Actions Pushed(const Push& push) { return Hear(WorkerAt(push.device), push); }
  Actions Wake() {
    now_ = relay_->NextWake().value();
    return relay_->Tick(now_);
  }

  TimePoint now_{};
  std::unique_ptr<SiteRelay> relay_ = SiteRelay::Make(Spec(), {4, Role::kRelay}).value();
};

TEST_F(Relay, SendsTheMeanOverAllSamplesOnceAllAreIn) {
  EXPECT_THAT(Pushed(PushOf(4, 0, 1, {8, 0})), IsEmpty());
  EXPECT_THAT(Pushed(PushOf(5, 0, 3, {0, 4})), IsEmpty());
  EXPECT_THAT(Pushed(PushOf(5, 0, 3, {0, 4})), IsEmpty()) << "sent twice, counts once";
  const auto sent = Asked<Send>(Pushed(PushOf(6, 0, 4, {2, 1})));
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].to, kHub);
  const auto& joint = std::get<JointPush>(sent[0].message);
  EXPECT_EQ(joint.range, kAll);
  ASSERT_THAT(joint.updates, SizeIs(3));
  EXPECT_EQ(joint.updates[1].device, 5u);
  EXPECT_EQ(joint.updates[1].lease.count, 3);
  EXPECT_EQ(joint.updates[1].gradient, nullptr);
  EXPECT_THAT(ValuesOf(joint.gradient), ElementsAre(2, 2));
  EXPECT_EQ(relay_->NextWake(), std::nullopt);
}

TEST_F(Relay, DoesNotWaitForOneThatIsLate) {
  Pushed(PushOf(4, 0, 1, {1, 1}));
  Pushed(PushOf(5, 0, 1, {3, 3}));
  EXPECT_THAT(relay_->Tick(now_ + milliseconds(100)), IsEmpty());
  const auto joint = Sent<JointPush>(Wake());
  ASSERT_THAT(joint, SizeIs(1));
  EXPECT_THAT(joint[0].updates, SizeIs(2));
  EXPECT_LE(now_ - TimePoint{}, SiteRelay::kMostPatience);
  const auto late = Sent<JointPush>(Pushed(PushOf(6, 0, 1, {5, 5})));
  ASSERT_THAT(late, SizeIs(1)) << "on at once, by itself";
  EXPECT_THAT(late[0].updates, SizeIs(1));
}

TEST_F(Relay, IsAsPatientAsTheStepBeforeMadeIt) {
  Pushed(PushOf(4, 0, 1, {1, 1}));
  now_ = now_ + milliseconds(100);
  Pushed(PushOf(5, 0, 1, {1, 1}));
  EXPECT_THAT(Sent<JointPush>(Pushed(PushOf(6, 0, 1, {1, 1}))), SizeIs(1));
  const TimePoint first = now_;
  Pushed(PushOf(4, 1, 1, {1, 1}));
  EXPECT_EQ(*relay_->NextWake() - first, milliseconds(300));
}

TEST_F(Relay, WhatIsNotForItGoesStraight) {
  Push push = PushOf(7, 0, 1, {1, 1});
  auto again = Asked<Send>(Pushed(push));
  ASSERT_THAT(again, SizeIs(1)) << "not of its site";
  EXPECT_EQ(again[0].to, WorkerAt(7));
  EXPECT_EQ(std::get<PushAgain>(again[0].message).sequence, push.sequence);
  push = PushOf(5, 0, 1, {1, 1});
  push.range = {0, 1};
  EXPECT_THAT(Sent<PushAgain>(Pushed(push)), SizeIs(1)) << "a range that it does not know";
  push = PushOf(5, 0, 1, {1, 1});
  push.gradient = std::make_shared<Bytes>(Bytes{1, 2, 3});
  EXPECT_THAT(Sent<PushAgain>(Pushed(push)), SizeIs(1)) << "nothing that decodes";
  push = PushOf(5, 0, 1, {1, 1});
  EXPECT_THAT(Hear(WorkerAt(6), push), IsEmpty()) << "in another's name";
}

TEST_F(Relay, AStepThatBeginsSendsWhatIsLeftOfTheOneBefore) {
  Pushed(PushOf(4, 0, 1, {1, 1}));
  const auto joint = Sent<JointPush>(Pushed(PushOf(4, 1, 1, {2, 2})));
  ASSERT_THAT(joint, SizeIs(1));
  EXPECT_EQ(joint[0].updates[0].lease.step, 0);
  EXPECT_THAT(Sent<PushAgain>(Pushed(PushOf(5, 0, 1, {1, 1}))), SizeIs(1)) << "of a step before";
}

TEST_F(Relay, AsksForAllAgainThatMayBeLost) {
  Pushed(PushOf(4, 0, 1, {1, 1}));
  Pushed(PushOf(5, 0, 1, {1, 1}));
  Pushed(PushOf(6, 0, 1, {1, 1}));
  Pushed(PushOf(4, 1, 1, {1, 1}));
  EXPECT_THAT(relay_->OnLost(now_, 9), IsEmpty()) << "leads nothing";
  EXPECT_THAT(Sent<PushAgain>(relay_->OnLost(now_, kCoordinatorDevice)), SizeIs(1))
      << "of the step that is open";
  Pushed(PushOf(5, 1, 1, {1, 1}));
  Pushed(PushOf(6, 1, 1, {1, 1}));
  const auto again =
      Sent<PushAgain>(Hear(kCoordinator, Relayout{1, LayoutOf(2, {9, Role::kLeader})}));
  EXPECT_THAT(again, SizeIs(2)) << "another leader: what waited is forgotten";
  EXPECT_EQ(relay_->NextWake(), std::nullopt);
}

TEST_F(Relay, FetchesParametersOnceForAll) {
  const auto asked = Asked<Send>(Hear(WorkerAt(5), Pull{1, 5, 1, kAll}));
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].to, kHub);
  EXPECT_EQ(std::get<Pull>(asked[0].message).device, 4u);
  EXPECT_THAT(Hear(WorkerAt(6), Pull{1, 6, 1, kAll}), IsEmpty());
  EXPECT_THAT(Hear(WorkerAt(5), Parameters{1, 1, Packet({1, 2}), kAll}), IsEmpty())
      << "not from its leader";
  const auto answers = Asked<Send>(Hear(kHub, Parameters{1, 1, Packet({1, 2}), kAll}));
  ASSERT_THAT(answers, SizeIs(2));
  EXPECT_EQ(answers[0].to, WorkerAt(5));
  EXPECT_EQ(answers[1].to, WorkerAt(6));
  const auto at_once = Asked<Send>(Hear(WorkerAt(4), Pull{1, 4, 0, kAll}));
  ASSERT_THAT(at_once, SizeIs(1));
  EXPECT_EQ(std::get<Parameters>(at_once[0].message).version, 1);
}

TEST_F(Relay, AsksForTheLeastThatSomebodyWaitsFor) {
  Hear(WorkerAt(5), Pull{1, 5, 7, kAll});
  EXPECT_EQ(Sent<Pull>(Hear(WorkerAt(6), Pull{1, 6, 3, kAll})).at(0).version, 3);
  const Actions actions = Hear(kHub, Parameters{1, 5, Packet({1, 2}), kAll});
  EXPECT_THAT(Sent<Parameters>(actions), SizeIs(1));
  EXPECT_EQ(Sent<Pull>(actions).at(0).version, 7);
}

Parameters Newer(int64_t version, int64_t base) {
  return {.term = 1,
          .version = version,
          .values = Packet({1, 2}),
          .range = kAll,
          .log = 40,
          .base = base};
}

TEST_F(Relay, PullsTheDifferenceForThoseThatHoldTheSame) {
  const auto asked = Sent<Pull>(Hear(WorkerAt(5), Pull{1, 5, 3, kAll, 40, 2}));
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0], (Pull{1, 4, 3, kAll, 40, 2}));
  EXPECT_THAT(Hear(WorkerAt(6), Pull{1, 6, 3, kAll, 40, 2}), IsEmpty());
  const auto sent = Asked<Send>(Hear(kHub, Newer(3, 2)));
  ASSERT_THAT(sent, SizeIs(2));
  EXPECT_EQ(std::get<Parameters>(sent[1].message).base, 2);
  EXPECT_THAT(Sent<Parameters>(Hear(WorkerAt(4), Pull{1, 4, 3, kAll, 40, 2})), SizeIs(1));
}

TEST_F(Relay, PullsAllOfItForThoseThatHoldDifferentThings) {
  Hear(WorkerAt(5), Pull{1, 5, 3, kAll, 40, 2});
  const auto asked = Sent<Pull>(Hear(WorkerAt(6), Pull{1, 6, 3, kAll, 40, 1}));
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0], (Pull{1, 4, 3, kAll}));
  EXPECT_THAT(Hear(WorkerAt(4), Pull{1, 4, 3, kAll}), IsEmpty()) << "all of it comes";
  const auto first = Asked<Send>(Hear(kHub, Newer(3, 2)));
  ASSERT_THAT(first, SizeIs(1)) << "the difference is for one of them";
  EXPECT_EQ(first[0].to, WorkerAt(5));
  const auto rest = Asked<Send>(Hear(kHub, Newer(3, -1)));
  ASSERT_THAT(rest, SizeIs(2));
  EXPECT_EQ(rest[0].to, WorkerAt(4));
  EXPECT_EQ(rest[1].to, WorkerAt(6));
}

TEST_F(Relay, ADifferenceThatIsHereIsNotForWhoHoldsAnotherVersion) {
  Hear(WorkerAt(5), Pull{1, 5, 3, kAll, 40, 2});
  Hear(kHub, Newer(3, 2));
  for (const Pull& pull :
       {Pull{1, 6, 3, kAll, 40, 1}, Pull{1, 6, 3, kAll, 41, 2}, Pull{1, 6, 3, kAll}}) {
    const Actions actions = Hear(WorkerAt(6), pull);
    EXPECT_THAT(Sent<Parameters>(actions), IsEmpty());
    EXPECT_THAT(Sent<Pull>(actions), SizeIs(1));
  }
}

TEST_F(Relay, NothingNewerIsHandedOn) {
  Hear(WorkerAt(5), Pull{1, 5, 2, kAll, 40, 2});
  const Parameters none{.term = 1, .version = 2, .range = kAll, .log = 40, .base = 2};
  EXPECT_THAT(Sent<Parameters>(Hear(kHub, none)), SizeIs(1));
}

TEST_F(Relay, PullsAgainWhatMayBeLost) {
  Hear(WorkerAt(5), Pull{1, 5, 1, kAll});
  EXPECT_THAT(Sent<Pull>(relay_->OnLost(now_, kCoordinatorDevice)), SizeIs(1));
  const auto moved = Asked<Send>(Hear(kCoordinator, Relayout{1, LayoutOf(2, {9, Role::kLeader})}));
  ASSERT_THAT(moved, SizeIs(1));
  EXPECT_EQ(moved[0].to, (Address{9, Role::kLeader}));
}

TEST_F(Relay, ANewTermEndsAll) {
  Pushed(PushOf(4, 0, 1, {1, 1}));
  Hear(kCoordinator, Relayout{2, LayoutOf(1, kHub)});
  EXPECT_EQ(relay_->NextWake(), std::nullopt);
  EXPECT_THAT(Pushed(PushOf(5, 0, 1, {1, 1})), IsEmpty()) << "of the old term";
}

// ---- at the leader

class JointAtLeader : public ::testing::Test {
 protected:
  JointAtLeader() {
    leader_ = Leader::Make(Spec(), {0, 0, {10, 20}, {}}).value();
    Hear(kCoordinator, Begin());
  }
  static cluster::BeginStep Begin() {
    return {.term = 1,
            .total_samples = 8,
            .leases = {LeaseOf(0, 0, 2), LeaseOf(0, 1, 2), LeaseOf(0, 2, 4)},
            .lr = 1};
  }
  static Push Named(DeviceId device, int64_t slot, int64_t count) {
    return {.term = 1,
            .device = device,
            .sequence = device,
            .lease = LeaseOf(0, slot, count),
            .loss_sum = 1,
            .correct = 1,
            .range = kAll};
  }
  static JointPush Joint(const std::vector<Push>& updates, const std::vector<float>& gradient) {
    return {.term = 1, .range = kAll, .updates = updates, .gradient = Packet(gradient)};
  }
  static Push Straight(DeviceId device, int64_t slot, int64_t count, std::vector<float> gradient) {
    Push push = Named(device, slot, count);
    push.gradient = Packet(gradient);
    return push;
  }
  Actions Hear(Address from, const Message& message) { return leader_->Handle({}, from, message); }

  const Address relay_{4, Role::kRelay};
  std::unique_ptr<Leader> leader_;
};

TEST_F(JointAtLeader, CountsForEachOfItsUpdates) {
  EXPECT_THAT(Sent<PushAck>(Hear(relay_, Joint({Named(4, 0, 2), Named(5, 2, 4)}, {3, 6}))),
              IsEmpty());
  const Actions actions = Hear(WorkerAt(6), Straight(6, 1, 2, {-1, 2}));
  const auto acks = Asked<Send>(actions);
  EXPECT_EQ(acks.at(0).to, WorkerAt(4));
  EXPECT_EQ(acks.at(1).to, WorkerAt(6));
  EXPECT_EQ(acks.at(2).to, WorkerAt(5)) << "by slot";
  for (const PushAck& ack : Sent<PushAck>(actions)) EXPECT_TRUE(ack.applied);
  const Committed record = Sent<Committed>(actions).at(0);
  EXPECT_THAT(record.devices, ElementsAre(4u, 6u, 5u));
  EXPECT_EQ(record.samples, 8);
  EXPECT_EQ(record.loss_sum, 3);
  EXPECT_THAT(leader_->parameters(), ElementsAre(10 - (6 * 3 - 2) / 8.0f, 20 - (6 * 6 + 4) / 8.0f));
}

TEST_F(JointAtLeader, IsTakenWholeOrNotAtAll) {
  Hear(WorkerAt(6), Straight(6, 1, 2, {0, 0}));
  const auto again =
      Asked<Send>(Hear(relay_, Joint({Named(4, 0, 2), Named(5, 1, 2), Named(6, 1, 2)}, {1, 1})));
  ASSERT_THAT(again, SizeIs(2)) << "6 is in already";
  EXPECT_EQ(again[0].to, WorkerAt(4));
  EXPECT_EQ(std::get<PushAgain>(again[0].message).sequence, 4u);
  EXPECT_EQ(again[1].to, WorkerAt(5));
  Hear(WorkerAt(4), Straight(4, 0, 2, {1, 1}));
  const Actions actions = Hear(relay_, Joint({Named(5, 2, 4)}, {2, 2}));
  EXPECT_THAT(Sent<PushAck>(actions), SizeIs(3));
  EXPECT_THAT(leader_->parameters(), ElementsAre(10 - (2 + 8) / 8.0f, 20 - (2 + 8) / 8.0f));
}

TEST_F(JointAtLeader, ThatComesTwiceCountsOnce) {
  const JointPush joint = Joint({Named(4, 0, 2), Named(5, 1, 2)}, {1, 1});
  Hear(relay_, joint);
  EXPECT_THAT(Hear(relay_, joint), IsEmpty());
  Hear(WorkerAt(6), Straight(6, 2, 4, {0, 0}));
  EXPECT_THAT(leader_->parameters(), ElementsAre(9.5f, 19.5f));
  EXPECT_THAT(Sent<PushAgain>(Hear(relay_, joint)), SizeIs(2)) << "their fate is told when asked";
  EXPECT_TRUE(Sent<PushAck>(Hear(WorkerAt(4), Straight(4, 0, 2, {1, 1}))).at(0).applied);
}

TEST_F(JointAtLeader, WaitsForItsStep) {
  leader_ = Leader::Make(Spec(), {0, 0, {10, 20}, {}}).value();
  EXPECT_THAT(Hear(relay_, Joint({Named(4, 0, 2), Named(5, 1, 2)}, {1, 1})), IsEmpty());
  Hear(kCoordinator, Begin());
  EXPECT_THAT(Sent<Committed>(Hear(WorkerAt(6), Straight(6, 2, 4, {0, 0}))), SizeIs(1));
}

TEST_F(JointAtLeader, ThatIsNoneIsNotTaken) {
  EXPECT_THAT(Sent<PushAgain>(Hear(relay_, Joint({Named(4, 0, 2), Named(5, 0, 2)}, {1, 1}))),
              SizeIs(2))
      << "one slot twice";
  JointPush joint = Joint({Named(4, 0, 2)}, {1, 1});
  joint.gradient = std::make_shared<Bytes>(Bytes{1});
  EXPECT_THAT(Sent<PushAgain>(Hear(relay_, joint)), SizeIs(1));
  joint.gradient = nullptr;
  EXPECT_THAT(Sent<PushAgain>(Hear(relay_, joint)), SizeIs(1));
  EXPECT_THAT(Sent<PushAgain>(Hear(WorkerAt(4), Joint({Named(4, 0, 2)}, {1, 1}))), IsEmpty())
      << "a worker is no relay";
  Hear(WorkerAt(4), Straight(4, 0, 2, {0, 0}));
  Hear(WorkerAt(5), Straight(5, 1, 2, {0, 0}));
  Hear(WorkerAt(6), Straight(6, 2, 4, {0, 0}));
  EXPECT_THAT(leader_->parameters(), ElementsAre(10, 20)) << "nothing of it was left in the step";
}

}  // namespace
}  // namespace weft::cluster
