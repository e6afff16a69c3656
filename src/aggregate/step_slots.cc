#include "aggregate/step_slots.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/check.h"

namespace weft::aggregate {

void StepSlots::Begin(int64_t slots, int64_t total_samples) {
  CHECK(slots > 0 && total_samples > 0);
  added_.assign(static_cast<size_t>(slots), false);
  have_ = 0;
  total_samples_ = total_samples;
  samples_ = 0;
  weighted_ = 0;
}

Status StepSlots::Add(const Contribution& c) {
  RETURN_IF_ERROR(Check(c));
  added_[static_cast<size_t>(c.slot)] = true;
  for (const int64_t slot : c.more) added_[static_cast<size_t>(slot)] = true;
  have_ += 1 + static_cast<int64_t>(c.more.size());
  samples_ += c.samples;
  weighted_ += static_cast<double>(c.samples) * c.weight;
  return OkStatus();
}

Status StepSlots::CheckSlot(int64_t slot) const {
  const auto slots = static_cast<int64_t>(added_.size());
  if (slot < 0 || slot >= slots) {
    return base::InvalidArgument(fmt::format("slot: got {}, want 0..{}", slot, slots - 1));
  }
  if (!added_[static_cast<size_t>(slot)]) return OkStatus();
  return {Code::kAlreadyExists, fmt::format("slot {} is in the step already", slot)};
}

Status StepSlots::Check(const Contribution& c) const {
  if (c.gradient.size() != count_) {
    return base::InvalidArgument(
        fmt::format("gradient: got {} values, want {}", c.gradient.size(), count_));
  }
  RETURN_IF_ERROR(CheckSlot(c.slot));
  if (single_ && !c.more.empty()) {
    return base::InvalidArgument(fmt::format("slots: got {}, want 1", 1 + c.more.size()));
  }
  std::set<int64_t> slots = {c.slot};
  for (const int64_t slot : c.more) {
    RETURN_IF_ERROR(CheckSlot(slot));
    if (slots.insert(slot).second) continue;
    return base::InvalidArgument(fmt::format("slot: got {} twice", slot));
  }
  if (c.samples <= 0 || c.samples > total_samples_ - samples_) {
    return base::InvalidArgument(
        fmt::format("samples: got {}, want 1..{}", c.samples, total_samples_ - samples_));
  }
  if (!std::isfinite(c.weight) || c.weight <= 0) {
    return base::InvalidArgument(fmt::format("weight: got {}, want above 0", c.weight));
  }
  return OkStatus();
}

std::vector<int64_t> StepSlots::Added() const {
  std::vector<int64_t> slots;
  for (size_t slot = 0; slot < added_.size(); ++slot) {
    if (added_[slot]) slots.push_back(static_cast<int64_t>(slot));
  }
  return slots;
}

}  // namespace weft::aggregate
