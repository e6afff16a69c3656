#include "cluster/dealer.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace weft::cluster {

// ---- devices

void Dealer::Add(DeviceId device) {
  if (seats_.try_emplace(device).second) by_load_.insert({0, device});
}

void Dealer::Remove(DeviceId device) {
  Release(device);
  const auto it = seats_.find(device);
  if (it == seats_.end()) return;
  by_load_.erase({0, device});
  std::erase(quiet_, device);
  out_.erase({it->second.out_until, device});
  seats_.erase(it);
}

void Dealer::SetQuiet(int64_t step, const std::vector<DeviceId>& quiet) {
  SeatUntil(step);  // whoever has sat out may be quiet still
  if (!quiet.empty() || !quiet_.empty()) Hush(quiet);
}

void Dealer::Hush(const std::vector<DeviceId>& quiet) {
  for (const DeviceId device : std::exchange(quiet_, {})) {
    by_load_.insert({seats_.at(device).slots.size(), device});
  }
  for (const DeviceId device : quiet) {
    const auto it = seats_.find(device);
    if (it == seats_.end() || by_load_.erase({it->second.slots.size(), device}) == 0) continue;
    quiet_.push_back(device);
  }
}

int64_t Dealer::Available(int64_t step) const {
  const auto still_out = std::distance(out_.lower_bound({step + 1, 0}), out_.end()) +
                         static_cast<std::ptrdiff_t>(quiet_.size());
  const auto there = static_cast<int64_t>(seats_.size()) - still_out;
  return there > 0 ? there : static_cast<int64_t>(seats_.size());
}

std::vector<DeviceId> Dealer::Ready(int64_t step) const {
  std::vector<DeviceId> ready, all;
  for (const auto& [device, seat] : seats_) {
    all.push_back(device);
    const bool out = seat.out_until > step && out_.contains({seat.out_until, device});
    if (!out && std::ranges::find(quiet_, device) == quiet_.end()) ready.push_back(device);
  }
  return ready.empty() ? all : ready;
}

int64_t Dealer::Load(DeviceId device) const {
  const auto it = seats_.find(device);
  return it == seats_.end() ? 0 : static_cast<int64_t>(it->second.slots.size());
}

bool Dealer::Sits(DeviceId device) const {
  const auto it = seats_.find(device);
  return it != seats_.end() && by_load_.contains({it->second.slots.size(), device});
}

void Dealer::SeatUntil(int64_t step) {
  while (!out_.empty() && out_.begin()->first <= step) {
    const DeviceId device = out_.begin()->second;
    out_.erase(out_.begin());
    by_load_.insert({seats_.at(device).slots.size(), device});
  }
}

// ---- steps

void Dealer::Begin(std::vector<Lease> leases, const std::vector<DeviceId>& owners,
                   const std::vector<DeviceId>& holders, bool only_owners) {
  End();
  only_owners_ = only_owners;
  leases_ = std::move(leases);
  own_ = leases_.size() - holders.size();
  slots_.assign(leases_.size(), {});
  for (size_t slot = 0; slot < slots_.size(); ++slot) free_.insert(free_.end(), slot);
  if (last_holder_.size() < leases_.size()) last_holder_.resize(leases_.size());
  for (size_t slot = 0; slot < owners.size(); ++slot) {
    if (owners[slot] == 0) continue;
    last_holder_[slot] = owners[slot];
    slots_[slot].owner = owners[slot];
  }
  for (size_t i = 0; i < holders.size(); ++i) {
    if (seats_.contains(holders[i])) Give(own_ + i, holders[i], {});
  }
}

std::optional<size_t> Dealer::PlaceOf(const Lease& lease) const {
  if (lease.slot >= 0 && lease.slot < static_cast<int64_t>(own_)) {
    const auto at = static_cast<size_t>(lease.slot);
    if (leases_[at] == lease) return at;
  }
  for (size_t at = own_; at < leases_.size(); ++at) {
    if (leases_[at] == lease) return at;
  }
  return std::nullopt;
}

DeviceId Dealer::HolderOf(const Lease& lease) const {
  const auto at = PlaceOf(lease);
  return at ? slots_[*at].holder : 0;
}

