#pragma once
// Loop: virtual time. Events run in the order of their times, those of one time in the order in
// which they were made, so that a seed decides everything; the trace hash shows it.

#include <cstdint>
#include <functional>
#include <queue>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/rng.h"

namespace weft::sim {

// Threads: one.
class Loop {
 public:
  explicit Loop(uint64_t seed) : rng_(seed) {}

  TimePoint now() const { return now_; }
  // The one source of chance in a simulation.
  base::Rng& rng() { return rng_; }

  void At(TimePoint when, std::function<void()> run);
  void After(Duration wait, std::function<void()> run) { At(now_ + wait, std::move(run)); }

  // Runs the next event, unless it lies after `end`. False if there was none to run.
  bool Step(TimePoint end);

  // Adds a line, with its time, to what the hash is of.
  void Trace(std::string_view line);
  uint64_t trace_hash() const { return trace_hash_; }
  // Also prints every line on stderr.
  void set_verbose(bool verbose) { verbose_ = verbose; }
  bool verbose() const { return verbose_; }

 private:
  struct Event {
    TimePoint when;
    uint64_t number = 0;
    std::function<void()> run;
    bool operator<(const Event& other) const {  // for a heap whose top is the earliest
      return when != other.when ? when > other.when : number > other.number;
    }
  };

  TimePoint now_;
  uint64_t made_ = 0;
  std::priority_queue<Event> events_;
  base::Rng rng_;
  uint64_t trace_hash_ = base::Fnv1a({});
  bool verbose_ = false;
};

// Uniform between the two.
Duration RandomDuration(base::Rng& rng, Duration least, Duration most);
// Exponential with this mean: the wait for an event that has no memory.
Duration RandomWait(base::Rng& rng, Duration mean);

}  // namespace weft::sim
