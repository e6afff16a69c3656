#pragma once
// Batch shares: how many samples of a step each part of the batch gets.

#include <cstdint>
#include <span>
#include <vector>

namespace weft::plan {

// `total` samples in `parts` shares that differ by at most one, larger ones first. parts > 0.
std::vector<int64_t> EqualShares(int64_t total, int64_t parts);

// Shares in proportion to the weights, by largest remainder (ties to the lower index): exact sum,
// each share within one of its quota. Weights must be finite, not negative, and not all 0.
std::vector<int64_t> ProportionalShares(int64_t total, std::span<const double> weights);

// How long a device takes for n > 0 samples: fixed_s + n * per_sample_s seconds; none take none.
struct Pace {
  double fixed_s = 0;       // finite, not negative
  double per_sample_s = 0;  // finite, above 0
  int64_t most = 0;         // samples it can hold; 0: any number

  double Seconds(int64_t samples) const {
    return samples > 0 ? fixed_s + static_cast<double>(samples) * per_sample_s : 0;
  }
};

struct SpeedShares {
  std::vector<int64_t> shares;  // one a pace
  double finish_s = 0;          // when the last one is done
};

// Shares with which the devices finish together: n_i = (T - fixed_i) / per_sample_i for the T at
// which they add up to `total`, in whole samples. No device gets 1 to least - 1 samples; those that
// would, get none (least > 0; lowered for a device that holds less, and for all if the total does
// not fit otherwise). With least = 1 no other shares finish earlier. Equal paces get equal shares,
// larger ones first. They add up to `total`, or to what the devices hold together if that is less.
// O(n log n).
SpeedShares SharesBySpeed(int64_t total, std::span<const Pace> paces, int64_t least = 1);

// When the last device is done with such shares, in seconds.
double FinishSeconds(std::span<const int64_t> shares, std::span<const Pace> paces);

}  // namespace weft::plan
