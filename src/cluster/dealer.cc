#include "cluster/dealer.h"

#include <algorithm>

#include "base/check.h"

namespace weft::cluster {

void Dealer::Begin(std::vector<Lease> leases) {
  leases_ = std::move(leases);
  slots_.assign(leases_.size(), {});
  load_.clear();
  if (last_holder_.size() < leases_.size()) last_holder_.resize(leases_.size());
}

void Dealer::End() {
  leases_.clear();
  slots_.clear();
  load_.clear();
}

int64_t Dealer::Load(DeviceId device) const {
  const auto it = load_.find(device);
  return it == load_.end() ? 0 : it->second;
}

void Dealer::Free(Slot& slot) {
  --load_[slot.holder];
  slot.before = slot.holder;
  slot.holder = 0;
}

DeviceId Dealer::Choose(size_t slot, std::span<const DeviceId> living) const {
  const auto share = static_cast<int64_t>((slots_.size() + living.size() - 1) / living.size());
  const std::set<DeviceId>& refused = slots_[slot].returned_by;
  const DeviceId last = last_holder_[slot];
  if (std::ranges::find(living, last) != living.end() && Load(last) < share &&
      !refused.contains(last)) {
    return last;
  }
  DeviceId best = 0;
  int64_t best_load = 0;
  for (DeviceId device : living) {
    if (refused.contains(device)) continue;
    const int64_t load = Load(device);
    if (best == 0 || load < best_load) {
      best = device;
      best_load = load;
    }
  }
  return best;
}

std::vector<Dealer::Dealt> Dealer::Deal(std::span<const DeviceId> living) {
  std::vector<Dealt> dealt;
  if (living.empty()) return dealt;
  // First the slots that stay where their samples are, so that the others see the full load.
  for (const bool keep : {true, false}) {
    for (size_t slot = 0; slot < slots_.size(); ++slot) {
      if (slots_[slot].holder != 0) continue;
      const DeviceId device = Choose(slot, living);
      if (device == 0 || (keep && device != last_holder_[slot])) continue;
      slots_[slot].holder = device;
      ++load_[device];
      dealt.push_back({leases_[slot], device, slots_[slot].before});
    }
  }
  for (const Dealt& d : dealt) last_holder_[static_cast<size_t>(d.lease.slot)] = d.device;
  return dealt;
}

void Dealer::Release(DeviceId device) {
  for (Slot& slot : slots_) {
    if (slot.holder == device) Free(slot);
  }
}

bool Dealer::Return(const Lease& lease, DeviceId device) {
  if (lease.slot < 0 || lease.slot >= static_cast<int64_t>(leases_.size())) return false;
  const auto at = static_cast<size_t>(lease.slot);
  if (leases_[at] != lease || slots_[at].holder != device) return false;
  Free(slots_[at]);
  slots_[at].returned_by.insert(device);
  return true;
}

std::optional<Lease> Dealer::Hopeless(std::span<const DeviceId> living) const {
  if (living.empty()) return std::nullopt;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    const auto returned = [&](DeviceId device) {
      return slots_[slot].returned_by.contains(device);
    };
    if (slots_[slot].holder == 0 && std::ranges::all_of(living, returned)) return leases_[slot];
  }
  return std::nullopt;
}

}  // namespace weft::cluster
