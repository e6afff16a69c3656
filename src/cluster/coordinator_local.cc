// Coordinator: local placement. A lease is computed by the device that owns its samples, or not at
// all. A step does not wait for an owner that is gone, silent, far slower than steps are, or
// unable: its leases are left out, and their samples go back into the deck, for when it is there
// again. What is left of an epoch when no device here has any of it counts as absent.

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "cluster/coordinator.h"
#include "cluster/describe.h"
#include "cluster/wire_status.h"
#include "plan/shares.h"

namespace weft::cluster {

// ---- who has what

// That are not dealt, and that it can compute.
bool Coordinator::HasSamples(const Device& device) const {
  return device.shard >= 0 && deck_.LeftOf(device.shard) > 0 && !unable_.contains(device.id);
}

// What is left of the epoch belongs to devices that are not here.
bool Coordinator::Absent() const {
  if (!IsLocal()) return false;
  const auto has = [this](const auto& device) { return HasSamples(device.second); };
  return std::ranges::none_of(devices_.living(), has);
}

// 0: it is not here.
DeviceId Coordinator::OwnerOf(const Lease& lease) const {
  const int64_t shard = deck_.ShardOf(lease.begin);
  const auto owns = [&](const auto& device) { return device.second.shard == shard; };
  const auto it = std::ranges::find_if(devices_.living(), owns);
  return it == devices_.living().end() ? 0 : it->first;
}

bool Coordinator::MayHave(const Lease& lease, DeviceId device) const {
  return !IsLocal() || devices_.Find(device)->shard == deck_.ShardOf(lease.begin);
}

// An epoch of which nothing is computed yet waits for a device that has some of it.
bool Coordinator::WaitsForOwners() {
  if (!IsLocal() || ledger_.covered() > 0 || !carried_.empty() || !Absent()) return false;
  phase_ = Phase::kWaiting;
  if (!std::exchange(told_waiting_, true)) Emit(WaitingForWorkers{0, 1});
  LookForHope();
  return true;
}

// ---- steps

// Each device a part of the batch in proportion to what is left of its own samples: so all parts
// of the data are in every step, and none is used up before the others. Devices that sit out, or
// are not heard, are asked when nobody else has any left.
void Coordinator::CutShards(std::vector<DeviceId> devices, Cut* cut) {
  const auto has_none = [&](DeviceId device) { return !HasSamples(*devices_.Find(device)); };
  std::erase_if(devices, has_none);
  if (devices.empty()) {
    for (const auto& [id, device] : devices_.living()) {
      if (HasSamples(device)) devices.push_back(id);
    }
  }
  std::vector<DeviceId> owners;
  std::vector<int64_t> shards;
  std::vector<double> left;
  for (const DeviceId device : devices) {
    const int64_t shard = devices_.Find(device)->shard;
    owners.push_back(device);
    shards.push_back(shard);
    left.push_back(static_cast<double>(deck_.LeftOf(shard)));
  }
  const auto all = static_cast<int64_t>(std::accumulate(left.begin(), left.end(), 0.0));
  cut->samples = std::min(plan_.batch(), all);
  if (owners.empty()) return;
  const std::vector<int64_t> shares = plan::ProportionalShares(cut->samples, left);
  for (size_t i = 0; i < owners.size(); ++i) AddShard(shards[i], shares[i], owners[i], cut);
}

void Coordinator::AddShard(int64_t shard, int64_t share, DeviceId owner, Cut* cut) {
  while (share > 0) {
    const Deck::Piece piece = deck_.TakeOf(shard, share);
    share -= piece.count;
    cut->leases.push_back(plan_.LeaseOf(step_, epoch_, static_cast<int64_t>(cut->leases.size()),
                                        piece.begin, piece.count));
    cut->owners.push_back(owner);
  }
}

// What is missing for so long is left out, if a part of the step has come: where nothing has, all
// are slow.
void Coordinator::LeaveOutLate(const Missing& missing) {
  const size_t wanted = dealer_.leases().size() - dealer_.left_out();
  const bool some_came = missing.slots.size() < wanted;
  for (const int64_t slot : missing.slots) {
    if (!dealer_.Expire(slot, now_, patience_.allowed())) continue;
    disturbed_ = true;
    if (some_came && MayDiffer()) dealer_.LeaveOutLate(slot);
  }
  Deal();
}

bool Coordinator::LeaveOutSilent(const std::set<DeviceId>& silent) {
  if (!MayDiffer()) return false;
  const size_t before = dealer_.left_out();
  for (const DeviceId device : silent) dealer_.LeaveOutOf(device);
  return dealer_.left_out() > before;
}

// After all is dealt: what is still free has no owner here that can compute it.
void Coordinator::TellLeftOut() {
  dealer_.LeaveOutFree();
  if (dealer_.left_out() == left_out_told_) return;
  left_out_told_ = dealer_.left_out();
  disturbed_ = true;
  for (const Layout::Part& part : seats_.layout().parts) SendBeginStep(part);
}

// ---- one device

// One that cannot compute a lease is not asked for another one in this epoch.
void Coordinator::NoteReturn(DeviceId device, const ReturnLease& returned) {
  if (returned.refused || returned.lease.epoch != epoch_) return;
  unable_.insert(device);
  return_reason_ = returned.reason;
}

// Of the open stream: leases whose owners are not here, or cannot compute them.
bool Coordinator::OnlyAwaysLeft() const {
  return IsLocal() && stream_.Unheld().size() == stream_.open();
}

// Its owner has died with its update pushed to some leaders and not to others: nobody else can make
// it whole, and what is applied cannot be taken back.
void Coordinator::StartAgain(const Lease& lease) {
  phase_ = Phase::kDone;
  actions_.push_back(Restart{fmt::format(
      "lease {} is applied to a part of the values, and its owner is gone", Describe(lease))});
}

}  // namespace weft::cluster
