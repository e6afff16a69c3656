#pragma once
// Aggregator: updates in, one combined gradient out. Pure: no clock, no network. One file a
// strategy.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace weft::aggregate {

// What one lease contributes to a step.
struct Contribution {
  int64_t slot = 0;                 // 0..slots-1: the part of the step's batch it covers
  int64_t samples = 0;              // that many samples; the weight
  std::span<const float> gradient;  // [n] mean gradient over its samples
};

class Aggregator {
 public:
  virtual ~Aggregator() = default;
  // Starts a step of `slots` parts and `total_samples` samples over a range of n values.
  virtual void Begin(int64_t slots, int64_t total_samples) = 0;
  // Errors: kAlreadyExists if the slot was added before (nothing changes), kInvalidArgument for a
  // wrong size or slot.
  virtual Status Add(const Contribution& contribution) = 0;
  // Every slot was added.
  virtual bool Ready() const = 0;
  // The slots added so far.
  virtual std::vector<int64_t> Added() const = 0;
  // sum_i samples_i * gradient_i / total_samples, [n]; valid until the next Begin. CHECKs Ready().
  virtual std::span<const float> Finish() = 0;
};

// Synchronous, weighted by samples.
//   ordered: sum in slot order whatever the order of arrival (bit-equal from run to run); early
//   arrivals are kept until their turn, each as a vector of n values, so at worst slots - 1 of them
//   when slot 0 comes last; that memory is kept for the next step. Otherwise each arrival is added
//   at once and only one vector is held.
std::unique_ptr<Aggregator> MakeSyncAggregator(int64_t n, bool ordered);

}  // namespace weft::aggregate
