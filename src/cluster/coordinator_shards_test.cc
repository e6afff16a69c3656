// What a step takes of each device's own data.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/coordinator.h"
#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using testing::Emitted;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};

class CoordinatorShards : public ::testing::Test {
 protected:
  // As many devices as there are shards.
  Actions Make(const std::vector<int64_t>& shards, int64_t batch) {
    JobSpec spec;
    spec.run = "run";
    for (const int64_t samples : shards) spec.samples += samples;
    spec.batch = batch;
    spec.trainable_count = 2;
    spec.schedule.lr = 0.5;
    spec.shard_samples = shards;
    spec.start_workers = static_cast<int64_t>(shards.size());
    spec.epochs = 2;
    spec.heartbeat_ms = 500;
    spec.device_timeout_ms = 2000;
    coordinator_ = std::make_unique<Coordinator>(spec, store_.get(), 0);
    coordinator_->Start(now_);
    Actions last;
    for (size_t i = 0; i < shards.size(); ++i) {
      last = Join(i, i + 1);
    }
    return last;
  }

  // The owner of a shard, by its name, over this connection.
  Actions Join(size_t shard, uint64_t connection) {
    Hello hello;
    hello.name = "device-" + std::to_string(shard);
    hello.incarnation = connection;
    return coordinator_->OnHello(now_, connection, hello);
  }
  Actions Say(DeviceId device, const Message& message) {
    return coordinator_->Handle(now_, {device, Role::kWorker}, message);
  }
  // So much later, in which these devices were heard of.
  Actions Pass(int64_t milliseconds, const std::vector<DeviceId>& heard) {
    now_ = now_ + std::chrono::milliseconds(milliseconds);
    for (const DeviceId device : heard) {
      coordinator_->OnSign(now_, device);
    }
    return coordinator_->Tick(now_);
  }

  // `devices`: who computed each lease; left out: device 1.
  Actions Commit(const BeginStep& begin, std::vector<DeviceId> devices = {}) {
    devices.resize(begin.leases.size(), 1);
    return coordinator_->Handle(now_, kLeader,
                                Committed{.term = begin.term,
                                          .step = begin.step,
                                          .version = begin.step + 1,
                                          .leases = begin.leases,
                                          .devices = std::move(devices),
                                          .loss_sum = 1,
                                          .samples = begin.total_samples,
                                          .problem = {},
                                          .range = begin.range});
  }

  static std::vector<int64_t> Counts(const BeginStep& begin) {
    std::vector<int64_t> counts;
    for (const Lease& lease : begin.leases) counts.push_back(lease.count);
    return counts;
  }

  TimePoint now_{};
  std::unique_ptr<CoordStore> store_ = MakeMemoryStore();
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorShards, GiveInProportionToWhatIsLeft) {
  Actions actions = Make({10, 60, 30}, 20);
  for (int step = 0; step < 5; ++step) {
    const BeginStep begin = Sent<BeginStep>(actions).at(0);
    EXPECT_EQ(begin.step, step);
    EXPECT_EQ(begin.epoch, 0);
    EXPECT_THAT(Counts(begin), ElementsAre(2, 12, 6)) << step;
    actions = Commit(begin);
  }
}

TEST_F(CoordinatorShards, AreUsedUpTogetherWhereNothingDivides) {
  Actions actions = Make({1, 7, 23}, 8);
  std::vector<int64_t> sums;
  for (int step = 0; step < 4; ++step) {
    const BeginStep begin = Sent<BeginStep>(actions).at(0);
    EXPECT_EQ(begin.epoch, 0);
    sums.push_back(begin.total_samples);
    int64_t of_the_largest = 0;
    for (const Lease& lease : begin.leases) of_the_largest += lease.begin >= 8 ? lease.count : 0;
    EXPECT_GE(of_the_largest, 5) << step;
    actions = Commit(begin);
  }
  EXPECT_THAT(sums, ElementsAre(8, 8, 8, 7));
}

TEST_F(CoordinatorShards, GrantEachDeviceItsOwn) {
  const Actions actions = Make({10, 60, 30}, 20);
  int grants = 0;
  for (const Action& action : actions) {
    const auto* send = std::get_if<Send>(&action);
    const auto* grant = send == nullptr ? nullptr : std::get_if<Grant>(&send->message);
    if (grant == nullptr) continue;
    const int64_t begins[] = {0, 10, 70};
    EXPECT_EQ(grant->lease.begin, begins[send->to.device - 1]);
    ++grants;
  }
  EXPECT_EQ(grants, 3);
}

// ---- owners that are not there

TEST_F(CoordinatorShards, AnOwnerThatGoesIsLeftOutAndDealtToWhenItIsBack) {
  Make({10, 60, 30}, 20);
  const Actions gone = coordinator_->OnDisconnected(now_, 2, "died");
  EXPECT_THAT(Sent<Grant>(gone), IsEmpty());
  const BeginStep rest = Sent<BeginStep>(gone).at(0);
  EXPECT_EQ(rest.step, 0);
  EXPECT_THAT(Counts(rest), ElementsAre(2, 6));
  EXPECT_EQ(rest.total_samples, 8);
  const BeginStep next = Sent<BeginStep>(Commit(rest)).at(0);
  EXPECT_THAT(Counts(next), ElementsAre(5, 15)) << "of 8 and 24";
  EXPECT_THAT(Sent<BeginStep>(Join(1, 9)), IsEmpty()) << "in the middle of a step";
  const Actions actions = Commit(next);
  const BeginStep all = Sent<BeginStep>(actions).at(0);
  EXPECT_EQ(all.total_samples, 20);
  EXPECT_THAT(all.leases, SizeIs(3));
  EXPECT_EQ(all.leases[2].begin, 10) << "all of its 60 are left: " << all.leases[2].count;
}

