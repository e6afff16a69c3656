#include "cluster/stream_dealer.h"

#include <algorithm>
#include <ranges>
#include <utility>

namespace weft::cluster {
namespace {

constexpr size_t kRemembered = 15;
constexpr int kTimes = 4;
constexpr int64_t kMostDoublings = 20;

}  // namespace

// ---- devices

void StreamDealer::Add(DeviceId device) {
  if (seats_.contains(device)) Remove(device);
  Seat seat;
  // It takes its place among those that are at work.
  if (any_done_ && !seats_.empty()) {
    seat.done = std::ranges::min(seats_ | std::views::values, {}, &Seat::done).done;
  }
  seats_.emplace(device, std::move(seat));
}

void StreamDealer::Remove(DeviceId device) {
  const auto it = seats_.find(device);
  if (it == seats_.end()) return;
  const std::set<uint64_t> held = it->second.held;
  for (const uint64_t id : held) Drop(leases_.at(id), device);
  seats_.erase(it);
}

void StreamDealer::Drop(Out& out, DeviceId device) {
  out.holders.erase(device);
  out.before = device;
  if (const auto it = seats_.find(device); it != seats_.end()) it->second.held.erase(out.lease.id);
  if (out.holders.empty() && std::ranges::find(free_, out.lease.id) == free_.end()) {
    free_.push_back(out.lease.id);
  }
}

size_t StreamDealer::Load(DeviceId device) const {
  const auto it = seats_.find(device);
  return it == seats_.end() ? 0 : it->second.held.size();
}

// ---- dealing

// Among those that hold something and are heard of: the others keep nobody waiting.
bool StreamDealer::TooFarAhead(const Seat& seat, int64_t ahead) const {
  if (ahead <= 0) return false;
  return std::ranges::any_of(seats_, [&](const auto& entry) {
    return !entry.second.held.empty() && !quiet_.contains(entry.first) &&
           seat.done - entry.second.done >= ahead;
  });
}

std::optional<uint64_t> StreamDealer::FreeFor(DeviceId device, const May& may) {
  const auto can = [&](uint64_t id) {
    const Out& out = leases_.at(id);
    if (out.holders.contains(device) || out.returned_by.contains(device)) return false;
    return !may || may(out.lease, device);
  };
  const auto it = std::ranges::find_if(free_, can);
  if (it == free_.end()) return std::nullopt;
  const uint64_t id = *it;
  free_.erase(it);
  return id;
}

std::vector<StreamDealer::Dealt> StreamDealer::Deal(
    TimePoint now, int64_t ahead, const std::function<std::optional<Lease>(DeviceId)>& fresh,
    const May& may) {
  std::vector<Dealt> dealt;
  const auto give = [&](Out& out, DeviceId device, Seat& seat) {
    out.holders[device] = now;
    seat.held.insert(out.lease.id);
    dealt.push_back({out.lease, device, out.before});
  };
  // One at a time, so that all have work before any has much.
  for (size_t depth = 0; depth < depth_; ++depth) {
    for (auto& [device, seat] : seats_) {
      if (seat.held.size() > depth || quiet_.contains(device) || TooFarAhead(seat, ahead)) continue;
      if (const auto id = FreeFor(device, may)) {
        give(leases_.at(*id), device, seat);
      } else if (const auto lease = fresh(device)) {
        Out& out = leases_[lease->id];
        out.lease = *lease;
        out.first_granted = now;
        give(out, device, seat);
      }
    }
  }
  return dealt;
}

// ---- one lease, one device

bool StreamDealer::Return(const Lease& lease, DeviceId device, bool refused) {
  const auto it = leases_.find(lease.id);
  if (it == leases_.end() || !it->second.holders.contains(device)) return false;
  it->second.returned_by.insert(device);
  if (refused) it->second.refused.insert(device);
  Drop(it->second, device);
  return true;
}

bool StreamDealer::TryAgain(const Lease& lease) {
  const auto it = leases_.find(lease.id);
  if (it == leases_.end()) return false;
  const std::set<DeviceId> refused = std::exchange(it->second.refused, {});
  for (const DeviceId device : refused) it->second.returned_by.erase(device);
  return !refused.empty();
}

void StreamDealer::Committed(const Lease& lease, TimePoint now) {
  const auto it = leases_.find(lease.id);
  if (it == leases_.end()) return;
  for (const auto& [device, since] : it->second.holders) {
    Seat& seat = seats_.at(device);
    seat.held.erase(lease.id);
    ++seat.done;
    any_done_ = true;
  }
  took_.push_back(now - it->second.first_granted);
  if (took_.size() > kRemembered) took_.pop_front();
  std::erase(free_, lease.id);
  leases_.erase(it);
}

bool StreamDealer::ExpireOf(DeviceId device, TimePoint now, Duration allowed) {
  const auto it = seats_.find(device);
  if (it == seats_.end()) return false;
  bool expired = false;
  const std::set<uint64_t> held = it->second.held;
  for (const uint64_t id : held) {
    Out& out = leases_.at(id);
    if (now - out.holders.at(device) < allowed) continue;
    Drop(out, device);
    expired = true;
  }
  return expired;
}

bool StreamDealer::Copy(const std::set<DeviceId>& silent) {
  bool copied = false;
  for (auto& [id, out] : leases_) {
    const auto is_silent = [&](const auto& holder) { return silent.contains(holder.first); };
    if (out.holders.empty() || !std::ranges::all_of(out.holders, is_silent)) continue;
    if (std::ranges::find(free_, id) != free_.end()) continue;
    out.before = out.holders.begin()->first;
    free_.push_back(id);
    copied = true;
  }
  return copied;
}

bool StreamDealer::ExpireOverdue(TimePoint now, Duration least) {
  if (took_.size() < 3) return false;
  std::vector<Duration> sorted(took_.begin(), took_.end());
  std::ranges::sort(sorted);
  const Duration allowed = std::max(least, kTimes * sorted[sorted.size() / 2]);
  bool expired = false;
  for (auto& [id, out] : leases_) {
    const Duration wait = allowed * (int64_t{1} << std::min(out.copies, kMostDoublings));
    if (out.holders.empty() || now - out.first_granted < wait) continue;
    if (std::ranges::find(free_, id) != free_.end()) continue;
    ++out.copies;
    out.before = out.holders.begin()->first;
    free_.push_back(id);
    expired = true;
  }
  return expired;
}

// ---- all of them

std::vector<Lease> StreamDealer::Unheld() const {
  std::vector<Lease> unheld;
  for (const auto& [id, out] : leases_) {
    if (out.holders.empty()) unheld.push_back(out.lease);
  }
  return unheld;
}

void StreamDealer::Forget(const Lease& lease) {
  std::erase(free_, lease.id);
  leases_.erase(lease.id);
}

std::optional<Lease> StreamDealer::Hopeless() const {
  if (seats_.empty()) return std::nullopt;
  for (const uint64_t id : free_) {
    const Out& out = leases_.at(id);
    const auto returned = [&](const auto& seat) { return out.returned_by.contains(seat.first); };
    if (out.holders.empty() && std::ranges::all_of(seats_, returned)) return out.lease;
  }
  return std::nullopt;
}

}  // namespace weft::cluster
