#include "plan/site_tree.h"

#include <algorithm>
#include <map>

namespace weft::plan {
namespace {

struct Site {
  std::vector<size_t> members;         // indices of devices
  const SiteDevice* leader = nullptr;  // the best one
};

double Narrowest(const Link& link) { return std::min(link.up_bytes_per_s, link.down_bytes_per_s); }

bool Better(const SiteDevice& device, const SiteDevice* leader) {
  if (!leader) return true;
  const double more = Narrowest(device.link) - Narrowest(leader->link);
  return more > 0 || (more == 0 && device.device < leader->device);
}

std::map<std::string, Site> Sites(std::span<const SiteDevice> devices) {
  std::map<std::string, Site> sites;
  for (size_t i = 0; i < devices.size(); ++i) {
    Site& site = sites[devices[i].site];
    site.members.push_back(i);
    if (devices[i].can_lead && Better(devices[i], site.leader)) site.leader = &devices[i];
  }
  return sites;
}

// The link between sites is much worse than the leader's own.
bool IsSlow(const SiteTreeInput& input, const Link& own) {
  const double between = Narrowest(input.between);
  if (between > 0 && Narrowest(own) > input.much_worse * between) return true;
  const double within_s = input.within_round_trip_s;
  return within_s > 0 && input.between_round_trip_s > input.much_worse * within_s;
}

}  // namespace

SiteTree PlanSiteTree(const SiteTreeInput& input) {
  SiteTree tree;
  tree.parents.assign(input.devices.size(), kHub);
  for (const auto& [name, site] : Sites(input.devices)) {
    if (name == input.hub_site && !name.empty()) continue;
    const auto count = static_cast<double>(site.members.size());
    const double flat_bytes = count * (input.update_bytes + input.parameter_bytes);
    tree.flat_slow_bytes += flat_bytes;
    const bool enough = std::ssize(site.members) >= std::max<int64_t>(2, input.fewest_devices);
    if (name.empty() || !enough || !site.leader || !IsSlow(input, site.leader->link)) {
      tree.slow_bytes += flat_bytes;
      continue;
    }
    tree.slow_bytes += input.sum_bytes + input.parameter_bytes;
    for (size_t i : site.members)
      if (&input.devices[i] != site.leader) tree.parents[i] = site.leader->device;
  }
  return tree;
}

}  // namespace weft::plan