TEST_F(CoordinatorShards, WhatNobodyHereHasIsAbsent) {
  BeginStep begin = Sent<BeginStep>(Make({10, 60, 30}, 20)).at(0);
  begin = Sent<BeginStep>(coordinator_->OnDisconnected(now_, 2, "died")).at(0);
  std::vector<EpochDone> epochs;
  while (epochs.empty()) {
    const Actions actions = Commit(begin);
    epochs = Emitted<EpochDone>(actions);
    begin = Sent<BeginStep>(actions).at(0);
  }
  EXPECT_EQ(epochs[0].absent, 60);
  EXPECT_EQ(epochs[0].lost, 0);
  EXPECT_EQ(epochs[0].duplicated, 0);
  EXPECT_EQ(begin.epoch, 1);
}

TEST_F(CoordinatorShards, AStepWithoutAnyOwnerIsNothingAndTheRunWaits) {
  Make({10, 60}, 14);
  coordinator_->OnDisconnected(now_, 1, "died");
  const Actions gone = coordinator_->OnDisconnected(now_, 2, "died");
  const auto begun = Sent<BeginStep>(gone);
  ASSERT_FALSE(begun.empty());
  EXPECT_THAT(begun.back().leases, IsEmpty());
  EXPECT_FALSE(begun.back().checkpoint);
  const Actions over = Commit(begun.back());
  EXPECT_THAT(Emitted<StepDone>(over), IsEmpty());
  EXPECT_THAT(Sent<BeginStep>(over), IsEmpty());
  // A device without any of the data does not help; the epoch is not over for it.
  const Actions stranger = Join(7, 9);
  EXPECT_THAT(Sent<BeginStep>(stranger), IsEmpty());
  EXPECT_THAT(Emitted<EpochDone>(stranger), IsEmpty());
  const BeginStep begin = Sent<BeginStep>(Join(0, 10)).at(0);
  EXPECT_EQ(begin.epoch, 0);
  EXPECT_THAT(Counts(begin), ElementsAre(10));
}

TEST_F(CoordinatorShards, ASilentOwnerIsLeftOut) {
  Make({10, 60, 30}, 20);
  Pass(700, {1, 3});
  const Actions actions = Pass(700, {1, 3});
  EXPECT_THAT(Counts(Sent<BeginStep>(actions).at(0)), ElementsAre(2, 6));
  EXPECT_THAT(Sent<Grant>(actions), IsEmpty());
}

TEST_F(CoordinatorShards, ALateOwnerIsLeftOutOnceOthersHaveCome) {
  const BeginStep begin = Sent<BeginStep>(Make({10, 60, 30}, 20)).at(0);
  const auto missing = [&](std::vector<int64_t> slots) {
    return coordinator_->Handle(now_, kLeader,
                                Missing{begin.term, 0, std::move(slots), begin.range});
  };
  for (int i = 0; i < 50; ++i) Pass(500, {1, 2, 3});
  const Actions all_slow = missing({0, 1, 2});
  EXPECT_THAT(Sent<BeginStep>(all_slow), IsEmpty());
  EXPECT_THAT(Sent<Grant>(all_slow), SizeIs(3)) << "to their owners again";
  for (int i = 0; i < 100; ++i) Pass(500, {1, 2, 3});
  const BeginStep rest = Sent<BeginStep>(missing({1})).at(0);
  EXPECT_THAT(Counts(rest), ElementsAre(2, 6));
  const BeginStep without = Sent<BeginStep>(Commit(rest, {1, 3})).at(0);
  EXPECT_THAT(without.leases, SizeIs(2)) << "it sits a step out";
  EXPECT_THAT(Sent<BeginStep>(Commit(without, {1, 3})).at(0).leases, SizeIs(3));
}

TEST_F(CoordinatorShards, OneThatCannotReadItsDataIsAskedInTheNextEpochAgain) {
  BeginStep begin = Sent<BeginStep>(Make({10, 30}, 20)).at(0);
  begin = Sent<BeginStep>(Say(1, ReturnLease{begin.term, begin.leases[0], "no such file"})).at(0);
  EXPECT_THAT(Counts(begin), ElementsAre(15));
  begin = Sent<BeginStep>(Commit(begin)).at(0);
  EXPECT_THAT(Counts(begin), ElementsAre(15));
  const Actions over = Commit(begin);
  EXPECT_EQ(Emitted<EpochDone>(over).at(0).absent, 10);
  EXPECT_THAT(Counts(Sent<BeginStep>(over).at(0)), ElementsAre(5, 15));
}

TEST_F(CoordinatorShards, WhereNobodyCanReadTheirDataTheRunFails) {
  BeginStep begin = Sent<BeginStep>(Make({10}, 20)).at(0);
  begin = Sent<BeginStep>(Say(1, ReturnLease{begin.term, begin.leases[0], "no such file"})).at(0);
  EXPECT_THAT(Emitted<RunDone>(Commit(begin)), IsEmpty()) << "another may come";
  Actions actions;
  for (int i = 0; i < 4; ++i) actions = Pass(500, {1});
  EXPECT_THAT(Emitted<RunDone>(actions).at(0).reason, HasSubstr("no such file"));
}

}  // namespace
}  // namespace weft::cluster
