// Runs without steps, one call at a time; whole runs are in sim/.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/coordinator.h"
#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using testing::Asked;
using ::testing::ElementsAre;
using testing::Emitted;
using ::testing::IsEmpty;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};
constexpr Range kAll = {0, 2};

JobSpec Spec() {
  JobSpec spec;
  spec.run = "run";
  spec.samples = 16;
  spec.batch = 4;
  spec.epochs = 2;
  spec.trainable_count = 2;
  spec.share_by_speed = false;
  spec.aggregation.mode = aggregate::Mode::kAsync;
  return spec;
}

// Keeps nothing while it is full.
class FullStore : public CoordStore {
 public:
  Result<std::optional<std::string>> Get(const std::string& key) override {
    return records_->Get(key);
  }
  Status Put(const std::map<std::string, std::string>& records) override {
    if (full) return base::ResourceExhausted("no space left");
    return records_->Put(records);
  }
  Result<std::map<std::string, std::string>> List(const std::string& prefix) override {
    return records_->List(prefix);
  }
  bool full = false;

 private:
  std::unique_ptr<CoordStore> records_ = MakeMemoryStore();
};

class CoordinatorStream : public ::testing::Test {
 protected:
  void Make(const JobSpec& spec, int64_t first_step = 0) {
    coordinator_ = std::make_unique<Coordinator>(spec, &store_, first_step);
    first_ = coordinator_->Start(now_);
  }
  Actions Join(uint64_t number) {
    Hello hello;
    hello.name = "pi";
    hello.incarnation = number;
    return coordinator_->OnHello(now_, number, hello);
  }
  Actions Say(Address from, const Message& message) {
    return coordinator_->Handle(now_, from, message);
  }
  // The leader has applied this device's update of the lease.
  Actions Commit(const Lease& lease, DeviceId device) {
    return Say(kLeader, Committed{.term = coordinator_->term(),
                                  .step = lease.step,
                                  .version = ++version_,
                                  .leases = {lease},
                                  .devices = {device},
                                  .loss_sum = 1,
                                  .correct = 0,
                                  .samples = lease.count,
                                  .gradient_norm = 1,
                                  .problem = {},
                                  .range = kAll});
  }
  Actions End() { return Say(kLeader, StreamEnded{coordinator_->term(), kAll, version_}); }
  // The coordinator asks for a checkpoint of what the leaders have.
  static bool AsksToSave(const Actions& actions) {
    const auto begun = Sent<BeginStep>(actions);
    return !begun.empty() && begun[0].checkpoint;
  }
  static std::vector<Lease> Granted(const Actions& actions) {
    std::vector<Lease> leases;
    for (const Grant& grant : Sent<Grant>(actions)) leases.push_back(grant.lease);
    return leases;
  }

  TimePoint now_{};
  FullStore store_;
  std::unique_ptr<Coordinator> coordinator_;
  Actions first_;
  int64_t version_ = 0;
};

TEST_F(CoordinatorStream, ADeviceHasTwoLeasesAndGetsAnotherForEachThatIsDone) {
  Make(Spec());
  const Actions actions = Join(1);
  EXPECT_THAT(Sent<BeginStream>(actions), SizeIs(1));
  const std::vector<Lease> leases = Granted(actions);
  ASSERT_THAT(leases, SizeIs(2));
  EXPECT_EQ(leases[0].begin, 0);
  EXPECT_EQ(leases[1].begin, leases[0].count);
  EXPECT_THAT(Granted(Commit(leases[1], 1)), SizeIs(1));
  EXPECT_THAT(Granted(Commit(leases[1], 1)), IsEmpty()) << "told again";
  EXPECT_EQ(coordinator_->ledger().covered(), leases[1].count);
}

// Its update may be at the leader, or the leader's record under way: under another number its
// samples could come in twice.
TEST_F(CoordinatorStream, WhatAStreamThatIsToEndStillOwesIsDealtAgainUnderTheSameNumber) {
  Make(Spec());
  const std::vector<Lease> first = Granted(Join(1));
  const std::vector<Lease> second = Granted(Join(2));
  ASSERT_THAT(second, SizeIs(2));
  coordinator_->StopEarly(now_, "target reached");
  Actions actions = coordinator_->OnDisconnected(now_, 1, "gone");
  EXPECT_THAT(Sent<EndStream>(actions), IsEmpty());
  for (const Lease& lease : second) {
    actions = Commit(lease, 2);
    EXPECT_THAT(Sent<EndStream>(actions), IsEmpty());
  }
  EXPECT_THAT(Granted(actions), SizeIs(1));
  EXPECT_THAT(first, ::testing::Contains(Granted(actions).at(0)));
  EXPECT_THAT(Sent<EndStream>(Commit(first[0], 1)), IsEmpty()) << "the record was under way";
  EXPECT_THAT(Sent<EndStream>(Commit(first[1], 2)), SizeIs(1));
  EXPECT_EQ(coordinator_->ledger().duplicated_samples(), 0);
}

