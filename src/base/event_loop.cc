#include "base/event_loop.h"

#include <utility>

namespace weft::base {

void EventLoop::Post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  tasks_.push_back(std::move(task));
  changed_.notify_one();
}

void EventLoop::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

void EventLoop::Run(const std::function<std::optional<TimePoint>()>& next_wake,
                    const std::function<void(TimePoint)>& tick) {
  for (;;) {
    std::optional<TimePoint> wake = next_wake();
    const TimePoint now = SystemClock().Now();
    if (wake && *wake <= now) {
      tick(now);
      wake = next_wake();
    }
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [&] { return stopped_ || !tasks_.empty(); };
      if (wake) {
        changed_.wait_for(lock, *wake - SystemClock().Now(), ready);
      } else {
        changed_.wait(lock, ready);
      }
      if (tasks_.empty()) {
        if (stopped_) return;
        continue;
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace weft::base
