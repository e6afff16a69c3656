#include "sim/range_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace weft::sim {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(RangeLines, SplitsWhereRangesBeginAndEnd) {
  RangeLines<int> lines(16);
  lines.VisitRange({}, [](int& line) { line = 1; });
  EXPECT_THAT(lines.lines(), ElementsAre(Pair(0, 1)));
  lines.VisitRange({4, 8}, [](int& line) { line += 10; });
  EXPECT_THAT(lines.lines(), ElementsAre(Pair(0, 1), Pair(4, 11), Pair(12, 1)));
  lines.VisitRange({0, 6}, [](int& line) { line += 100; });
  EXPECT_THAT(lines.lines(), ElementsAre(Pair(0, 101), Pair(4, 111), Pair(6, 11), Pair(12, 1)));
  int all = 0;
  lines.VisitRange({0, 16}, [&](int& line) { all += line; });
  EXPECT_EQ(all, 224);
}

}  // namespace
}  // namespace weft::sim
