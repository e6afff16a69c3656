#include "cluster/site_keeper.h"

#include <algorithm>

namespace weft::cluster {

const UseRelay& SiteKeeper::Of(DeviceId device) const {
  static const UseRelay kNone;
  const auto it = told_.find(device);
  return it == told_.end() ? kNone : it->second;
}

bool SiteKeeper::Possible(const std::map<DeviceId, Device>& devices) const {
  return std::ranges::any_of(devices, [&](const auto& entry) {
    return !entry.second.site.empty() && entry.second.site != hub_site_;
  });
}

std::vector<std::pair<DeviceId, UseRelay>> SiteKeeper::Plan(
    uint64_t term, const std::map<DeviceId, Device>& devices, const Sizes& sizes, bool use) {
  std::vector<plan::SiteDevice> known;
  for (const auto& [id, device] : devices) {
    if (!use || device.silent || device.site.empty()) continue;
    known.push_back({.device = id,
                     .site = device.site,
                     .link = {device.stats.up_bytes_per_second, device.stats.down_bytes_per_second},
                     .can_relay = !device.endpoint.empty(),
                     .relays = relays_.contains(id)});
  }
  const plan::SiteTree tree = plan::PlanSiteTree({.hub_site = hub_site_,
                                                  .devices = known,
                                                  .update_bytes = sizes.update,
                                                  .sum_bytes = sizes.sum,
                                                  .parameter_bytes = sizes.parameters});
  std::map<DeviceId, UseRelay> next;
  for (size_t i = 0; i < known.size(); ++i) {
    if (tree.parents[i] == plan::kHub) continue;
    UseRelay& site = next[tree.parents[i]];
    site.term = term;
    site.relay = tree.parents[i];
    site.members.push_back(known[i].device);
  }
  for (auto& [relay, site] : next) {
    site.endpoint = devices.at(relay).endpoint;
    const auto before = relays_.find(relay);
    const bool same = before != relays_.end() && before->second.members == site.members &&
                      before->second.endpoint == site.endpoint && before->second.term == term;
    site.number = same ? before->second.number : ++number_;
  }
  relays_ = std::move(next);
  std::vector<std::pair<DeviceId, UseRelay>> news;
  std::map<DeviceId, UseRelay> told;
  for (const auto& [relay, site] : relays_) {
    for (const DeviceId member : site.members) {
      if (Of(member).number != site.number) news.emplace_back(member, site);
      told.emplace(member, site);
    }
  }
  for (const auto& [device, site] : told_) {
    if (site.relay == 0 || told.contains(device) || !devices.contains(device)) continue;
    news.emplace_back(device, UseRelay{.term = term, .number = ++number_});
  }
  told_ = std::move(told);
  return news;
}

}  // namespace weft::cluster
