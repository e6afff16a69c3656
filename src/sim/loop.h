#pragma once
// Loop: virtual time. Events run in the order of their times, those of one time in the order in
// which they were made, so that a seed decides everything; the trace hash shows it.

#include <cstdint>
#include <functional>
#include <initializer_list>
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

  // Runs `run` at `when`, or now if that is past. A lambda of two words is kept without allocation.
  void At(TimePoint when, std::function<void()> run);
  void After(Duration wait, std::function<void()> run) { At(now_ + wait, std::move(run)); }

  // Runs the next event, unless it lies after `end`. False if there was none to run.
  bool Step(TimePoint end);
  // That have run.
  int64_t events() const { return events_; }

  // Adds these words, and the time, to what the hash is of.
  void Mix(std::initializer_list<uint64_t> words);
  uint64_t trace_hash() const { return trace_hash_; }
  // Adds a line to it, and prints it if verbose. For what is rare: somebody has formatted it.
  void Trace(std::string_view line);

  // The reader wants lines on stderr: ask before formatting one for Print.
  bool verbose() const { return verbose_; }
  void set_verbose(bool verbose) { verbose_ = verbose; }
  void Print(std::string_view line) const;

 private:
  // An entry of the heap. The slot of the work is in the low bits of `order`, under a number that
  // rises, so that one comparison of two words settles the order.
  struct Key {
    int64_t when = 0;
    uint64_t order = 0;
    bool operator<(const Key& other) const {
      return when != other.when ? when < other.when : order < other.order;
    }
  };
  void SiftUp(size_t at, Key key);
  void SiftDown(Key key);

  TimePoint now_;
  uint64_t made_ = 0;
  int64_t events_ = 0;
  std::vector<Key> heap_;  // of kFanOut children a node, the earliest first
  std::vector<std::function<void()>> work_;
  std::vector<uint32_t> free_;  // slots of work_
  base::Rng rng_;
  uint64_t trace_hash_ = base::Fnv1a({});
  bool verbose_ = false;
};

// Uniform between the two.
Duration RandomDuration(base::Rng& rng, Duration least, Duration most);
// Exponential with this mean: the wait for an event that has no memory.
Duration RandomWait(base::Rng& rng, Duration mean);

}  // namespace weft::sim
