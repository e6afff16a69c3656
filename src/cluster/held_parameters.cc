#include "cluster/held_parameters.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "cluster/delta_log.h"

namespace weft::cluster {

void HeldParameters::SetCut(const Layout& layout) {
  Cut next;
  for (const Layout::Part& part : layout.parts) {
    const auto same = cut_.find(part.range);
    next[part.range] = same == cut_.end() ? Slot{} : same->second;
  }
  if (next.size() == cut_.size() &&
      std::ranges::equal(next, cut_, {}, &Cut::value_type::first, &Cut::value_type::first)) {
    return;
  }
  if (IsWhole(cut_)) old_ = std::move(cut_);
  cut_ = std::move(next);
}

void HeldParameters::UseCodec(std::unique_ptr<codec::Codec> down, uint64_t run) {
  codec_ = std::move(down);
  run_ = run;
}

bool HeldParameters::Wants(const Slot& slot, int64_t version) {
  const auto is_newer = [&](const Piece& held) {
    return held.values == nullptr || version > held.version;
  };
  return is_newer(slot.newest) || (version + 1 == slot.newest.version && is_newer(slot.before));
}

HeldParameters::Got HeldParameters::Put(const Parameters& parameters) {
  const auto it = cut_.find(parameters.range);
  if (it == cut_.end()) return Got::kNotWanted;
  Slot& slot = it->second;
  if (!Wants(slot, parameters.version)) return Got::kNotWanted;
  Piece piece{parameters.range, parameters.version, parameters.values, parameters.log};
  if (parameters.base >= 0) {
    piece.values = Added(slot, parameters);
    if (piece.values == nullptr) return Got::kLacksBase;
  }
  if (piece.values == nullptr) return Got::kNotWanted;
  const bool newest = slot.newest.values == nullptr || piece.version > slot.newest.version;
  if (newest) slot.before = std::move(slot.newest);
  (newest ? slot.newest : slot.before) = std::move(piece);
  if (!old_.empty() && IsWhole(cut_)) old_.clear();
  return Got::kTaken;
}

// The whole packet that deltas lead to; null: they cannot be added.
Payload HeldParameters::Added(const Slot& slot, const Parameters& deltas) const {
  const auto is_base = [&](const Piece& held) {
    return held.values != nullptr && held.version == deltas.base && held.log == deltas.log;
  };
  if (codec_ == nullptr || deltas.log == 0 || deltas.values == nullptr) return nullptr;
  if (!is_base(slot.newest) && !is_base(slot.before)) return nullptr;
  const Piece& base = is_base(slot.newest) ? slot.newest : slot.before;
  std::vector<float> values(static_cast<size_t>(deltas.range.count));
  std::vector<float> scratch(values.size());
  const codec::Place from{.begin = deltas.range.begin, .run = run_, .base = deltas.base};
  const bool added = whole_->Decode(*base.values, values).ok() &&
                     AddDeltas(*codec_, from, deltas.version, *deltas.values, values, scratch).ok();
  if (!added) return nullptr;
  auto packet = std::make_shared<Bytes>();
  packet->reserve(whole_->MaxBytes(values.size()));
  if (!whole_->Encode(values, {}, packet.get()).ok()) return nullptr;
  return packet;
}

HeldParameters::Base HeldParameters::BaseOf(const Range& range) const {
  const auto it = cut_.find(range);
  const bool held = it != cut_.end() && it->second.newest.values != nullptr;
  if (codec_ == nullptr || !held || it->second.newest.log == 0) return {};
  return {it->second.newest.log, it->second.newest.version};
}

void HeldParameters::Clear() {
  codec_ = nullptr;
  cut_.clear();
  old_.clear();
}

bool HeldParameters::IsWhole(const Cut& cut) {
  const auto held = [](const auto& entry) { return entry.second.newest.values != nullptr; };
  return !cut.empty() && std::ranges::all_of(cut, held);
}

const HeldParameters::Cut* HeldParameters::Whole() const {
  if (IsWhole(cut_)) return &cut_;
  return old_.empty() ? nullptr : &old_;
}

std::optional<std::vector<Piece>> HeldParameters::Exactly(int64_t version) const {
  const Cut* cut = Whole();
  if (cut == nullptr) return std::nullopt;
  std::vector<Piece> pieces;
  for (const auto& [range, slot] : *cut) {
    pieces.push_back({range, version, ValuesIn(slot, version)});
    if (pieces.back().values == nullptr) return std::nullopt;
  }
  return pieces;
}

std::optional<std::vector<Piece>> HeldParameters::Begun(int64_t version) const {
  std::vector<Piece> pieces;
  for (const auto& [range, slot] : cut_) {
    pieces.push_back({range, version, ValuesIn(slot, version)});
    const bool newer = slot.newest.values != nullptr && slot.newest.version > version;
    if (pieces.back().values == nullptr && newer) return std::nullopt;
  }
  if (pieces.empty() || pieces.front().values == nullptr) return std::nullopt;
  return pieces;
}

std::optional<std::vector<Piece>> HeldParameters::AtLeast(int64_t version) const {
  const Cut* cut = Whole();
  if (cut == nullptr) return std::nullopt;
  std::vector<Piece> pieces;
  for (const auto& [range, slot] : *cut) {
    if (slot.newest.version < version) return std::nullopt;
    pieces.push_back(slot.newest);
  }
  return pieces;
}

int64_t HeldParameters::NewestOf(const Range& range) const {
  for (const Cut* cut : {&cut_, &old_}) {
    const auto it = cut->find(range);
    if (it != cut->end() && it->second.newest.values != nullptr) return it->second.newest.version;
  }
  return -1;
}

Payload HeldParameters::ValuesIn(const Slot& slot, int64_t version) {
  for (const Piece* piece : {&slot.newest, &slot.before}) {
    if (piece->version == version && piece->values != nullptr) return piece->values;
  }
  return nullptr;
}

Payload HeldParameters::ValuesOf(const Range& range, int64_t version) const {
  for (const Cut* cut : {&cut_, &old_}) {
    const auto it = cut->find(range);
    if (it == cut->end()) continue;
    if (Payload values = ValuesIn(it->second, version)) return values;
  }
  return nullptr;
}

std::optional<HeldParameters::Span> HeldParameters::Versions() const {
  const Cut* cut = Whole();
  if (cut == nullptr) return std::nullopt;
  Span span{std::numeric_limits<int64_t>::max(), -1};
  for (const auto& [range, slot] : *cut) {
    span.oldest = std::min(span.oldest, slot.newest.version);
    span.newest = std::max(span.newest, slot.newest.version);
  }
  return span;
}

}  // namespace weft::cluster
