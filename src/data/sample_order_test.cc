#include "data/sample_order.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/order.h"

namespace weft::data {
namespace {

using Numbers = std::vector<int64_t>;

SampleOrder InShards(std::vector<Numbers> shards, uint64_t seed = 3) {
  return SampleOrder::Sharded(seed, std::make_shared<Partition>(Partition{std::move(shards)}));
}

Numbers Sorted(Numbers numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

TEST(SampleOrder, OfAWholeSetIsTheEpochsOrder) {
  const SampleOrder order = SampleOrder::Whole(3, 100);
  const EpochOrder want(3, 2, 100);
  const Numbers indices = order.Indices({.epoch = 2, .begin = 40, .count = 10});
  for (int64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(indices[static_cast<size_t>(i)], want[40 + i]);
    EXPECT_EQ(order(2, 40 + i), want[40 + i]);
  }
  EXPECT_EQ(SampleOrder::Whole(3, 100, false)(2, 41), 41);
}

TEST(SampleOrder, TakesShardAfterShard) {
  const Numbers a = {1, 5, 6, 9}, b = {0}, c = {2, 3, 4, 7, 8};
  const SampleOrder order = InShards({a, b, c});
  EXPECT_EQ(order.size(), 10);
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    EXPECT_EQ(Sorted(order.Indices({.epoch = epoch, .begin = 0, .count = 4})), a);
    EXPECT_EQ(order.Indices({.epoch = epoch, .begin = 4, .count = 1}), b);
    EXPECT_EQ(Sorted(order.Indices({.epoch = epoch, .begin = 5, .count = 5})), c);
  }
}

TEST(SampleOrder, OfARangeIsThatOfItsPositions) {
  const SampleOrder order = InShards({{1, 5, 6, 9}, {0}, {2, 3, 4, 7, 8}});
  const Numbers whole = order.Indices({.epoch = 1, .begin = 0, .count = 10});
  for (int64_t begin = 0; begin <= 10; ++begin) {
    for (int64_t count = 0; begin + count <= 10; ++count) {
      const Numbers part = order.Indices({.epoch = 1, .begin = begin, .count = count});
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + begin));
    }
  }
}

TEST(SampleOrder, ShufflesEachEpochAndShard) {
  Numbers first(50), second(50);
  for (int64_t i = 0; i < 50; ++i) {
    first[static_cast<size_t>(i)] = i;
    second[static_cast<size_t>(i)] = 50 + i;
  }
  const SampleOrder order = InShards({first, second});
  const Numbers a = order.Indices({.epoch = 0, .begin = 0, .count = 50});
  EXPECT_NE(a, first);
  EXPECT_NE(a, order.Indices({.epoch = 1, .begin = 0, .count = 50}));
  EXPECT_NE(a, InShards({first, second}, 4).Indices({.epoch = 0, .begin = 0, .count = 50}));
  Numbers other = order.Indices({.epoch = 0, .begin = 50, .count = 50});
  for (int64_t& index : other) index -= 50;
  EXPECT_NE(a, other);
}

TEST(SampleOrderDeathTest, RangeMustLieInTheEpoch) {
  EXPECT_DEATH(InShards({{0}, {1}})(0, 2), "got positions 2 \\+ 1 of 2");
}

}  // namespace
}  // namespace weft::data
