#include "cluster/sample_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/text.h"

namespace weft::cluster {

SampleCache::SampleCache(SampleCacheOptions options) : options_(std::move(options)) {
  CHECK(options_.sample_bytes > 0) << "sample_bytes is " << options_.sample_bytes;
}

int64_t SampleCache::capacity() const {
  if (options_.budget_bytes == 0) return std::numeric_limits<int64_t>::max();
  return options_.budget_bytes / options_.sample_bytes;
}

const SampleCache::Wanted* SampleCache::Find(const Lease& lease) const {
  const auto it = std::ranges::find(wanted_, lease, &Wanted::lease);
  return it == wanted_.end() ? nullptr : &*it;
}

bool SampleCache::Has(const Lease& lease) const {
  const Wanted* wanted = Find(lease);
  return wanted != nullptr && wanted->pinned &&
         std::ranges::all_of(wanted->indices,
                             [&](int64_t index) { return entries_.at(index).held; });
}

// ---- leases

Result<std::vector<AskSamples>> SampleCache::Want(const Lease& lease) {
  if (Find(lease) != nullptr) return std::vector<AskSamples>();
  if (lease.count > capacity()) {
    const auto takes = static_cast<double>(lease.count * options_.sample_bytes);
    return ResourceExhausted(fmt::format(
        "{} samples take {}, this device spares {} for samples", lease.count,
        base::HumanBytes(takes), base::HumanBytes(static_cast<double>(options_.budget_bytes))));
  }
  wanted_.push_back({.lease = lease, .indices = options_.indices(lease), .pinned = false});
  PinWhatFits();
  ForgetWaitingAhead();
  return TakeAsks();
}

std::vector<AskSamples> SampleCache::Ahead(const Lease& lease) {
  // What waits for room has the first claim to any.
  if (!std::ranges::all_of(wanted_, &Wanted::pinned)) return {};
  const auto not_held = static_cast<int64_t>(entries_.size()) - held_;
  const auto pinned_held = held_ - std::ssize(idle_);
  int64_t room = capacity() - pinned_held - not_held;
  std::vector<int64_t> missing;
  for (const int64_t index : options_.indices(lease)) {
    const auto it = entries_.find(index);
    if (it == entries_.end()) {
      missing.push_back(index);
    } else if (it->second.held && it->second.pins == 0) {
      idle_.splice(idle_.end(), idle_, it->second.place);  // used last
      --room;
    }
  }
  missing.resize(static_cast<size_t>(std::clamp<int64_t>(room, 0, std::ssize(missing))));
  Ask(std::move(missing));
  return TakeAsks();
}

std::vector<AskSamples> SampleCache::Done(const Lease& lease) {
  const auto it = std::ranges::find(wanted_, lease, &Wanted::lease);
  if (it == wanted_.end()) return {};
  if (it->pinned) Unpin(it->indices);
  wanted_.erase(it);
  PinWhatFits();
  return TakeAsks();
}

// In order: a small one does not overtake a large one for ever.
void SampleCache::PinWhatFits() {
  for (Wanted& wanted : wanted_) {
    if (wanted.pinned) continue;
    if (!FitsBeside(wanted.indices)) return;
    wanted.pinned = true;
    Pin(wanted.indices);
  }
}

bool SampleCache::FitsBeside(const std::vector<int64_t>& indices) const {
  const auto more = std::ranges::count_if(indices, [&](int64_t index) {
    const auto it = entries_.find(index);
    return it == entries_.end() || it->second.pins == 0;
  });
  return more <= capacity() - pinned_;
}

void SampleCache::Pin(const std::vector<int64_t>& indices) {
  std::vector<int64_t> missing;
  for (const int64_t index : indices) {
    const auto [it, absent] = entries_.try_emplace(index);
    Entry& entry = it->second;
    if (absent) missing.push_back(index);
    if (entry.pins++ > 0) continue;
    ++pinned_;
    if (entry.held) idle_.erase(entry.place);
  }
  Ask(std::move(missing));
}

void SampleCache::Unpin(const std::vector<int64_t>& indices) {
  for (const int64_t index : indices) {
    Entry& entry = entries_.at(index);
    if (--entry.pins > 0) continue;
    --pinned_;
    if (entry.held) entry.place = idle_.insert(idle_.end(), index);
  }
}

// ---- requests

void SampleCache::Ask(std::vector<int64_t> indices) {
  const int64_t fit = kMostRequestBytes / options_.sample_bytes;
  const auto most = static_cast<size_t>(std::clamp<int64_t>(fit, 1, kMostRequestSamples));
  std::ranges::sort(indices);
  for (size_t begin = 0; begin < indices.size(); begin += most) {
    const auto first = indices.begin() + static_cast<std::ptrdiff_t>(begin);
    const size_t count = std::min(most, indices.size() - begin);
    AskSamples ask;
    ask.indices.assign(first, first + static_cast<std::ptrdiff_t>(count));
    for (const int64_t index : ask.indices) entries_.try_emplace(index);
    waiting_.push_back(std::move(ask));
  }
}

// So that what is wanted now does not wait behind what was perhaps to be wanted.
void SampleCache::ForgetWaitingAhead() {
  std::erase_if(waiting_, [&](const AskSamples& ask) {
    const auto pinned = [&](int64_t index) { return entries_.at(index).pins > 0; };
    if (std::ranges::any_of(ask.indices, pinned)) return false;
    for (const int64_t index : ask.indices) entries_.erase(index);
    return true;
  });
}

std::vector<AskSamples> SampleCache::TakeAsks() {
  std::vector<AskSamples> asks;
  while (out_.size() < kMostRequests && !waiting_.empty()) {
    AskSamples ask = std::move(waiting_.front());
    waiting_.pop_front();
    ask.term = term_;
    ask.request = next_request_++;
    asks.push_back(ask);
    out_.emplace(ask.request, std::move(ask));
  }
  return asks;
}

std::vector<AskSamples> SampleCache::AskAgain() {
  std::vector<AskSamples> asks;
  for (auto& [request, ask] : out_) {
    ask.term = term_;
    asks.push_back(ask);
  }
  return asks;
}

// ---- answers

SampleCache::Got SampleCache::OnSamples(const Samples& samples) {
  Got got;
  const auto it = out_.find(samples.request);
  if (it == out_.end()) return got;
  std::vector<int64_t> indices = std::move(it->second.indices);
  out_.erase(it);
  got.wanted =
      samples.problem.empty() && samples.values != nullptr && samples.count == std::ssize(indices);
  if (got.wanted) {
    Keep(indices);
    got.kept = std::move(indices);
    got.dropped = MakeRoom();
  } else {
    got.failed = Fail(indices);
  }
  got.ask = TakeAsks();
  return got;
}

void SampleCache::Keep(const std::vector<int64_t>& indices) {
  for (const int64_t index : indices) {
    Entry& entry = entries_.at(index);
    entry.held = true;
    ++held_;
    if (entry.pins == 0) entry.place = idle_.insert(idle_.end(), index);
  }
}

std::vector<int64_t> SampleCache::MakeRoom() {
  std::vector<int64_t> dropped;
  while (held_ > capacity()) {
    CHECK(!idle_.empty()) << held_ << " samples are pinned, " << capacity() << " fit";
    dropped.push_back(idle_.front());
    entries_.erase(idle_.front());
    idle_.pop_front();
    --held_;
  }
  return dropped;
}

std::vector<Lease> SampleCache::Fail(const std::vector<int64_t>& indices) {
  std::vector<Lease> failed;
  for (const Wanted& wanted : wanted_) {
    const auto is_lost = [&](int64_t index) { return std::ranges::binary_search(indices, index); };
    if (wanted.pinned && std::ranges::any_of(wanted.indices, is_lost)) {
      failed.push_back(wanted.lease);
      Unpin(wanted.indices);
    }
  }
  std::erase_if(wanted_, [&](const Wanted& wanted) {
    return std::ranges::find(failed, wanted.lease) != failed.end();
  });
  for (const int64_t index : indices) entries_.erase(index);
  PinWhatFits();
  return failed;
}

}  // namespace weft::cluster
