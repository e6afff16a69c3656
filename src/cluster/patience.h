#pragma once
// Patience: how long a lease may be out before another device tries as well.
//
// The measure is whole steps, not samples a second: a step lasts as long as its slowest device, so
// a device that is always slow is within the measure and keeps its leases, and shares that follow
// the devices' speeds need no account of sizes. A lease is overdue after four steps' time (the
// median of the last 15 that nothing disturbed), but not before the device timeout.
// Source of backup tasks: Dean and Ghemawat 2004, MapReduce, section 3.6.

#include <cstddef>
#include <deque>

#include "base/clock.h"

namespace weft::cluster {

class Patience {
 public:
  static constexpr size_t kSteps = 15;       // that it remembers
  static constexpr size_t kFewestSteps = 3;  // before them it only knows the timeout
  static constexpr int kTimes = 4;           // as long as the median
  static constexpr int kFirstTimes = 12;     // as long as the timeout, while it knows little

  explicit Patience(Duration timeout) : timeout_(timeout), allowed_(kFirstTimes * timeout) {}

  // A step took so long, and nothing disturbed it.
  void Took(Duration step);
  Duration allowed() const { return allowed_; }

 private:
  Duration timeout_;
  Duration allowed_;
  std::deque<Duration> steps_;
};

}  // namespace weft::cluster
