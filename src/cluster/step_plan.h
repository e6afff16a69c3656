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

  // The leases of a step when `workers` are alive: of fixed slots if the job has them, else one a
  // worker. Parts that would be empty are left out; slots count from 0 without gaps.
  std::vector<Lease> Leases(int64_t step, int64_t workers) const;

 private:
  int64_t samples_;
  int64_t batch_;
  int64_t epochs_;
  int64_t steps_per_epoch_;
  int64_t fixed_slots_;          // 0: one a worker
  std::vector<double> weights_;  // of the slots; empty: equal
};

}  // namespace weft::cluster
