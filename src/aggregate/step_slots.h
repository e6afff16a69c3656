#pragma once
// StepSlots: which parts of a step have come. What every aggregator keeps count of.

#include <cstdint>
#include <vector>

#include "aggregate/aggregator.h"
#include "base/status.h"

namespace weft::aggregate {

class StepSlots {
 public:
  // Contributions are of `count` values. `single`: each of one slot.
  StepSlots(int64_t count, bool single) : count_(static_cast<size_t>(count)), single_(single) {}

  // CHECKs that both are above 0.
  void Begin(int64_t slots, int64_t total_samples);
  // Counts it, or says why not: the errors of Aggregator::Add.
  Status Add(const Contribution& contribution);

  bool all() const { return !added_.empty() && have_ == static_cast<int64_t>(added_.size()); }
  bool any() const { return have_ > 0; }
  std::vector<int64_t> Added() const;
  int64_t samples() const { return samples_; }              // of those added
  double weighted_samples() const { return weighted_; }     // each times its weight
  int64_t total_samples() const { return total_samples_; }  // of the whole step

 private:
  Status Check(const Contribution& contribution) const;
  Status CheckSlot(int64_t slot) const;

  const size_t count_;
  const bool single_;
  std::vector<bool> added_;
  int64_t have_ = 0;
  int64_t total_samples_ = 0;
  int64_t samples_ = 0;
  double weighted_ = 0;
};

}  // namespace weft::aggregate
