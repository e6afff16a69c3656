#pragma once
// StreamDealer: who holds which lease where there are no steps: each device has a few leases at a
// time and gets another one for each that is done. Pure bookkeeping, as Dealer is for steps.
//
// A lease whose holder is gone or has returned it goes to the next device that has room; one that
// is out for too long goes to another device as well, and the first update counts.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/clock.h"
#include "cluster/message.h"

namespace weft::cluster {

class StreamDealer {
 public:
  // What a device has at a time: one being computed, one waiting.
  static constexpr size_t kDepth = 2;
  // Or more, where updates wait at the leader for others.
  void SetDepth(size_t depth) { depth_ = depth; }

  // A device that was added before: what it holds is free again.
  void Add(DeviceId device);
  // What it held is free.
  void Remove(DeviceId device);
  // These get nothing new, until they are no longer among them.
  void SetQuiet(const std::set<DeviceId>& quiet) { quiet_ = quiet; }

  struct Dealt {
    Lease lease;
    DeviceId device = 0;
    DeviceId before = 0;  // who held it last; 0: nobody
  };
  // Fills the devices: first with leases that came back, then with what `fresh` cuts for them
  // (nothing: it has none for this device). `ahead`: a device is not filled if it has done so many
  // leases more than the slowest that is at work; 0: any. `may`: whether a device may have a lease
  // that came back; left out: each may.
  using May = std::function<bool(const Lease&, DeviceId)>;
  std::vector<Dealt> Deal(TimePoint now, int64_t ahead,
                          const std::function<std::optional<Lease>(DeviceId)>& fresh,
                          const May& may = {});

  // The device gives the lease back, because it cannot compute it or because its update was
  // refused, and gets it no more. False if it did not hold it.
  bool Return(const Lease& lease, DeviceId device, bool refused);
  // Devices whose update of the lease was refused, as too old perhaps, can get it once more. False
  // if there are none.
  bool TryAgain(const Lease& lease);
  // All of its update is applied, by whomever it was computed.
  void Committed(const Lease& lease, TimePoint now);
  // The device knows of fewer leases than it holds: those granted `allowed` ago are free again.
  bool ExpireOf(DeviceId device, TimePoint now, Duration allowed);
  // Nothing is heard of these devices: what only they hold goes to others as well. False if they
  // hold nothing of that kind.
  bool Copy(const std::set<DeviceId>& silent);
  // Leases out for longer than four times the median of the last ones, and than `least`.
  bool ExpireOverdue(TimePoint now, Duration least);

  // Dealt, and not committed yet.
  bool Knows(const Lease& lease) const { return leases_.contains(lease.id); }
  // Leases that are not committed.
  size_t open() const { return leases_.size(); }
  size_t Load(DeviceId device) const;
  bool IsQuiet(DeviceId device) const { return quiet_.contains(device); }
  // Those that nobody holds, such as after all devices have gone.
  std::vector<Lease> Unheld() const;
  // It will not be computed.
  void Forget(const Lease& lease);
  // A lease that every device has returned.
  std::optional<Lease> Hopeless() const;

 private:
  struct Out {
    Lease lease;
    std::map<DeviceId, TimePoint> holders;
    std::set<DeviceId> returned_by;
    std::set<DeviceId> refused;  // of them, those that could compute it
    DeviceId before = 0;
    TimePoint first_granted;
    int64_t copies = 0;  // made because it was overdue
  };
  struct Seat {
    std::set<uint64_t> held;
    int64_t done = 0;
  };

  bool TooFarAhead(const Seat& seat, int64_t ahead) const;
  std::optional<uint64_t> FreeFor(DeviceId device, const May& may);
  void Drop(Out& out, DeviceId device);

  size_t depth_ = kDepth;
  std::map<uint64_t, Out> leases_;
  std::deque<uint64_t> free_;  // wanted by nobody, or by one more
  bool any_done_ = false;  // by whomever; runs of steps come here only to add and remove devices
  std::map<DeviceId, Seat> seats_;
  std::set<DeviceId> quiet_;
  std::deque<Duration> took_;  // of the last leases, from grant to commit
};

}  // namespace weft::cluster
