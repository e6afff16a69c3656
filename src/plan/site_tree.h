#pragma once
// SiteTree: across a slow link goes one sum a site instead of each device's update. The site leader
// adds up the updates of its site, sends the sum on, and hands the parameters it fetches to all.
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
  Link link;         // within its site
  bool can_lead = false;
};

struct SiteTreeInput {
  std::string hub_site;
  std::span<const SiteDevice> devices;
  // Between sites, all devices of a site together, and within one. 0: not measured.
  Link between;
  double between_round_trip_s = 0;
  double within_round_trip_s = 0;
  double update_bytes = 0;  // of one device's update
  double sum_bytes = 0;     // of a site's; sparse updates are denser once they are added up
  double parameter_bytes = 0;
  int64_t fewest_devices = 2;  // of a site with a leader
  double much_worse = 4;       // so many times the bandwidth or the round trip make a link slow
};

struct SiteTree {
  std::vector<uint32_t> parents;  // one a device, in their order; kHub: straight to the hub
  // Over the slow links in one step, with the tree and if each device sends for itself.
  double slow_bytes = 0;
  double flat_slow_bytes = 0;
};

// Each site other than the hub's gets the device with the fastest link of those that can lead as
// its leader (of equals the lower id), if it has enough devices and the link between sites is much
// worse than its own. Devices of unknown sites count as slow ones and send for themselves.
// O(n log n).
SiteTree PlanSiteTree(const SiteTreeInput& input);

}  // namespace weft::plan
