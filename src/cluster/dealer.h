#pragma once
// Dealer: who holds which lease of the open step. Pure bookkeeping: it deals, the coordinator
// sends. With n devices, whatever concerns one lease or device takes O(log n); Begin and the Deal
// after it walk the step once.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cluster/message.h"

namespace weft::cluster {

class Dealer {
 public:
  // A device that another one overtook sits out at most so many steps at a time.
  static constexpr int64_t kMostStepsOut = 63;

  // The device can be dealt to. One that was added before: nothing changes.
  void Add(DeviceId device);
  // The device is gone: what it held is free.
  void Remove(DeviceId device);
  // Devices that have not been heard of for a while. They get only what nobody else can take, until
  // they are no longer among them. What they hold they keep.
  // `step`: the open one, or the next.
  void SetQuiet(int64_t step, const std::vector<DeviceId>& quiet);
  // Opens a step; nobody holds anything yet. owners: for whom each lease was cut, 0 or empty: for
  // anybody. The last leases are of earlier steps, and these `holders` hold them (0: nobody).
  // only_owners: nobody but its owner may compute a lease (local placement).
  void Begin(std::vector<Lease> leases, const std::vector<DeviceId>& owners = {},
             const std::vector<DeviceId>& holders = {}, bool only_owners = false);
  // No step is open.
  void End();

  const std::vector<Lease>& leases() const { return leases_; }
  // Devices that the next step can count on: those that do not sit it out and are not quiet.
  int64_t Available(int64_t step) const;
  // The same, by id; all devices if none is left.
  std::vector<DeviceId> Ready(int64_t step) const;
  // How many leases the device is the newest holder of.
  int64_t Load(DeviceId device) const;
  // Who holds it; 0: nobody, or it is not of this step.
  DeviceId HolderOf(const Lease& lease) const;

  struct Dealt {
    Lease lease;
    DeviceId device = 0;
    DeviceId before = 0;                     // who held it last in this step; 0: nobody
    bool again = false;                      // the device held it before and still may
    std::optional<TimePoint> overdue_since;  // `before` got it then, and let it expire
  };
  // Gives every free lease to a device: to the one that had the slot last, unless it has more than
  // its share, else to the one with the fewest. Never to one that returned it; to one that let it
  // expire only if there is no other.
  std::vector<Dealt> Deal(TimePoint now);
  // Gives each of these devices, if it holds nothing, a lease that another one holds as well, in
  // the order of `leases` (places in leases()); the first update counts.
  std::vector<Dealt> DealCopies(const std::vector<size_t>& leases,
                                const std::vector<DeviceId>& devices);

  // What the device holds is free: its connection is another one now.
  void Release(DeviceId device);
  // The device gives one lease back. False if it did not hold it.
  bool Return(const Lease& lease, DeviceId device);
  // The holder has had the lease for so long that another device shall try as well: it is free if
  // it was dealt `allowed` ago, twice as long after each time it expired. So a step that lasts k
  // times `allowed` deals a lease anew at most log2(k) + 1 times.
  bool Expire(int64_t slot, TimePoint now, Duration allowed);
  // Likewise for all leases of a device, which does not know of some of them. False if none is.
  bool ExpireAll(DeviceId device, TimePoint now, Duration allowed);
  // The step no longer waits for these leases: those that are free although all that can be dealt
  // is; those of a device; the one at a place, whose holder sits out steps as if another device had
  // overtaken it. Only where nobody else may compute them.
  void LeaveOutFree();
  void LeaveOutOf(DeviceId device);
  void LeaveOutLate(int64_t slot);
  bool IsLeftOut(size_t slot) const { return slots_[slot].left_out; }
  size_t left_out() const { return left_out_; }

  // A free lease that every device has returned: nobody can compute it.
  std::optional<Lease> Hopeless() const;

  // The step is applied; `device` computed the lease. Who let it expire before sits out steps: 1,
  // then 3, 7, ... as long as nothing of its own counts in between. So a device that hangs costs
  // little, and one that was slow once has its place back soon.
  void Committed(const Lease& lease, DeviceId device);

 private:
  struct Slot {
    DeviceId holder = 0;  // 0: free
    DeviceId before = 0;
    TimePoint dealt_at;
    int64_t expired = 0;    // times
    DeviceId owner = 0;     // for whom it was cut
    bool left_out = false;  // nobody will hold it in this step
    std::set<DeviceId> returned_by;
    std::set<DeviceId> late;    // held it until it expired
    std::set<DeviceId> copies;  // have it beside the holder
  };
  struct Seat {
    std::set<size_t> slots;  // held
    int64_t steps_out = 0;   // the last time; 0: something of its own has counted since
    int64_t out_until = 0;   // the first step that it takes part in again
  };
  using ByLoad = std::set<std::pair<size_t, DeviceId>>;
  // Takes devices out of by_load_, and those that were out back in.
  void Hush(const std::vector<DeviceId>& quiet);

  // The place of a lease of this step.
  std::optional<size_t> PlaceOf(const Lease& lease) const;
  DeviceId Choose(size_t slot) const;
  DeviceId OwnerOf(size_t slot) const;
  void LeaveOut(size_t slot);
  void SitOut(DeviceId device, int64_t step);
  DeviceId LeastLoaded(const Slot& slot, bool late_too) const;
  bool Sits(DeviceId device) const;
  // Those that sit out steps up to this one no longer do.
  void SeatUntil(int64_t step);
  void DealFree(TimePoint now, std::vector<Dealt>* dealt);
  void Give(size_t slot, DeviceId device, TimePoint now);
  void Free(size_t slot);
  void SetLoad(DeviceId device, Seat& seat, size_t slot, bool held);

  std::vector<Lease> leases_;
  size_t own_ = 0;  // of them, the first so many are of this step
  std::vector<Slot> slots_;
  bool only_owners_ = false;
  size_t left_out_ = 0;  // of slots_
  std::set<size_t> free_;
  std::map<DeviceId, Seat> seats_;
  ByLoad by_load_;                              // those that do not sit out and are not quiet
  std::vector<DeviceId> quiet_;                 // of seats_, and not sitting out
  std::set<std::pair<int64_t, DeviceId>> out_;  // those that do, by their out_until
  std::vector<DeviceId> last_holder_;           // by slot, over the steps: data affinity
};

}  // namespace weft::cluster
