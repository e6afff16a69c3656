#include "sim/serial_process.h"

namespace weft::sim {
namespace {

Duration FromSeconds(double seconds) { return Duration(static_cast<int64_t>(seconds * 1e9)); }

}  // namespace

void SerialProcess::Enqueue(double seconds, std::function<void()> handle) {
  inbox_.push_back({seconds, std::move(handle)});
  if (!busy_) Serve();
}

void SerialProcess::AfterSpent(const std::function<void()>& run) {
  if (spent_ == 0) return run();
  After(FromSeconds(spent_), run);
}

void SerialProcess::Serve() {
  busy_ = true;
  while (!inbox_.empty() && !crashed()) {
    Work work = std::move(inbox_.front());
    inbox_.pop_front();
    const auto finish = [this, handle = std::move(work.handle)] {
      const Duration more = Handle(handle);
      if (more.count() == 0) return false;
      After(more, [this] { Serve(); });
      return true;
    };
    if (work.seconds > 0) {
      return After(FromSeconds(work.seconds), [this, finish] {
        if (!finish()) Serve();
      });
    }
    if (finish()) return;
  }
  busy_ = false;
}

Duration SerialProcess::Handle(const std::function<void()>& handle) {
  handling_ = true;
  handle();
  handling_ = false;
  return FromSeconds(std::exchange(spent_, 0));
}

}  // namespace weft::sim
