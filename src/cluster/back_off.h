#pragma once
// BackOff: how long to wait before trying again: grows by half each time, with jitter, so that
// many devices that lost one coordinator do not come back at the same instant.

#include <cstdint>

#include "base/clock.h"
#include "base/rng.h"

namespace weft::cluster {

class BackOff {
 public:
  static constexpr double kFirstSeconds = 0.2;
  static constexpr double kLastSeconds = 10.0;
  static constexpr double kGrowth = 1.5;

  explicit BackOff(uint64_t seed) : rng_(seed) {}

  // The next wait: between half and all of 0.2 s, 0.3 s, 0.45 s, ..., 10 s.
  Duration Next();
  // It worked: the next failure starts from the beginning.
  void Reset() { seconds_ = kFirstSeconds; }

 private:
  base::Rng rng_;
  double seconds_ = kFirstSeconds;
};

}  // namespace weft::cluster