void Dealer::End() {
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].holder != 0) Free(slot);
  }
  leases_.clear();
  own_ = 0;
  slots_.clear();
  free_.clear();
  only_owners_ = false;
  left_out_ = 0;
}

void Dealer::SetLoad(DeviceId device, Seat& seat, size_t slot, bool held) {
  const bool takes_part = by_load_.erase({seat.slots.size(), device}) > 0;
  held ? (void)seat.slots.insert(slot) : (void)seat.slots.erase(slot);
  if (takes_part) by_load_.insert({seat.slots.size(), device});
}

void Dealer::Give(size_t slot, DeviceId device, TimePoint now) {
  slots_[slot].holder = device;
  slots_[slot].dealt_at = now;
  SetLoad(device, seats_.at(device), slot, true);
  free_.erase(slot);
}

void Dealer::Free(size_t slot) {
  const DeviceId holder = slots_[slot].holder;
  SetLoad(holder, seats_.at(holder), slot, false);
  slots_[slot].before = holder;
  slots_[slot].holder = 0;
  free_.insert(slot);
}

DeviceId Dealer::LeastLoaded(const Slot& slot, bool late_too) const {
  for (const auto& [load, device] : by_load_) {
    if (slot.returned_by.contains(device)) continue;
    if (late_too || !slot.late.contains(device)) return device;
  }
  return 0;
}

// If it is here and has not returned the lease.
DeviceId Dealer::OwnerOf(size_t slot) const {
  const DeviceId owner = slots_[slot].owner;
  return seats_.contains(owner) && !slots_[slot].returned_by.contains(owner) ? owner : 0;
}

DeviceId Dealer::Choose(size_t slot) const {
  if (only_owners_) return OwnerOf(slot);
  if (by_load_.empty()) return 0;
  const Slot& wanted = slots_[slot];
  const size_t share = (slots_.size() + by_load_.size() - 1) / by_load_.size();
  const DeviceId last = last_holder_[slot];
  if (Sits(last) && static_cast<size_t>(Load(last)) < share && !wanted.returned_by.contains(last) &&
      !wanted.late.contains(last)) {
    return last;
  }
  const DeviceId fresh = LeastLoaded(wanted, /*late_too=*/false);
  return fresh != 0 ? fresh : LeastLoaded(wanted, /*late_too=*/true);
}

std::vector<Dealer::Dealt> Dealer::Deal(TimePoint now) {
  std::vector<Dealt> dealt;
  if (leases_.empty()) return dealt;
  SeatUntil(leases_.front().step);
  DealFree(now, &dealt);
  if (!free_.empty() && !only_owners_ && (!out_.empty() || !quiet_.empty())) {
    // Better to one that was slow, or is quiet, than to nobody.
    SeatUntil(std::numeric_limits<int64_t>::max());
    Hush({});
    DealFree(now, &dealt);
  }
  return dealt;
}

std::vector<Dealer::Dealt> Dealer::DealCopies(const std::vector<size_t>& leases,
                                              const std::vector<DeviceId>& devices) {
  std::vector<Dealt> dealt;
  auto next = leases.begin();
  for (const DeviceId device : devices) {
    if (next == leases.end()) break;
    if (Load(device) > 0 || !seats_.contains(device)) continue;
    slots_[*next].copies.insert(device);
    dealt.push_back({leases_[*next++], device, 0, false, {}});
  }
  return dealt;
}

void Dealer::DealFree(TimePoint now, std::vector<Dealt>* dealt) {
  // First the slots that stay where their samples are, so that the others see the full load.
  for (const bool keep : {true, false}) {
    const std::vector<size_t> free(free_.begin(), free_.end());
    for (const size_t slot : free) {
      const DeviceId device = Choose(slot);
      if (device == 0 || (keep && device != last_holder_[slot])) continue;
      const TimePoint before_at = slots_[slot].dealt_at;
      Give(slot, device, now);
      last_holder_[slot] = device;
      const Slot& given = slots_[slot];
      dealt->push_back({leases_[slot], device, given.before, given.late.contains(device), {}});
      if (given.late.contains(given.before)) dealt->back().overdue_since = before_at;
    }
  }
}

