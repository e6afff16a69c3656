#include "cluster/commit_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Range kFirst = {0, 4};
constexpr Range kSecond = {4, 4};

Layout LayoutOf(const std::vector<Range>& ranges) {
  Layout layout{.number = 2, .parts = {}};
  for (const Range& range : ranges) {
    layout.parts.push_back(
        {.range = range, .leader = {}, .endpoint = {}, .standby = 0, .standby_endpoint = {}});
  }
  return layout;
}

Lease LeaseOf(uint64_t id) {
  return {.id = id, .slot = 0, .begin = static_cast<int64_t>(10 * id), .count = 10};
}

Committed RecordOf(const Range& range, const std::vector<uint64_t>& ids, DeviceId device) {
  Committed record;
  record.range = range;
  for (const uint64_t id : ids) {
    record.leases.push_back(LeaseOf(id));
    record.devices.push_back(device);
  }
  return record;
}

TEST(CommitBook, WithOneRangeARecordCompletesItsLeases) {
  CommitBook book;
  book.SetRanges(LayoutOf({{0, 8}}));
  const auto done = book.Enter(RecordOf({0, 8}, {1, 2}, 7));
  ASSERT_THAT(done, SizeIs(2));
  EXPECT_EQ(done[1].lease, LeaseOf(2));
  EXPECT_EQ(done[1].device, 7u);
  EXPECT_EQ(book.half_applied(), 0u);
}

TEST(CommitBook, ALeaseIsCommittedOnceEveryRangeHasIt) {
  CommitBook book;
  book.SetRanges(LayoutOf({kFirst, kSecond}));
  EXPECT_THAT(book.Enter(RecordOf(kSecond, {1, 2}, 7)), IsEmpty());
  EXPECT_TRUE(book.HalfApplied(1));
  EXPECT_TRUE(book.Has(1, kSecond));
  EXPECT_FALSE(book.Has(1, kFirst));
  EXPECT_EQ(book.half_applied(), 2u);
  const auto done = book.Enter(RecordOf(kFirst, {2}, 7));
  ASSERT_THAT(done, SizeIs(1));
  EXPECT_EQ(done[0].lease, LeaseOf(2));
  EXPECT_FALSE(book.HalfApplied(2));
  EXPECT_TRUE(book.HalfApplied(1));
}

TEST(CommitBook, ARecordToldAgainCompletesNothing) {
  CommitBook book;
  book.SetRanges(LayoutOf({kFirst, kSecond}));
  EXPECT_THAT(book.Enter(RecordOf(kFirst, {1}, 7)), IsEmpty());
  EXPECT_THAT(book.Enter(RecordOf(kFirst, {1}, 7)), IsEmpty());
  EXPECT_THAT(book.Enter(RecordOf(kSecond, {1}, 7)), SizeIs(1));
}

TEST(CommitBook, TheDeviceIsTheOneWhoseUpdateTheFirstRangeHas) {
  CommitBook book;
  book.SetRanges(LayoutOf({kFirst, kSecond}));
  book.Enter(RecordOf(kSecond, {1}, 7));
  EXPECT_EQ(book.Enter(RecordOf(kFirst, {1}, 8)).at(0).device, 8u);
  book.Enter(RecordOf(kFirst, {2}, 8));
  EXPECT_EQ(book.Enter(RecordOf(kSecond, {2}, 7)).at(0).device, 8u);
}

TEST(CommitBook, ALeaseWithoutADeviceIsNotEntered) {
  CommitBook book;
  Committed record = RecordOf({0, 8}, {1, 2}, 7);
  record.devices.pop_back();
  EXPECT_THAT(book.Enter(record), SizeIs(1));
}

TEST(CommitBook, OtherRangesBeginAnew) {
  CommitBook book;
  book.SetRanges(LayoutOf({kFirst, kSecond}));
  book.Enter(RecordOf(kFirst, {1}, 7));
  book.SetRanges(LayoutOf({{0, 8}}));
  EXPECT_EQ(book.half_applied(), 0u);
  EXPECT_THAT(book.Enter(RecordOf({0, 8}, {1}, 7)), SizeIs(1));
}

}  // namespace
}  // namespace weft::cluster
