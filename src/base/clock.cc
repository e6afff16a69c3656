#include "base/clock.h"

#include <ctime>
#include <thread>

namespace weft::base {
namespace {

class MonotonicClock : public Clock {
 public:
  TimePoint Now() const override {
    return {
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - start_).count()};
  }
  void SleepFor(Duration d) override { std::this_thread::sleep_for(d); }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Clock& SystemClock() {
  static MonotonicClock* const clock = new MonotonicClock;
  return *clock;
}

TimePoint ThreadCpuNow() {
  std::timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return {int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec};
}

std::string WallTimeUtc() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace weft::base
