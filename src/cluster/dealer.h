#pragma once
// Dealer: who holds which lease of the open step. Pure bookkeeping: it deals, the coordinator
// sends.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "cluster/message.h"

namespace weft::cluster {

class Dealer {
 public:
  // Opens a step; nobody holds anything yet.
  void Begin(std::vector<Lease> leases);
  // No step is open.
  void End();

  const std::vector<Lease>& leases() const { return leases_; }

  struct Dealt {
    Lease lease;
    DeviceId device = 0;
    DeviceId before = 0;  // who held it last in this step; 0: nobody
  };
  // Gives every free lease to a living device: to the one that had the slot last, unless it has
  // more than its share, else to the one with the fewest. Never to one that returned it.
  std::vector<Dealt> Deal(std::span<const DeviceId> living);

  // The device is gone: what it held is free.
  void Release(DeviceId device);
  // The device gives one lease back. False if it did not hold it.
  bool Return(const Lease& lease, DeviceId device);
  // A lease that every living device has returned: nobody can compute it.
  std::optional<Lease> Hopeless(std::span<const DeviceId> living) const;

 private:
  struct Slot {
    DeviceId holder = 0;  // 0: free
    DeviceId before = 0;
    std::set<DeviceId> returned_by;
  };
  DeviceId Choose(size_t slot, std::span<const DeviceId> living) const;
  int64_t Load(DeviceId device) const;
  void Free(Slot& slot);

  std::vector<Lease> leases_;
  std::vector<Slot> slots_;
  std::map<DeviceId, int64_t> load_;   // leases held
  std::vector<DeviceId> last_holder_;  // by slot, over the steps: data affinity
};

}  // namespace weft::cluster
