#include "plan/cut_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace weft::plan {
namespace {

using ::testing::ElementsAre;

TEST(CutRanges, EachLeaderHasAPartOfEveryStretch) {
  const std::vector<LedRange> ranges = {{0, 600, 1, 2}, {600, 300, 2, 1}};
  EXPECT_THAT(CutAlong(ranges, std::vector<int64_t>{450}, {.fewest_values = 10, .alignment = 1}),
              ElementsAre(LedRange{0, 300, 1, 2}, LedRange{300, 150, 2, 1},
                          LedRange{450, 300, 1, 2}, LedRange{750, 150, 2, 1}));
}

TEST(CutRanges, ShortStretchesAreJoined) {
  const std::vector<LedRange> ranges = {{0, 500, 1}, {500, 500, 2}};
  const std::vector<int64_t> begins = {100, 500, 520, 950};
  EXPECT_THAT(CutAlong(ranges, begins, {.fewest_values = 150, .alignment = 1}),
              ElementsAre(LedRange{0, 250, 1}, LedRange{250, 250, 2}, LedRange{500, 250, 1},
                          LedRange{750, 250, 2}));
  EXPECT_THAT(CutAlong(ranges, begins, {.fewest_values = 300, .alignment = 1}),
              ElementsAre(ranges[0], ranges[1]));
}

TEST(CutRanges, OneLeaderAndOneStretchStayAsTheyAre) {
  const std::vector<LedRange> flat = {{0, 1000}};
  EXPECT_EQ(CutAlong(flat, std::vector<int64_t>{500}, {.fewest_values = 1}), flat);
  const std::vector<LedRange> two = {{0, 400, 1, 2}, {400, 600, 2, 1}};
  EXPECT_EQ(CutAlong(two, {}, {.fewest_values = 1}), two);
}

TEST(CutRanges, TheyTileTheVectorAndEachLeaderKeepsItsShare) {
  for (const int64_t values : {997, 4096, 720'967}) {
    for (const int64_t alignment : {1, 16, 64}) {
      std::vector<LedRange> ranges;
      for (uint32_t leader = 0; leader < 5; ++leader) {
        const int64_t begin = values * leader * leader / 25;
        const int64_t end = values * (leader + 1) * (leader + 1) / 25;
        ranges.push_back({begin, end - begin, leader, leader + 1});
      }
      const std::vector<int64_t> begins = {values / 3, values / 2};
      const auto cut = CutAlong(ranges, begins, {.fewest_values = 5, .alignment = alignment});
      std::map<uint32_t, int64_t> led;
      int64_t at = 0;
      for (const LedRange& part : cut) {
        EXPECT_EQ(part.begin, at);
        EXPECT_GT(part.count, 0);
        EXPECT_EQ(part.standby, part.leader + 1);
        led[part.leader] += part.count;
        at += part.count;
      }
      EXPECT_EQ(at, values);
      for (const LedRange& range : ranges) {
        EXPECT_NEAR(led[range.leader], range.count, 6 * alignment) << values;
      }
    }
  }
}

TEST(CutRanges, JoinedUndoesTheCut) {
  const std::vector<LedRange> ranges = {{0, 500, 3, 7}, {500, 500, 7, 3}};
  const auto cut =
      CutAlong(ranges, std::vector<int64_t>{200, 600}, {.fewest_values = 1, .alignment = 1});
  EXPECT_EQ(cut.size(), 6U);
  EXPECT_EQ(Joined(cut), ranges);
  std::vector<LedRange> other = cut;
  other[2].standby = 9;
  EXPECT_EQ(Joined(other)[0].standby, 0U);
}

}  // namespace
}  // namespace weft::plan
