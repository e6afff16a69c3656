#pragma once
// StepPlan: which samples a step consists of, as a pure function of the job, and how they are cut
// into leases.

#include <cstdint>
#include <vector>

#include "cluster/job_spec.h"
#include "cluster/message.h"

namespace weft::cluster {

// At most so many parts in a step: one BeginStep must hold them on the wire (net/limits.h).
inline constexpr int64_t kMaxSlots = 8192;
// Ids of the leases of one step lie below those of the next.
inline constexpr int64_t kLeaseIdsPerStep = int64_t{1} << 20;
static_assert(kMaxSlots < kLeaseIdsPerStep);

// Updates that a leader applies at once where there are no steps.
int64_t UpdatesAtOnce(const JobSpec& spec, aggregate::Mode mode);

class StepPlan {
 public:
  // `spec` must be valid (Validate).
  explicit StepPlan(const JobSpec& spec);

  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  int64_t total_steps() const { return steps_per_epoch_ * epochs_; }
  int64_t EpochOf(int64_t step) const { return step / steps_per_epoch_; }
  bool EndsEpoch(int64_t step) const { return (step + 1) % steps_per_epoch_ == 0; }
  // Where the step begins in its epoch's order, and how many samples it has.
  int64_t BeginOf(int64_t step) const { return (step % steps_per_epoch_) * batch_; }
  int64_t SamplesOf(int64_t step) const;

  // Samples of a whole step: the job's batch, as often as a worker makes local steps.
  int64_t batch() const { return batch_; }
  int64_t samples() const { return samples_; }
  // Parts that every step has, whoever is there; 0: they depend on the workers.
  int64_t fixed_slots() const { return fixed_slots_; }
  // How so many samples are cut into fixed slots, or evenly for so many workers. No part is empty.
  std::vector<int64_t> FixedShares(int64_t total) const;
  std::vector<int64_t> EqualShares(int64_t total, int64_t workers) const;
  Lease LeaseOf(int64_t step, int64_t epoch, int64_t slot, int64_t begin, int64_t count) const;

  // The leases of a step in one piece, when `workers` are alive: of fixed slots if the job has
  // them, else one a worker. Parts that would be empty are left out; slots count from 0 without
  // gaps.
  std::vector<Lease> Leases(int64_t step, int64_t epoch, int64_t begin, int64_t total,
                            int64_t workers) const;
  // Of a run in which every step took a whole batch.
  std::vector<Lease> Leases(int64_t step, int64_t workers) const {
    return Leases(step, EpochOf(step), BeginOf(step), SamplesOf(step), workers);
  }

 private:
  int64_t samples_;
  int64_t batch_;
  int64_t epochs_;
  int64_t steps_per_epoch_;
  int64_t fixed_slots_;          // 0: one a worker
  std::vector<double> weights_;  // of the slots; empty: equal
};

}  // namespace weft::cluster
