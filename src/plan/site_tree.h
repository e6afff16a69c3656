#pragma once
// SiteTree: across the way out of a site goes one sum instead of each device's update. A relay
// there adds up the updates, sends the sum on, and hands the parameters that it fetches to all.
// The idea is old (MPI libraries with a wide area: Kielmann et al. 1999, MagPIe).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plan/leaders.h"

namespace weft::plan {

struct SiteDevice {
  uint32_t device = 0;
  std::string site;  // empty: not known
  Link link;         // as far as it is measured
  bool can_relay = false;
  bool relays = false;  // now
};

struct SiteTreeInput {
  std::string hub_site;
  std::span<const SiteDevice> devices;
  double update_bytes = 0;  // of one device's update
  double sum_bytes = 0;     // of a site's; sparse updates are denser once they are added up
  double parameter_bytes = 0;
  int64_t fewest_devices = 2;  // of a site with a relay
};

struct SiteTree {
  std::vector<uint32_t> parents;  // one a device, in their order, a relay its own; kHub: none
  // In and out of the sites in one step, with the tree and if each device sends for itself.
  double bytes = 0;
  double flat_bytes = 0;
};

// Each site other than the hub's gets a relay, if it has enough devices and a sum is smaller than
// their updates: the one that relays now, else the device with the fastest link of those that can
// (of equals the lower id). Devices of unknown sites send for themselves. Whether the way out of a
// site is what a step waits for is not asked here. O(n log n).
SiteTree PlanSiteTree(const SiteTreeInput& input);

}  // namespace weft::plan
