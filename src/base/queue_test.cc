#include "base/queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace weft::base {
namespace {

TEST(BoundedQueue, KeepsOrderAndDrainsAfterClose) {
  BoundedQueue<int> queue(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.Push(i));
  queue.Close();
  EXPECT_FALSE(queue.Push(9));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.Pop(), i);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueue, HoldsValuesThatOnlyMove) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.Push(std::make_unique<int>(4)));
  EXPECT_EQ(**queue.Pop(), 4);
}

TEST(BoundedQueue, GivesUpAfterItsTimeout) {
  BoundedQueue<int> queue(1);
  EXPECT_EQ(queue.PopFor(Duration(0)), std::nullopt);
  queue.Push(1);
  EXPECT_EQ(queue.PopFor(Duration(0)), 1);
}

TEST(BoundedQueue, CloseWakesBothSides) {
  BoundedQueue<int> empty(1), full(1);
  full.Push(0);
  std::thread popper([&] { EXPECT_EQ(empty.Pop(), std::nullopt); });
  std::thread pusher([&] { EXPECT_FALSE(full.Push(1)); });
  empty.Close();
  full.Close();
  popper.join();
  pusher.join();
  EXPECT_EQ(full.Pop(), 0);
}

TEST(BoundedQueue, LosesNothingBetweenManyThreads) {
  constexpr int kEach = 2000;
  BoundedQueue<int> queue(4);
  std::atomic<int64_t> sum = 0;
  std::vector<std::thread> poppers, pushers;
  for (int t = 0; t < 3; ++t) {
    poppers.emplace_back([&] {
      while (const auto value = queue.Pop()) sum += *value;
    });
    pushers.emplace_back([&] {
      for (int i = 1; i <= kEach; ++i) ASSERT_TRUE(queue.Push(i));
    });
  }
  for (auto& thread : pushers) thread.join();
  queue.Close();
  for (auto& thread : poppers) thread.join();
  EXPECT_EQ(sum, int64_t{3} * kEach * (kEach + 1) / 2);
}

}  // namespace
}  // namespace weft::base
