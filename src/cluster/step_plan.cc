#include "cluster/step_plan.h"

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "plan/shares.h"

namespace weft::cluster {

int64_t UpdatesAtOnce(const JobSpec& spec, aggregate::Mode mode) {
  if (mode != aggregate::Mode::kBuffered) return 1;
  if (spec.aggregation.buffer > 0) return spec.aggregation.buffer;
  return std::max<int64_t>(spec.slots / 2, 1);
}

StepPlan::StepPlan(const JobSpec& spec)
    : samples_(spec.samples),
      batch_(spec.batch * spec.aggregation.local_steps),
      epochs_(spec.epochs),
      steps_per_epoch_((spec.samples + batch_ - 1) / batch_),
      fixed_slots_(spec.deterministic ? spec.slots : static_cast<int64_t>(spec.shares.size())),
      weights_(spec.shares.begin(), spec.shares.end()) {}

int64_t StepPlan::SamplesOf(int64_t step) const {
  return std::min(batch_, samples_ - BeginOf(step));
}

std::vector<int64_t> StepPlan::FixedShares(int64_t total) const {
  std::vector<int64_t> shares = weights_.empty() ? plan::EqualShares(total, fixed_slots_)
                                                 : plan::ProportionalShares(total, weights_);
  std::erase(shares, 0);
  return shares;
}

std::vector<int64_t> StepPlan::EqualShares(int64_t total, int64_t workers) const {
  std::vector<int64_t> shares =
      plan::EqualShares(total, std::clamp<int64_t>(workers, 1, kMaxSlots));
  std::erase(shares, 0);
  return shares;
}

Lease StepPlan::LeaseOf(int64_t step, int64_t epoch, int64_t slot, int64_t begin,
                        int64_t count) const {
  return {.id = static_cast<uint64_t>(step * kLeaseIdsPerStep + slot) + 1,
          .step = step,
          .epoch = epoch,
          .slot = slot,
          .begin = begin - (base::Planted("step_plan.overlaps") && begin > 0 ? 1 : 0),
          .count = count};
}

std::vector<Lease> StepPlan::Leases(int64_t step, int64_t epoch, int64_t begin, int64_t total,
                                    int64_t workers) const {
  std::vector<Lease> leases;
  int64_t at = begin;
  for (const int64_t share : fixed_slots_ > 0 ? FixedShares(total) : EqualShares(total, workers)) {
    leases.push_back(LeaseOf(step, epoch, static_cast<int64_t>(leases.size()), at, share));
    at += share;
  }
  CHECK_EQ(at, begin + total);
  return leases;
}

}  // namespace weft::cluster
