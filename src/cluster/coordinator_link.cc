// Coordinator: what links carry, where the job leaves that to weft. A change takes effect with a
// step.

#include <algorithm>

#include "cluster/coordinator.h"

namespace weft::cluster {

// Steps say so that were made while all was sent: what a busy device measures of its link may be
// the work of its processor. Before there are enough of them only what is far too slow is believed.
bool Coordinator::LinksCarryAll(const std::vector<LinkKeeper::Member>& members) const {
  constexpr double kFarTooSlow = 4;  // times the computing
  if (!links_.is_dense()) return false;
  const auto exchange_s = split_.exchange_s();
  if (!exchange_s || split_.compute_s() <= 0) return links_.DenseShare(members) < kFarTooSlow;
  return *exchange_s <= links_.budget() * split_.compute_s();
}

// Of all that are here, as if each had its share of a batch.
void Coordinator::PlanLinks() {
  if (!links_.active()) return;
  double samples_per_s = 0;
  for (const auto& [id, device] : devices_.living()) {
    if (device.stats.sample_seconds > 0) samples_per_s += 1 / device.stats.sample_seconds;
  }
  const double step_s = samples_per_s > 0 ? static_cast<double>(plan_.batch()) / samples_per_s : 0;
  std::vector<LinkKeeper::Member> members;
  for (const auto& [id, device] : devices_.living()) {
    const DeviceStats& stats = device.stats;
    members.push_back({.device = id,
                       .step_seconds = stats.sample_seconds > 0 ? step_s : 0,
                       .link = {.up_bytes_per_second = stats.up_bytes_per_second,
                                .down_bytes_per_second = stats.down_bytes_per_second,
                                .round_trip_seconds = stats.round_trip_seconds}});
  }
  if (LinksCarryAll(members)) return;
  const int64_t steps_before = links_.local_steps();
  if (!links_.Update(members)) return;
  if (links_.local_steps() != steps_before) {
    shares_ = plan::ShareKeeper(plan_.batch() * links_.local_steps());
  }
  const LinkKeeper::Count count = links_.count();
  LinksChanged changed{.local_steps = links_.local_steps(),
                       .dense = count.dense,
                       .devices = count.all,
                       .poorest = links_.words()};
  if (told_links_ == changed) return;
  told_links_ = changed;
  Emit(std::move(changed));
}

// Steps of the job's batch that one step covers.
int64_t Coordinator::StepsAtOnce() const {
  const int64_t samples = std::min(plan_.batch() * links_.local_steps(), deck_.left());
  return std::max<int64_t>((samples + plan_.batch() - 1) / plan_.batch(), 1);
}

}  // namespace weft::cluster
