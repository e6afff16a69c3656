#pragma once
// RangeLines: something for each stretch of the parameter vector. A stretch ends where any range
// has ever begun or ended, so what is known of one stays true when leaders get other ranges.

#include <cstdint>
#include <iterator>
#include <map>

#include "cluster/message.h"

namespace weft::sim {

// Threads: one.
template <class T>
class RangeLines {
 public:
  explicit RangeLines(int64_t values) : values_(values) { lines_[0] = T{}; }

  // Of the stretches that the range consists of, splitting them where it begins and ends; a range
  // of no values stands for the whole vector. O(stretches of it + log of all).
  template <class Visit>
  void VisitRange(const cluster::Range& range, const Visit& visit) {
    const bool all = range.count == 0;
    if (!all) Split(range.begin);
    if (!all) Split(range.end());
    const auto end = all ? lines_.end() : lines_.lower_bound(range.end());
    for (auto it = all ? lines_.begin() : lines_.lower_bound(range.begin); it != end; ++it) {
      visit(it->second);
    }
  }
  template <class Visit>
  void VisitAll(const Visit& visit) {
    for (auto& [begin, line] : lines_) visit(line);
  }
  // The stretches with where they begin, ascending.
  const std::map<int64_t, T>& lines() const { return lines_; }

 private:
  void Split(int64_t at) {
    if (at <= 0 || at >= values_) return;
    const auto after = lines_.upper_bound(at);
    const auto it = std::prev(after);
    if (it->first != at) lines_.emplace_hint(after, at, it->second);
  }

  const int64_t values_;
  std::map<int64_t, T> lines_;  // by begin
};

}  // namespace weft::sim
