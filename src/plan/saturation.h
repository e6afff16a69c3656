#pragma once
// Saturation: from how many workers on more of them bring nothing, because a leader's link is full.
// Source of both signals: Hao and Zhang 2021, EDDL: the throughput n / t_sync, and the
// prediction from bandwidth and bytes.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>

namespace weft::plan {

struct SaturationInput {
  double bytes_per_s = 0;      // of the busiest direction of the leader's link, above 0
  double bytes_of_update = 0;  // that cross it in that direction for one worker's step, above 0
  double step_s = 0;           // of a worker without communication, above 0
};

// Workers that fill the link: step_s * bytes_per_s / bytes_of_update, and at least 1. Where updates
// travel while others compute, n / t grows up to there and no further; where they do not, it is
// half of what it would be with ever more workers, bytes_per_s / bytes_of_update.
int64_t PredictSaturation(const SaturationInput& input);

// Watches the throughput n / t_sync as workers come and go. Of each n it keeps the median of the
// last times; saturated, when from some lower n to the present one throughput grew by less than a
// quarter of what it should have, as the slope of log throughput over log n. Threads: one.
class SaturationWatch {
 public:
  static constexpr size_t kTimes = 8;          // kept of each n
  static constexpr size_t kFewestTimes = 3;    // before an n counts
  static constexpr size_t kNumbers = 16;       // of workers that it remembers
  static constexpr double kFewerBy = 0.85;     // a lower n is at most so much of the present one
  static constexpr double kLeastSlope = 0.25;  // 1: in proportion

  // A step of `workers` workers took `step_s` seconds. Both above 0.
  void Took(int64_t workers, double step_s);

  // The lower number of workers that did as well as the present one does; 0: not saturated, or not
  // known yet.
  int64_t SaturatedAt() const;
  // Workers' steps a second, of the number of workers that stepped last; 0: not known yet.
  double throughput() const;

 private:
  struct Times {
    std::deque<double> seconds;
    int64_t last = 0;  // step
  };

  static double Throughput(int64_t workers, const Times& times);

  std::map<int64_t, Times> times_;  // by number of workers
  int64_t workers_ = 0;             // of the last step
  int64_t step_ = 0;
};

}  // namespace weft::plan
