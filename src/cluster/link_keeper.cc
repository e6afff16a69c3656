#include "cluster/link_keeper.h"

#include <algorithm>
#include <set>

#include "plan/update_size.h"

namespace weft::cluster {
namespace {

plan::LinkChoice Next(std::map<DeviceId, plan::LinkChoice>* held, DeviceId device,
                      const plan::LinkProfile& link, const plan::LinkLoad& load,
                      const plan::LinkLimits& limits) {
  const auto it = held->find(device);
  plan::LinkChoice choice = it == held->end()
                                ? plan::ChooseLink(link, load, limits)
                                : plan::ChooseLinkAgain(it->second, link, load, limits);
  return (*held)[device] = std::move(choice);
}

}  // namespace

LinkKeeperOptions LinkOptionsOf(const JobSpec& spec) {
  LinkKeeperOptions options;
  options.up = spec.codec_up.name == "auto";
  options.down = spec.codec_down.name == "auto";
  options.limits = {.budget = spec.link_budget,
                    .least_density = spec.codec_up.density > 0 ? spec.codec_up.density : 1.0 / 64,
                    .most_local_steps = std::max<int64_t>(spec.aggregation.most_local_steps, 1)};
  options.values =
      static_cast<int64_t>(static_cast<double>(spec.parameter_count()) * spec.value_weight);
  if (spec.value_weight == 1) options.tensors = spec.codec_up.tensors;
  options.down_bytes = plan::UpdateBytes(spec.codec_down, options.values);
  return options;
}

plan::LinkLoad LinkKeeper::LoadOf(const Member& member, int64_t local_steps) const {
  plan::LinkLoad load{.compute_seconds = member.step_seconds * static_cast<double>(local_steps),
                      .values = options_.values,
                      .tensors = options_.tensors};
  if (!options_.down) load.down_bytes = options_.down_bytes;
  return load;
}

bool LinkKeeper::is_dense() const {
  return local_steps_ == 1 && down_ == codec::Target() && count().dense == count().all;
}

double LinkKeeper::DenseShare(std::span<const Member> members) const {
  const double bytes = plan::UpdateBytes(codec::Target(), options_.values, options_.tensors);
  double most = 0;
  for (const Member& member : members) {
    if (member.step_seconds <= 0) continue;
    const double seconds = plan::ExchangeSeconds(
        member.link,
        {.up_bytes = bytes, .down_bytes = options_.down ? bytes : options_.down_bytes});
    most = std::max(most, seconds / member.step_seconds);
  }
  return most;
}

bool LinkKeeper::Update(std::span<const Member> members) {
  const int64_t steps_before = local_steps_;
  const codec::Target down_before = down_;
  std::set<DeviceId> here;
  for (const Member& member : members) here.insert(member.device);
  const auto gone = [&](const auto& entry) { return !here.contains(entry.first); };
  bool changed = std::erase_if(chosen_, gone) > 0;
  std::erase_if(alone_, gone);
  local_steps_ = 1;
  for (const Member& member : members) {
    const plan::LinkChoice alone =
        Next(&alone_, member.device, member.link, LoadOf(member, 1), options_.limits);
    local_steps_ = std::max(local_steps_, alone.local_steps);
  }
  // A choice that was made for other steps is no reason to stay with it.
  if (local_steps_ != steps_before) chosen_.clear();
  plan::LinkLimits limits = options_.limits;
  limits.most_local_steps = 1;
  std::optional<double> least;
  for (const Member& member : members) {
    const auto it = chosen_.find(member.device);
    const codec::Target before = it == chosen_.end() ? codec::Target() : it->second.target;
    const plan::LinkChoice& chosen =
        Next(&chosen_, member.device, member.link, LoadOf(member, local_steps_), limits);
    changed |= chosen.target != before;
    const double bytes = plan::UpdateBytes(chosen.target, options_.values, options_.tensors);
    if (least && bytes >= *least) continue;
    least = bytes;
    down_ = chosen.target;
    words_ = chosen.words;
  }
  return changed || local_steps_ != steps_before || down_ != down_before;
}

std::optional<codec::Target> LinkKeeper::UpOf(DeviceId device) const {
  if (!options_.up) return std::nullopt;
  const auto it = chosen_.find(device);
  return it == chosen_.end() ? codec::Target() : it->second.target;
}

std::optional<codec::Target> LinkKeeper::down() const {
  if (!options_.down) return std::nullopt;
  return down_;
}

LinkKeeper::Count LinkKeeper::count() const {
  const auto is_dense = [](const auto& entry) { return entry.second.target == codec::Target(); };
  return {.dense = std::ranges::count_if(chosen_, is_dense), .all = std::ssize(chosen_)};
}

}  // namespace weft::cluster
