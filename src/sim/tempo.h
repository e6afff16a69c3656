#pragma once
// Tempo: how fast a device computes as time goes by: its speed, what other programs leave of it,
// and episodes of slowness.

#include "base/clock.h"
#include "base/rng.h"
#include "sim/options.h"

namespace weft::sim {

class Tempo {
 public:
  // A function of the options, the seed and the device's number alone.
  Tempo(const DeviceOptions& options, uint64_t seed, int device);

  // When work that takes `seconds` at speed 1 is done if it begins at `start`. Calls go forward in
  // time: of work that was given up, the episodes it would have met are not met again.
  TimePoint Finish(TimePoint start, double seconds);

  // Of speed 1, at `now`.
  double SpeedAt(TimePoint now);

 private:
  void MoveTo(TimePoint now);

  double speed_;
  SlowdownOptions slowdown_;
  base::Rng rng_;
  TimePoint from_;  // the episode that is under way, or comes next
  TimePoint until_;
};

}  // namespace weft::sim
