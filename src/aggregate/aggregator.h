#pragma once
// Aggregator: updates in, one combined gradient out. Pure: no clock, no network. One file a
// strategy.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "aggregate/options.h"
#include "base/status.h"

namespace weft::aggregate {

// What one lease contributes to a step.
struct Contribution {
  int64_t slot = 0;                 // 0..slots-1: the part of the step's batch it covers
  int64_t samples = 0;              // that many samples; the weight
  std::span<const float> gradient;  // [n] mean gradient over its samples, then their statistics
  double weight = 1;                // of its gradient beside those of others (staleness.h), above 0
  std::span<const int64_t> more{};  // further slots that the samples are of
};

class Aggregator {
 public:
  virtual ~Aggregator() = default;
  // Starts a step of `slots` parts and `total_samples` samples over a range of n values.
  virtual void Begin(int64_t slots, int64_t total_samples) = 0;
  // Errors: kAlreadyExists if a slot was added before (nothing changes), kInvalidArgument for a
  // wrong size, slot or weight, or for one of several slots where each must be told from the
  // others (`ordered`, or another rule than the mean).
  virtual Status Add(const Contribution& contribution) = 0;
  // Every slot was added.
  virtual bool Ready() const = 0;
  // The slots added so far.
  virtual std::vector<int64_t> Added() const = 0;
  // Samples of those added so far.
  virtual int64_t samples() const = 0;
  // What was added, joined, [n]; valid until the next Begin. Slots that were not added count for
  // nothing. Once a step; CHECKs that something was added.
  virtual std::span<const float> Finish() = 0;
};

struct AggregatorOptions {
  int64_t count = 0;       // n
  int64_t statistics = 0;  // so many of them, at the end, are measured statistics: weights of
                           // contributions shift them between each other but never shrink them
  Combine combine = Combine::kMean;
  double trim = 0.1;  // of kTrimmedMean
  // Of kMean: sum in slot order whatever the order of arrival, so that equal updates give equal
  // bits from run to run. The other rules do not depend on the order.
  bool ordered = false;
};

// kMean: sum_i weight_i * samples_i * gradient_i / sum_i samples_i; of statistics divided by the
//   sum of weight_i * samples_i. Ordered: early arrivals are kept until their turn, each as a
//   vector of n values, so at worst slots - 1 of them when slot 0 comes last; that memory is kept
//   for the next step. Otherwise each arrival is added at once and only one vector is held.
// kMedian, kTrimmedMean: of weight_i * gradient_i, coordinate by coordinate (combine.h), not
//   weighted by samples; statistics likewise without the weights. Each contribution is held as a
//   vector of n values until the next step, and that memory is used again.
std::unique_ptr<Aggregator> MakeAggregator(const AggregatorOptions& options);

}  // namespace weft::aggregate
