#pragma once
// DelayLine: one way of a bad link: frames go in and come out late, in another order, twice, or
// never.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"

namespace weft::lab {

struct DelayLineOptions {
  Duration latency{};
  Duration jitter{};       // more, uniform between 0 and this; a frame waits for those before it
  double loss = 0;         // how probable it is, of a frame
  double duplication = 0;  // of one that is not lost: it comes out twice
  double reordering = 0;   // of one that is not lost: it comes out later by kLate or more
  size_t most_bytes = size_t{16} << 20;  // that wait; a frame beyond them is dropped
  uint64_t seed = 1;
};

// How many frames met which fate.
struct DelayLineCounts {
  int64_t passed = 0;  // came out, the second of two included
  int64_t lost = 0;
  int64_t duplicated = 0;
  int64_t reordered = 0;
  int64_t dropped = 0;  // for want of room
};

// Threads: one.
class DelayLine {
 public:
  // A frame out of order is late by its latency and jitter once more, and at least by this, so
  // that frames behind it do overtake it.
  static constexpr Duration kLate = std::chrono::milliseconds(5);

  explicit DelayLine(const DelayLineOptions& options) : options_(options), rng_(options.seed) {}

  // A frame goes in. `now` never goes back.
  void Push(TimePoint now, std::string frame);
  // When the next one comes out; none: nothing waits.
  std::optional<TimePoint> Next() const;
  // The next frame if its time has come.
  std::optional<std::string> Pop(TimePoint now);

  const DelayLineCounts& counts() const { return counts_; }

 private:
  struct Waiting {
    TimePoint due;
    uint64_t number = 0;  // as they came in: those due together keep their order
    std::string frame;
  };
  struct Later {
    bool operator()(const Waiting& a, const Waiting& b) const {
      return a.due != b.due ? a.due > b.due : a.number > b.number;
    }
  };
  void Queue(TimePoint due, std::string frame);

  const DelayLineOptions options_;
  base::Rng rng_;
  DelayLineCounts counts_;
  std::priority_queue<Waiting, std::vector<Waiting>, Later> waiting_;
  size_t waiting_bytes_ = 0;
  uint64_t last_number_ = 0;
  TimePoint last_due_;  // of the frames in order
};

}  // namespace weft::lab
