#include "plan/site_tree.h"

#include <algorithm>
#include <map>

namespace weft::plan {
namespace {

struct Site {
  std::vector<size_t> members;        // indices of devices
  const SiteDevice* relay = nullptr;  // the best one
};

double Narrowest(const Link& link) { return std::min(link.up_bytes_per_s, link.down_bytes_per_s); }

bool Better(const SiteDevice& device, const SiteDevice* relay) {
  if (!relay) return true;
  if (device.relays != relay->relays) return device.relays;
  const double more = Narrowest(device.link) - Narrowest(relay->link);
  return more > 0 || (more == 0 && device.device < relay->device);
}

std::map<std::string, Site> Sites(std::span<const SiteDevice> devices) {
  std::map<std::string, Site> sites;
  for (size_t i = 0; i < devices.size(); ++i) {
    Site& site = sites[devices[i].site];
    site.members.push_back(i);
    if (devices[i].can_relay && Better(devices[i], site.relay)) site.relay = &devices[i];
  }
  return sites;
}

}  // namespace

SiteTree PlanSiteTree(const SiteTreeInput& input) {
  SiteTree tree;
  tree.parents.assign(input.devices.size(), kHub);
  for (const auto& [name, site] : Sites(input.devices)) {
    if (name == input.hub_site && !name.empty()) continue;
    const auto count = static_cast<double>(site.members.size());
    const double flat_bytes = count * (input.update_bytes + input.parameter_bytes);
    const double sum_bytes = input.sum_bytes + input.parameter_bytes;
    tree.flat_bytes += flat_bytes;
    const bool enough = std::ssize(site.members) >= std::max<int64_t>(2, input.fewest_devices);
    if (name.empty() || !enough || !site.relay || sum_bytes >= flat_bytes) {
      tree.bytes += flat_bytes;
      continue;
    }
    tree.bytes += sum_bytes;
    for (size_t i : site.members) tree.parents[i] = site.relay->device;
  }
  return tree;
}

}  // namespace weft::plan