// ---- one lease, one device

void Dealer::Release(DeviceId device) {
  const auto it = seats_.find(device);
  if (it == seats_.end()) return;
  while (!it->second.slots.empty()) Free(*it->second.slots.begin());
}

bool Dealer::Return(const Lease& lease, DeviceId device) {
  const auto at = PlaceOf(lease);
  if (!at) return false;
  Slot& slot = slots_[*at];
  const bool holds = slot.holder == device;
  if (!holds && !slot.late.contains(device) && slot.copies.erase(device) == 0) return false;
  if (holds) Free(*at);
  slot.returned_by.insert(device);
  return holds;
}

bool Dealer::Expire(int64_t slot, TimePoint now, Duration allowed) {
  if (slot < 0 || slot >= static_cast<int64_t>(slots_.size())) return false;
  const auto at = static_cast<size_t>(slot);
  Slot& held = slots_[at];
  constexpr int64_t kMostDoublings = 20;
  const Duration wait = allowed * (int64_t{1} << std::min(held.expired, kMostDoublings));
  if (held.holder == 0 || now - held.dealt_at < wait) return false;
  held.late.insert(held.holder);
  ++held.expired;
  Free(at);
  return true;
}

bool Dealer::ExpireAll(DeviceId device, TimePoint now, Duration allowed) {
  const auto it = seats_.find(device);
  if (it == seats_.end()) return false;
  const std::vector<size_t> held(it->second.slots.begin(), it->second.slots.end());
  bool expired = false;
  for (const size_t slot : held) {
    expired = Expire(static_cast<int64_t>(slot), now, allowed) || expired;
  }
  return expired;
}

void Dealer::LeaveOut(size_t slot) {
  if (slots_[slot].holder != 0) Free(slot);
  free_.erase(slot);
  if (!std::exchange(slots_[slot].left_out, true)) ++left_out_;
}

void Dealer::LeaveOutFree() {
  if (!only_owners_) return;
  while (!free_.empty()) LeaveOut(*free_.begin());
}

void Dealer::LeaveOutOf(DeviceId device) {
  const auto it = seats_.find(device);
  if (it == seats_.end() || !only_owners_) return;
  while (!it->second.slots.empty()) LeaveOut(*it->second.slots.begin());
}

void Dealer::LeaveOutLate(int64_t slot) {
  if (slot < 0 || slot >= static_cast<int64_t>(slots_.size()) || !only_owners_) return;
  const auto at = static_cast<size_t>(slot);
  const DeviceId late = OwnerOf(at);
  LeaveOut(at);
  if (late != 0) SitOut(late, leases_.front().step);
}

// A slot is cleared of this by one device that has not returned it, so few need a closer look.
std::optional<Lease> Dealer::Hopeless() const {
  if (seats_.empty()) return std::nullopt;
  for (const size_t slot : free_) {
    const std::set<DeviceId>& returned_by = slots_[slot].returned_by;
    if (returned_by.size() < seats_.size()) continue;
    const auto returned = [&](const auto& seat) { return returned_by.contains(seat.first); };
    if (std::ranges::all_of(seats_, returned)) return leases_[slot];
  }
  return std::nullopt;
}

void Dealer::Committed(const Lease& lease, DeviceId device) {
  const auto at = PlaceOf(lease);
  if (!at) return;
  if (const auto it = seats_.find(device); it != seats_.end()) it->second.steps_out = 0;
  for (const DeviceId late : slots_[*at].late) {
    if (late != device && seats_.contains(late)) SitOut(late, lease.step);
  }
}

// From the step after this one on.
void Dealer::SitOut(DeviceId device, int64_t step) {
  Seat& seat = seats_.at(device);
  const bool was_quiet = std::erase(quiet_, device) > 0;
  if (by_load_.erase({seat.slots.size(), device}) == 0 && !was_quiet) return;  // it does already
  seat.steps_out = std::min(2 * seat.steps_out + 1, kMostStepsOut);
  seat.out_until = step + 1 + seat.steps_out;
  out_.insert({seat.out_until, device});
}

}  // namespace weft::cluster
