#pragma once
// SiteKeeper: which devices' updates go through which relay, as devices come and go. Pure: it only
// says what is to be told.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cluster/devices.h"
#include "cluster/message.h"
#include "plan/site_tree.h"

namespace weft::cluster {

// Threads: one.
class SiteKeeper {
 public:
  // `hub_site`: of the coordinator's process; empty: not said.
  explicit SiteKeeper(std::string hub_site) : hub_site_(std::move(hub_site)) {}

  // Bytes of all values as an update, as a sum of updates, and as parameters.
  struct Sizes {
    double update = 0;
    double sum = 0;
    double parameters = 0;
  };
  // Who uses which relay from now on, with no relay for those that no longer do; only devices for
  // which that is new. `use` false: no device uses any. Those that are silent neither relay nor
  // wait for others.
  std::vector<std::pair<DeviceId, UseRelay>> Plan(uint64_t term,
                                                  const std::map<DeviceId, Device>& devices,
                                                  const Sizes& sizes, bool use);
  // What holds for the device; relay 0: none.
  const UseRelay& Of(DeviceId device) const;
  // The device has forgotten what it was told.
  void Forget(DeviceId device) { told_.erase(device); }
  // Whether a device is at another site than the coordinator's process.
  bool Possible(const std::map<DeviceId, Device>& devices) const;
  bool empty() const { return relays_.empty(); }
  bool IsRelay(DeviceId device) const { return relays_.contains(device); }
  // That are used, ascending.
  const std::map<DeviceId, UseRelay>& relays() const { return relays_; }

 private:
  const std::string hub_site_;
  uint64_t number_ = 0;
  std::map<DeviceId, UseRelay> relays_;  // by relay
  std::map<DeviceId, UseRelay> told_;    // by device
};

}  // namespace weft::cluster
