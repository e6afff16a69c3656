#include "cluster/step_plan.h"

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "plan/shares.h"

namespace weft::cluster {

StepPlan::StepPlan(const JobSpec& spec)
    : samples_(spec.samples),
      batch_(spec.batch),
      epochs_(spec.epochs),
      steps_per_epoch_((spec.samples + spec.batch - 1) / spec.batch),
      fixed_slots_(spec.deterministic ? spec.slots : 0),
      weights_(spec.shares.begin(), spec.shares.end()) {}

int64_t StepPlan::SamplesOf(int64_t step) const {
  return std::min(batch_, samples_ - BeginOf(step));
}

std::vector<Lease> StepPlan::Leases(int64_t step, int64_t workers) const {
  const int64_t total = SamplesOf(step);
  const int64_t parts =
      fixed_slots_ > 0 ? fixed_slots_ : std::clamp<int64_t>(workers, 1, kMaxSlots);
  const std::vector<int64_t> shares = weights_.empty() ? plan::EqualShares(total, parts)
                                                       : plan::ProportionalShares(total, weights_);
  std::vector<Lease> leases;
  int64_t begin = BeginOf(step);
  for (int64_t share : shares) {
    if (share == 0) continue;
    const auto slot = static_cast<int64_t>(leases.size());
    leases.push_back({.id = static_cast<uint64_t>(step * kLeaseIdsPerStep + slot) + 1,
                      .step = step,
                      .epoch = EpochOf(step),
                      .slot = slot,
                      .begin = begin - (base::Planted("step_plan.overlaps") && begin > 0 ? 1 : 0),
                      .count = share});
    begin += share;
  }
  CHECK_EQ(begin, BeginOf(step) + total);
  return leases;
}

}  // namespace weft::cluster
