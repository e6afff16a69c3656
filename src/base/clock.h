#pragma once
// Clock: where time comes from. The only header with a real clock behind it; state machines get a
// TimePoint handed in.

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>

namespace weft::base {

using Duration = std::chrono::nanoseconds;

// Nanoseconds since an arbitrary start (process start on a real clock, zero in the simulator).
// Never goes back.
struct TimePoint {
  int64_t ns = 0;

  auto operator<=>(const TimePoint&) const = default;
  TimePoint operator+(Duration d) const { return {ns + d.count()}; }
  TimePoint operator-(Duration d) const { return {ns - d.count()}; }
  Duration operator-(TimePoint other) const { return Duration(ns - other.ns); }
};

inline double Seconds(Duration d) { return static_cast<double>(d.count()) * 1e-9; }

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  // Blocks the calling thread. Threads: any.
  virtual void SleepFor(Duration d) = 0;
};

// The monotonic clock of this machine. Lives for ever.
Clock& SystemClock();

// How long the calling thread has computed: time goes by as on SystemClock() while it has a core,
// and stands still while it waits or another program has the core. For measuring on busy machines.
TimePoint ThreadCpuNow();

// Wall-clock time as "2026-01-31T12:34:56Z", for people and run records; never for logic.
std::string WallTimeUtc();

}  // namespace weft::base

namespace weft {
using base::Duration;
using base::TimePoint;
}  // namespace weft
