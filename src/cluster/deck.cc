#include "cluster/deck.h"

#include <algorithm>

#include "base/check.h"

namespace weft::cluster {

Deck::Deck(int64_t samples, const std::vector<int64_t>& shards) {
  int64_t end = 0;
  for (const int64_t length : shards) ends_.push_back(end += length);
  if (ends_.empty()) ends_.push_back(end = samples);
  CHECK_EQ(end, samples);
}

int64_t Deck::EndOf(int64_t position) const {
  return *std::upper_bound(ends_.begin(), ends_.end(), position);
}

void Deck::Open(const IntervalSet& done) {
  free_.clear();
  left_ = 0;
  int64_t begin = 0;
  for (const auto& [from, until] : done.intervals()) {
    PutBack({begin, from - begin});
    begin = until;
  }
  PutBack({begin, ends_.back() - begin});
}

void Deck::PutBack(const Piece& piece) {
  int64_t begin = piece.begin;
  const int64_t end = piece.begin + piece.count;
  left_ += piece.count;
  while (begin < end) {
    const int64_t until = std::min(end, EndOf(begin));
    auto it = free_.emplace(begin, until).first;
    if (const auto next = std::next(it); next != free_.end() && next->first == until) {
      if (EndOf(begin) != until) {
        it->second = next->second;
        free_.erase(next);
      }
    }
    if (it != free_.begin()) {
      const auto before = std::prev(it);
      if (before->second == begin && EndOf(before->first) == EndOf(begin)) {
        before->second = it->second;
        free_.erase(it);
      }
    }
    begin = until;
  }
}

Deck::Piece Deck::TakeAt(Free::iterator it, int64_t most) {
  const auto [begin, end] = *it;
  const int64_t count = std::min(most, end - begin);
  free_.erase(it);
  if (begin + count < end) free_.emplace(begin + count, end);
  left_ -= count;
  return {begin, count};
}

Deck::Piece Deck::Take(int64_t most) {
  return free_.empty() || most <= 0 ? Piece{} : TakeAt(free_.begin(), most);
}

Deck::Piece Deck::TakeOf(int64_t shard, int64_t most) {
  const auto at = static_cast<size_t>(shard);
  const auto it = free_.lower_bound(shard == 0 ? 0 : ends_[at - 1]);
  const bool none = it == free_.end() || it->first >= ends_[at] || most <= 0;
  return none ? Piece{} : TakeAt(it, most);
}

int64_t Deck::ShardOf(int64_t position) const {
  return std::upper_bound(ends_.begin(), ends_.end(), position) - ends_.begin();
}

int64_t Deck::LeftOf(int64_t shard) const {
  const auto at = static_cast<size_t>(shard);
  int64_t left = 0;
  for (auto it = free_.lower_bound(shard == 0 ? 0 : ends_[at - 1]);
       it != free_.end() && it->first < ends_[at]; ++it) {
    left += it->second - it->first;
  }
  return left;
}

}  // namespace weft::cluster
