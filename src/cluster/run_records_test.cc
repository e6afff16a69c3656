#include "cluster/run_records.h"

#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

TEST(RunRecords, TheTermGrowsWithEveryStart) {
  const auto store = MakeMemoryStore();
  EXPECT_EQ(RunRecords(store.get()).NextTerm().value(), 1u);
  EXPECT_EQ(RunRecords(store.get()).NextTerm().value(), 2u);
  ASSERT_TRUE(store->Put({{"term", "many"}}).ok());
  EXPECT_EQ(RunRecords(store.get()).NextTerm().status().code(), Code::kDataLoss);
}

TEST(RunRecords, KeepsTheLedgersThatACheckpointMayNeed) {
  const auto store = MakeMemoryStore();
  RunRecords records(store.get());
  ASSERT_TRUE(records.SaveLedger(5, "0 0 0 0-50", 0).ok());
  ASSERT_TRUE(records.SaveLedger(10, "0 0 0 0-100", 5).ok());
  ASSERT_TRUE(records.SaveLedger(15, "0 0 0", 10).ok());
  EXPECT_EQ(RunRecords(store.get()).LoadLedger(5).value(), std::nullopt);
  EXPECT_EQ(RunRecords(store.get()).LoadLedger(10).value(), "0 0 0 0-100");
  // Going on from 10 makes what came after it void.
  RunRecords resumed(store.get());
  ASSERT_TRUE(resumed.LoadLedger(10).ok());
  ASSERT_TRUE(resumed.SaveLedger(12, "1 0 0", 10).ok());
  EXPECT_EQ(RunRecords(store.get()).LoadLedger(15).value(), std::nullopt);
  EXPECT_EQ(RunRecords(store.get()).LoadLedger(12).value(), "1 0 0");
}

TEST(RunRecords, BadRecordsAreRefused) {
  for (const char* text : {"x 0 0 0\n", "5\n", " \n", "5x 0 0 0"}) {
    const auto store = MakeMemoryStore();
    ASSERT_TRUE(store->Put({{"ledger", text}}).ok());
    EXPECT_EQ(RunRecords(store.get()).LoadLedger(5).status().code(), Code::kDataLoss) << text;
  }
}

}  // namespace
}  // namespace weft::cluster
