#include "sim/tempo.h"

#include <algorithm>

#include "sim/loop.h"

namespace weft::sim {
namespace {

constexpr uint64_t kStream = 0x7E3B;

TimePoint After(TimePoint start, double seconds) {
  return start + Duration(static_cast<int64_t>(seconds * 1e9));
}

}  // namespace

Tempo::Tempo(const DeviceOptions& options, uint64_t seed, int device)
    : speed_(options.speed * (1 - options.load)),
      slowdown_(options.slowdown),
      rng_(base::DeriveSeed(base::DeriveSeed(seed, kStream), static_cast<uint64_t>(device))) {
  if (slowdown_.mean_wait.count() > 0) {
    from_ = TimePoint{} + RandomWait(rng_, slowdown_.mean_wait);
    until_ = from_ + RandomWait(rng_, slowdown_.mean_length);
  }
}

// Leaves behind the episodes that have ended.
void Tempo::MoveTo(TimePoint now) {
  while (until_ <= now) {
    from_ = until_ + RandomWait(rng_, slowdown_.mean_wait) + Duration(1);
    until_ = from_ + RandomWait(rng_, slowdown_.mean_length);
  }
}

double Tempo::SpeedAt(TimePoint now) {
  if (slowdown_.mean_wait.count() == 0) return speed_;
  MoveTo(now);
  return now < from_ ? speed_ : speed_ * slowdown_.factor;
}

TimePoint Tempo::Finish(TimePoint start, double seconds) {
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
