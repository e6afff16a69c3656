#include "sim/pace.h"

#include <algorithm>

#include "sim/loop.h"

namespace weft::sim {
namespace {

constexpr uint64_t kStream = 0x9ACE;

TimePoint After(TimePoint start, double seconds) {
  return start + Duration(static_cast<int64_t>(seconds * 1e9));
}

}  // namespace

Pace::Pace(const DeviceOptions& options, uint64_t seed, int device)
    : speed_(options.speed * (1 - options.load)),
      slowdown_(options.slowdown),
      rng_(base::DeriveSeed(base::DeriveSeed(seed, kStream), static_cast<uint64_t>(device))) {
  if (slowdown_.mean_wait.count() > 0) {
    from_ = TimePoint{} + RandomWait(rng_, slowdown_.mean_wait);
    until_ = from_ + RandomWait(rng_, slowdown_.mean_length);
  }
}

// Leaves behind the episodes that have ended.
void Pace::MoveTo(TimePoint now) {
  while (until_ <= now) {
    from_ = until_ + RandomWait(rng_, slowdown_.mean_wait) + Duration(1);
    until_ = from_ + RandomWait(rng_, slowdown_.mean_length);
  }
}

double Pace::SpeedAt(TimePoint now) {
  if (slowdown_.mean_wait.count() == 0) return speed_;
  MoveTo(now);
  return now < from_ ? speed_ : speed_ * slowdown_.factor;
}

TimePoint Pace::Finish(TimePoint start, double seconds) {
  if (slowdown_.mean_wait.count() == 0) return After(start, seconds / speed_);
  TimePoint now = start;
  while (true) {
    const double speed = SpeedAt(now);
    const TimePoint change = now < from_ ? from_ : until_;
    const TimePoint done = After(now, seconds / speed);
    if (done <= change) return done;
    seconds -= base::Seconds(change - now) * speed;
    now = change;
  }
}

}  // namespace weft::sim
