#pragma once
// Saturation: from how many workers on more of them bring nothing, because a leader's link is full.
// Source of both signals: Hao and Zhang 2021, EDDL: the throughput n / t_sync, and the
// prediction bandwidth / bytes. There each worker has a batch of its own; here they share one, so
// throughput is counted in samples.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>

namespace weft::plan {

// Slope of log throughput over log workers: 1 where it grows in proportion, 0 where another worker
// brings nothing. Below this they are saturated.
inline constexpr double kLeastSlope = 0.25;

// What a step of a batch takes, each worker computing its part of it.
struct StepCosts {
  int64_t workers = 0;    // above 0
  double compute_s = 0;   // above 0
  double exchange_s = 0;  // bytes / bandwidth of the busiest link, or whatever else bounds it
  double one_more_s = 0;  // so much longer with one more worker
};

struct SaturationPrediction {
  double most_per_s = 0;  // updates a second that can be exchanged, n / exchange_s; 0: any number
  // With t(n) = W / n + exchange(n): d ln(1 / t) / d ln n.
  double slope = 1;
};
SaturationPrediction PredictSaturation(const StepCosts& costs);

// Watches the throughput as workers come and go. Of each n it keeps the median of the last times;
// saturated, when from some lower n to the present one the slope was below kLeastSlope.
// Threads: one.
class SaturationWatch {
 public:
  static constexpr size_t kTimes = 8;        // kept of each n
  static constexpr size_t kFewestTimes = 3;  // before an n counts
  static constexpr size_t kNumbers = 16;     // of workers that it remembers
  static constexpr double kFewerBy = 0.85;   // a lower n is at most so much of the present one

  // `workers` workers took so many seconds for a step of so many samples. All above 0.
  struct Step {
    int64_t workers = 0;
    double samples = 0;
    double seconds = 0;
  };
  void Took(const Step& step);

  // The lower number of workers that did as well as the present one does; 0: not saturated, or not
  // known yet.
  int64_t SaturatedAt() const;
  // Samples a second, of the number of workers that stepped last; 0: not known yet.
  double throughput() const;

 private:
  struct Rates {
    std::deque<double> per_s;  // samples a second, one a step
    int64_t last = 0;          // step
  };

  static double Throughput(const Rates& rates);

  std::map<int64_t, Rates> rates_;  // by number of workers
  int64_t workers_ = 0;             // of the last step
  int64_t step_ = 0;
};

}  // namespace weft::plan
