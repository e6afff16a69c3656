// What a step takes of each device's own data.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/coordinator.h"
#include "cluster/testing.h"

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using testing::Sent;

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
    coordinator_ = std::make_unique<Coordinator>(spec, store_.get(), 0);
    coordinator_->Start(now_);
    Actions last;
    for (size_t i = 0; i < shards.size(); ++i) {
      Hello hello;
      hello.name = "device-" + std::to_string(i);
      hello.incarnation = i + 1;
      last = coordinator_->OnHello(now_, i + 1, hello);
    }
    return last;
  }

  Actions Commit(const BeginStep& begin) {
    return coordinator_->Handle(now_, kLeader,
                                Committed{.term = begin.term,
                                          .step = begin.step,
                                          .version = begin.step + 1,
                                          .leases = begin.leases,
                                          .devices = std::vector<DeviceId>(begin.leases.size(), 1),
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

}  // namespace
}  // namespace weft::cluster
