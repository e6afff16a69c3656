#include "cluster/interval_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/rng.h"

namespace weft::cluster {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(IntervalSet, NeighboursMelt) {
  IntervalSet set;
  EXPECT_EQ(set.Add(0, 10), 0);
  EXPECT_EQ(set.Add(20, 30), 0);
  EXPECT_THAT(set.intervals(), ElementsAre(Pair(0, 10), Pair(20, 30)));
  EXPECT_EQ(set.Add(10, 20), 0);
  EXPECT_THAT(set.intervals(), ElementsAre(Pair(0, 30)));
}

TEST(IntervalSet, AgreesWithAPlainSet) {
  base::Rng rng(11);
  IntervalSet set;
  std::set<int64_t> plain;
  for (int round = 0; round < 2000; ++round) {
    if (round % 100 == 0) {
      set.Clear();
      plain.clear();
    }
    const auto begin = static_cast<int64_t>(rng.NextBelow(300)) - 100;
    const auto end = begin + static_cast<int64_t>(rng.NextBelow(12));
    int64_t overlap = 0;
    for (int64_t value = begin; value < end; ++value) overlap += plain.insert(value).second ? 0 : 1;
    ASSERT_EQ(set.Add(begin, end), overlap);
    ASSERT_EQ(set.size(), static_cast<int64_t>(plain.size()));
    int64_t last_end = -1000;
    for (const auto& [from, to] : set.intervals()) {
      ASSERT_LT(from, to);
      ASSERT_LT(last_end, from);  // not even touching
      last_end = to;
    }
    const auto probe = static_cast<int64_t>(rng.NextBelow(320)) - 105;
    ASSERT_EQ(set.Contains(probe), plain.contains(probe));
  }
}

}  // namespace
}  // namespace weft::cluster
