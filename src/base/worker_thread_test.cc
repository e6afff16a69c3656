#include "base/worker_thread.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "base/queue.h"

namespace weft::base {
namespace {

TEST(WorkerThread, RunsTasksInOrderOnOneOtherThread) {
  BoundedQueue<std::pair<int, std::thread::id>> ran(10);
  WorkerThread worker;
  for (int i = 0; i < 10; ++i) {
    worker.Post([&ran, i] { ran.Push({i, std::this_thread::get_id()}); });
  }
  std::thread::id first;
  for (int i = 0; i < 10; ++i) {
    const auto [task, thread] = *ran.Pop();
    if (i == 0) first = thread;
    EXPECT_EQ(task, i);
    EXPECT_EQ(thread, first);
  }
  EXPECT_NE(first, std::this_thread::get_id());
}

TEST(WorkerThread, TakesTasksFromATask) {
  BoundedQueue<int> ran(1);
  WorkerThread worker;
  worker.Post([&] { worker.Post([&] { ran.Push(5); }); });
  EXPECT_EQ(ran.Pop(), 5);
}

TEST(WorkerThread, EndWaitsForTheRunningTaskAndFreesTheOthers) {
  BoundedQueue<int> started(1), go_on(1);
  bool finished = false;
  const auto token = std::make_shared<int>();
  auto worker = std::make_unique<WorkerThread>();
  worker->Post([&] {
    started.Push(1);
    go_on.Pop();
    finished = true;
  });
  for (int i = 0; i < 100; ++i) worker->Post([token] {});
  started.Pop();
  std::thread closer([&] { worker.reset(); });
  go_on.Push(1);
  closer.join();
  EXPECT_TRUE(finished);
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace weft::base
