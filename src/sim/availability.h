#pragma once
// Availability: when a device is switched on, drawn from its options and a seed. The simulator asks
// for one stretch after another; the lab gets the same ones as a list.

#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "sim/options.h"

namespace weft::sim {

// From, until, since the start of the run.
using Stretch = std::pair<Duration, Duration>;
inline constexpr Duration kForEver = Duration::max();

class Availability {
 public:
  // A function of the options, the seed and the device's number alone.
  Availability(const AvailabilityOptions& options, uint64_t seed, int device);

  // The next stretch in which the device is on, after the one before; nothing: never again.
  std::optional<Stretch> Next();

 private:
  double ShareAt(Duration at) const;
  Duration Down(Duration at);

  AvailabilityOptions options_;
  base::Rng rng_;
  Duration at_{};  // the device is off from here on
  size_t next_ = 0;
  bool first_ = true;
};

// All stretches that begin before `until`, cut off there.
std::vector<Stretch> UpStretches(const AvailabilityOptions& options, uint64_t seed, int device,
                                 Duration until);

}  // namespace weft::sim
