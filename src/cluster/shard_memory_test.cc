#include "cluster/shard_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/step_plan.h"

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

uint64_t LeaseAt(int64_t step, int64_t slot) {
  return static_cast<uint64_t>(step * kLeaseIdsPerStep + slot) + 1;
}

TEST(AppliedMemory, KnowsUpdatesAndLeases) {
  AppliedMemory memory;
  memory.Remember({1, 50, 7, LeaseAt(3, 2)});
  EXPECT_TRUE(memory.Contains({1, 50, 7, 0}));
  EXPECT_FALSE(memory.Contains({1, 50, 8, 0}));
  EXPECT_FALSE(memory.Contains({2, 50, 7, 0}));
  EXPECT_FALSE(memory.Contains({1, 51, 7, 0})) << "another process of that device";
  EXPECT_TRUE(memory.HasLease(LeaseAt(3, 2)));
  EXPECT_FALSE(memory.HasLease(LeaseAt(3, 1)));
  EXPECT_THAT(memory.Recent(), ElementsAre(Applied{1, 50, 7, LeaseAt(3, 2)}));
}

TEST(AppliedMemory, IsBoundedAndTakesWhatItForgotForApplied) {
  AppliedMemory memory;
  const auto steps = static_cast<int64_t>(AppliedMemory::kMostSteps) + 10;
  for (int64_t step = 0; step < steps; ++step) {
    memory.Remember({1, 1, static_cast<uint64_t>(step) + 1, LeaseAt(step, 0)});
  }
  EXPECT_EQ(memory.Recent().size(), AppliedMemory::kMostRecent);
  EXPECT_TRUE(memory.HasLease(LeaseAt(9, 5))) << "of a step that is forgotten";
  EXPECT_FALSE(memory.HasLease(LeaseAt(10, 5)));
  EXPECT_TRUE(memory.Contains({1, 1, 1, 0})) << "sequences are not forgotten";
}

TEST(Progress, CountsRounds) {
  Progress progress(10);
  progress.Advance(0.5);
  progress.Advance(0.25);
  EXPECT_EQ(progress.RoundsSince(12, 1), 0);
  EXPECT_EQ(progress.RoundsSince(13, 1), 0) << "to come";
  EXPECT_EQ(progress.RoundsSince(11, 1), 0.25);
  EXPECT_EQ(progress.RoundsSince(10, 1), 0.75);
  EXPECT_EQ(progress.RoundsSince(8, 0.125), 1.0) << "two of unknown size before it";
}

TEST(Progress, IsBounded) {
  Progress progress(0);
  const auto versions = static_cast<int64_t>(Progress::kMostVersions) + 100;
  for (int64_t i = 0; i < versions; ++i) progress.Advance(0.5);
  EXPECT_EQ(progress.RoundsSince(versions - 2, 9), 1);
  EXPECT_EQ(progress.RoundsSince(0, 0.5), static_cast<double>(versions) / 2);
}

TEST(Bases, AreKeptWhileADeviceIsAtWorkWithThem) {
  Bases bases;
  const Address one = {1, Role::kWorker}, two = {2, Role::kWorker};
  bases.Note(one, 5, std::vector<float>{5});
  bases.Note(two, 5, std::vector<float>{5});
  bases.Note(one, 6, std::vector<float>{6});
  bases.Note(one, 6, std::vector<float>{6});
  EXPECT_EQ(bases.size(), 2u);
  bases.Note(one, 7, std::vector<float>{7});
  EXPECT_THAT(bases.Find(5), ElementsAre(5)) << "the second is at work with it";
  bases.Note(two, 6, std::vector<float>{6});
  bases.Note(two, 7, std::vector<float>{7});
  EXPECT_THAT(bases.Find(5), IsEmpty());
  EXPECT_THAT(bases.Find(6), ElementsAre(6));
}

TEST(Bases, AreBounded) {
  Bases bases;
  for (DeviceId device = 1; device <= 100; ++device) {
    bases.Note({device, Role::kWorker}, device, std::vector<float>{1});
  }
  EXPECT_EQ(bases.size(), Bases::kMostVersions);
  EXPECT_THAT(bases.Find(36), IsEmpty());
  EXPECT_THAT(bases.Find(37), ElementsAre(1));
}

}  // namespace
}  // namespace weft::cluster
