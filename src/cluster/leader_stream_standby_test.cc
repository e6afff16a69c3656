// Streams with a standby: what may be said before it has a version, and what only then.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/leader_testing.h"
#include "cluster/step_plan.h"

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::LayoutOf;
using testing::Leaders;
using testing::Packet;
using ::testing::SizeIs;
using testing::WorkerAt;

constexpr Range kAll = {0, 1};

JobSpec Spec() {
  JobSpec spec;
  spec.samples = 80;
  spec.batch = 8;
  spec.trainable_count = 1;
  spec.least_range = 1;
  return spec;
}

// Device 1 leads, device 2 stands by.
class StreamWithStandby : public ::testing::Test {
 protected:
  void SetUp() override {
    leaders_.Add(1);
    leaders_.Add(2);
    leaders_.Move(LayoutOf(2, {{kAll, 1, 2}}));
    leaders_.Order(1, BeginStream{1, kAll, static_cast<uint8_t>(aggregate::Mode::kAsync)});
    leaders_.Forget();
  }
  cluster::Push Update(DeviceId worker, int64_t slot, int64_t version) {
    return {.term = 1,
            .device = worker,
            .incarnation = 5,
            .sequence = ++sequence_,
            .lease = {.id = static_cast<uint64_t>(slot) + 1,
                      .slot = slot,
                      .begin = 2 * slot,
                      .count = 2},
            .version = version,
            .loss_sum = 1,
            .gradient = Packet({4}),
            .range = kAll,
            .lr = 0.5};
  }
  void Say(DeviceId leader, const cluster::Push& push) {
    leaders_.Tell(leader, WorkerAt(push.device), push);
  }
  void Pull(DeviceId leader, DeviceId worker, int64_t version) {
    leaders_.Tell(leader, WorkerAt(worker), cluster::Pull{1, worker, version, kAll});
  }
  std::vector<int64_t> VersionsHeard() {
    std::vector<int64_t> versions;
    for (const Parameters& got : leaders_.Heard<Parameters>()) versions.push_back(got.version);
    return versions;
  }

  Leaders leaders_{Spec(), Snapshot{0, 0, {10}, {}}};
  uint64_t sequence_ = 0;
};

TEST_F(StreamWithStandby, NobodyGetsAVersionThatTheStandbyDoesNotHave) {
  Pull(1, 7, 1);
  Say(1, Update(8, 0, 0));
  Pull(1, 9, 0);
  EXPECT_THAT(VersionsHeard(), IsEmpty());
  leaders_.Deliver();
  EXPECT_THAT(VersionsHeard(), ElementsAre(1, 1));
}

TEST_F(StreamWithStandby, WhoeverLeadsNextIsNotBehindWhatWorkersComputedWith) {
  Say(1, Update(8, 0, 0));
  Pull(1, 9, 0);
  leaders_.Kill(1);
  leaders_.Hold(LayoutOf(3, {{kAll, 2, 0}}));
  leaders_.Order(2, BeginStream{1, kAll, static_cast<uint8_t>(aggregate::Mode::kAsync)});
  EXPECT_THAT(VersionsHeard(), IsEmpty()) << "version 1 has died with its leader";
  Pull(2, 9, 0);
  EXPECT_THAT(VersionsHeard(), ElementsAre(0));
}

TEST_F(StreamWithStandby, ARefusalWaitsForWhatItRestsOn) {
  Say(1, Update(8, 0, 0));
  Say(1, Update(9, 0, 0));  // of the same lease
  EXPECT_THAT(leaders_.Heard<PushAck>(), IsEmpty());
  leaders_.Deliver();
  const auto acks = leaders_.HeardFor<PushAck>();
  ASSERT_THAT(acks, SizeIs(2));
  EXPECT_EQ(acks[0].to, WorkerAt(8));
  EXPECT_TRUE(std::get<PushAck>(acks[0].message).applied);
  EXPECT_EQ(acks[1].to, WorkerAt(9));
  EXPECT_FALSE(std::get<PushAck>(acks[1].message).applied);
}

TEST_F(StreamWithStandby, AnUpdateThatALeaderDiedBeforeRefusingIsTakenByTheNext) {
  const cluster::Push second = Update(9, 0, 0);
  Say(1, Update(8, 0, 0));
  Say(1, second);
  leaders_.Kill(1);
  leaders_.Hold(LayoutOf(3, {{kAll, 2, 0}}));
  leaders_.Order(2, BeginStream{1, kAll, static_cast<uint8_t>(aggregate::Mode::kAsync)});
  Say(2, second);
  const auto acks = leaders_.Heard<PushAck>();
  ASSERT_THAT(acks, SizeIs(1));
  EXPECT_TRUE(acks[0].applied);
  EXPECT_THAT(leaders_.Heard<Committed>(), SizeIs(1));
}

}  // namespace
}  // namespace weft::cluster