TEST_F(CoordinatorStream, WithoutDevicesItEndsAndWhatNobodyAppliedIsDealtInTheNext) {
  Make(Spec());
  const std::vector<Lease> leases = Granted(Join(1));
  Actions actions = coordinator_->OnDisconnected(now_, 1, "gone");
  ASSERT_THAT(Sent<EndStream>(actions), SizeIs(1));
  Commit(leases[0], 1);  // what the leader had applied by then
  EXPECT_TRUE(AsksToSave(End()));
  actions = Join(2);
  const std::vector<Lease> again = Granted(actions);
  ASSERT_THAT(again, SizeIs(2));
  EXPECT_EQ(again[0].begin, leases[1].begin);
  EXPECT_NE(again[0].id, leases[1].id);
}

TEST_F(CoordinatorStream, ARunThatGoesOnKnowsWhatItsCheckpointHolds) {
  Make(Spec());
  const std::vector<Lease> leases = Granted(Join(1));
  coordinator_->OnDisconnected(now_, 1, "gone");
  Commit(leases[1], 1);
  const Actions actions = End();
  const int64_t step = Sent<BeginStep>(actions).at(0).step + 1;
  Make(Spec(), step);
  EXPECT_EQ(coordinator_->ledger().covered(), leases[1].count);
  EXPECT_THAT(Emitted<Warning>(first_), IsEmpty());
  EXPECT_EQ(Granted(Join(2)).at(0).begin, 0);
}

// Or a run that goes on from it would take it for one of whole batches.
TEST_F(CoordinatorStream, ACheckpointIsNotAskedForUntilItsRecordIsKept) {
  Make(Spec());
  Granted(Join(1));
  coordinator_->OnDisconnected(now_, 1, "gone");
  store_.full = true;
  Actions actions = End();
  EXPECT_FALSE(AsksToSave(actions));
  EXPECT_THAT(Emitted<Warning>(actions), SizeIs(1));
  store_.full = false;
  Join(2);
  coordinator_->OnDisconnected(now_, 2, "gone");
  EXPECT_TRUE(AsksToSave(End()));
}

TEST_F(CoordinatorStream, StepsOfWholeBatchesNeedNoRecord) {
  JobSpec spec = Spec();
  spec.aggregation.mode = aggregate::Mode::kSync;
  spec.checkpoint_every = 1;
  Make(spec);
  const BeginStep begin = Sent<BeginStep>(Join(1)).at(0);
  store_.full = true;
  EXPECT_TRUE(AsksToSave(Commit(begin.leases.at(0), 1)));
  Make(spec, 1);  // its term cannot be kept
  store_.full = false;
  Make(spec, 1);
  EXPECT_EQ(coordinator_->ledger().covered(), 4);
}

TEST_F(CoordinatorStream, AMissingRecordIsSaid) {
  Make(Spec(), 2);
  EXPECT_THAT(Emitted<Warning>(first_), SizeIs(1));
}

TEST_F(CoordinatorStream, TheLastCheckpointIsAskedForWhateverTheStoreDoes) {
  JobSpec spec = Spec();
  spec.epochs = 1;
  spec.samples = 2;
  Make(spec);
  std::vector<Lease> open = Granted(Join(1));
  Actions actions;
  while (!open.empty()) {
    actions = Commit(open.back(), 1);
    open.pop_back();
    for (const Lease& lease : Granted(actions)) open.push_back(lease);
  }
  ASSERT_THAT(Sent<EndStream>(actions), SizeIs(1));
  store_.full = true;
  actions = End();
  EXPECT_EQ(Emitted<EpochDone>(actions).at(0).lost, 0);
  EXPECT_TRUE(AsksToSave(actions));
  EXPECT_FALSE(coordinator_->done()) << "it waits for it";
}

TEST_F(CoordinatorStream, ADrainedRunEndsWithTheCheckpointBeforeWhereTheRecordCannotBeKept) {
  Make(Spec());
  const std::vector<Lease> leases = Granted(Join(1));
  coordinator_->Drain(now_, "asked to");
  Commit(leases[0], 1);
  EXPECT_THAT(Sent<EndStream>(Commit(leases[1], 1)), SizeIs(1));
  store_.full = true;
  const Actions actions = End();
  EXPECT_FALSE(AsksToSave(actions));
  EXPECT_EQ(Emitted<RunDone>(actions).at(0).how, RunDone::How::kDrained);
}

}  // namespace
}  // namespace weft::cluster
