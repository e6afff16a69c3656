#include "sim/disk.h"

#include <gtest/gtest.h>

namespace weft::sim {
namespace {

cluster::Snapshot SnapshotOf(int64_t step) {
  return {step, step, std::vector<float>(10, static_cast<float>(step)), {}};
}

TEST(Disk, KeepsTheLatestCheckpoint) {
  const FaultOptions none;
  base::Rng rng(1);
  Disk disk(none, &rng);
  EXPECT_EQ(disk.Latest(SnapshotOf(0)).step, 0);
  ASSERT_TRUE(disk.Write(SnapshotOf(3)).ok());
  ASSERT_TRUE(disk.Write(SnapshotOf(7)).ok());
  EXPECT_EQ(disk.Latest(SnapshotOf(0)), SnapshotOf(7));
}

TEST(Disk, FailsWritesByChanceAndThenChangesNothing) {
  FaultOptions faults;
  faults.disk_full = 0.4;
  faults.disk_error = 0.4;
  base::Rng rng(1);
  Disk disk(faults, &rng);
  std::map<Code, int> codes;
  for (int i = 1; i <= 200; ++i) {
    const Status put = disk.store()->Put({{"key", std::to_string(i)}});
    ++codes[put.code()];
    const auto kept = disk.store()->Get("key").value();
    EXPECT_EQ(kept == std::to_string(i), put.ok());
  }
  EXPECT_GT(codes[Code::kOk], 20);
  EXPECT_GT(codes[Code::kResourceExhausted], 50);
  EXPECT_GT(codes[Code::kUnavailable], 20);
  disk.set_faulty(false);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(disk.Write(SnapshotOf(i)).ok());
}

// Whatever a crash leaves of a checkpoint, a whole one is found: the new one or the one before.
TEST(Disk, ACrashWhileWritingLeavesAWholeCheckpoint) {
  FaultOptions faults;
  faults.torn_write = 0.5;
  base::Rng rng(9);
  Disk disk(faults, &rng);
  ASSERT_TRUE(disk.Write(SnapshotOf(1)).ok());
  int new_ones = 0;
  for (int64_t step = 2; step < 60; ++step) {
    const int64_t before = disk.Latest(SnapshotOf(0)).step;
    disk.CrashWhileWriting(SnapshotOf(step));
    const cluster::Snapshot latest = disk.Latest(SnapshotOf(0));
    EXPECT_TRUE(latest.step == before || latest.step == step) << latest.step;
    EXPECT_EQ(latest, SnapshotOf(latest.step));
    new_ones += latest.step == step ? 1 : 0;
    ASSERT_TRUE(disk.Write(SnapshotOf(step)).ok());
  }
  EXPECT_GT(new_ones, 0);
  EXPECT_LT(new_ones, 58);
}

}  // namespace
}  // namespace weft::sim
