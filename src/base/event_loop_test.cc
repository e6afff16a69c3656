#include "base/event_loop.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace weft::base {
namespace {

TEST(EventLoop, RunsTasksInOrderAndStopsAfterThem) {
  EventLoop loop;
  std::vector<int> seen;
  for (int i = 0; i < 5; ++i) loop.Post([&seen, i] { seen.push_back(i); });
  loop.Stop();
  loop.Post([&seen] { seen.push_back(99); });
  loop.Run([] { return std::nullopt; }, [](TimePoint) {});
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(EventLoop, TicksWhenTheTimeHasCome) {
  EventLoop loop;
  int ticks = 0;
  TimePoint next = SystemClock().Now();
  loop.Run([&] { return std::optional<TimePoint>(next); },
           [&](TimePoint now) {
             EXPECT_GE(now, next);
             next = now + std::chrono::milliseconds(1);
             if (++ticks == 3) loop.Stop();
           });
  EXPECT_EQ(ticks, 3);
}

TEST(EventLoop, TakesTasksFromOtherThreadsWhileWaiting) {
  EventLoop loop;
  int sum = 0;
  std::thread other([&] {
    for (int i = 1; i <= 100; ++i) loop.Post([&sum, i] { sum += i; });
    loop.Stop();
  });
  loop.Run([] { return std::nullopt; }, [](TimePoint) {});
  other.join();
  EXPECT_EQ(sum, 5050);
}

}  // namespace
}  // namespace weft::base
