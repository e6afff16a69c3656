#include "cluster/ledger.h"

#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

Lease Range(int64_t begin, int64_t count) { return {.id = 1, .begin = begin, .count = count}; }

void Commit(Ledger& ledger, std::initializer_list<Lease> leases) {
  ledger.Commit(std::vector<Lease>(leases));
}

TEST(Ledger, AWholeEpochLosesNothing) {
  Ledger ledger(100);
  Commit(ledger, {Range(50, 30), Range(0, 50)});
  Commit(ledger, {Range(80, 20)});
  const Ledger::EpochCount count = ledger.EndEpoch();
  EXPECT_EQ(count.lost, 0);
  EXPECT_EQ(count.duplicated, 0);
  EXPECT_EQ(ledger.covered(), 0);
}

TEST(Ledger, CountsWhatIsMissingAndWhatIsTwice) {
  Ledger ledger(100);
  Commit(ledger, {Range(0, 50), Range(40, 20)});
  EXPECT_EQ(ledger.duplicated_samples(), 10);
  Ledger::EpochCount count = ledger.EndEpoch();
  EXPECT_EQ(count.lost, 40);
  EXPECT_EQ(count.duplicated, 10);
  Commit(ledger, {Range(0, 99)});
  count = ledger.EndEpoch();
  EXPECT_EQ(count.lost, 1);
  EXPECT_EQ(count.duplicated, 0);
  EXPECT_EQ(ledger.lost_samples(), 41);
  EXPECT_EQ(ledger.duplicated_samples(), 10);
}

TEST(Ledger, ComesBackFromItsTextForm) {
  Ledger ledger(100);
  Commit(ledger, {Range(0, 10), Range(5, 10), Range(50, 7)});
  Ledger loaded(100);
  ASSERT_TRUE(loaded.Load(ledger.Save()).ok());
  EXPECT_EQ(loaded, ledger);
  EXPECT_EQ(ledger.Save(), "0 5 5 0-15 50-57");
}

TEST(Ledger, BadTextIsRefusedAndChangesNothing) {
  for (const char* text : {"", "1 2", "0 0 x", "0 0 0 5", "0 0 0 9-5", "0 0 0 0-101", "0 0 -1",
                           "0 0 0 1-2-3", "99999999999999999999 0 0"}) {
    Ledger ledger(100);
    EXPECT_EQ(ledger.Load(text).code(), Code::kDataLoss) << text;
    EXPECT_EQ(ledger, Ledger(100));
  }
}

TEST(Ledger, AResumedEpochNeedsOnlyTheRest) {
  Ledger ledger(100);
  ledger.AssumeCovered(60);
  Commit(ledger, {Range(60, 40)});
  EXPECT_EQ(ledger.EndEpoch().lost, 0);
}

}  // namespace
}  // namespace weft::cluster
