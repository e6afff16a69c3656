#pragma once
// EventLoop: one thread that runs tasks from anywhere and a tick at set times: the ground on which
// a state machine meets the real world.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace weft::base {

class EventLoop {
 public:
  // Queues `task` for the thread in Run. Tasks posted after Stop are dropped. Threads: any.
  void Post(std::function<void()> task);

  // Runs tasks in order of posting on the calling thread until Stop. After each task it asks
  // `next_wake`; when that time has come it calls `tick`.
  void Run(const std::function<std::optional<TimePoint>()>& next_wake,
           const std::function<void(TimePoint)>& tick);

  // Lets Run return once the tasks posted before are done. Threads: any.
  void Stop();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopped_ = false;
};

}  // namespace weft::base
