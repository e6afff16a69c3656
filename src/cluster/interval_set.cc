#include "cluster/interval_set.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace weft::cluster {

int64_t IntervalSet::Add(int64_t begin, int64_t end) {
  CHECK_LE(begin, end);
  if (begin == end) return 0;
  const int64_t asked = end - begin;
  // Every interval that overlaps or touches [begin, end) melts into it.
  auto it = intervals_.upper_bound(begin);
  if (it != intervals_.begin() && std::prev(it)->second >= begin) --it;
  int64_t overlap = 0;
  int64_t merged_begin = begin;
  int64_t merged_end = end;
  while (it != intervals_.end() && it->first <= end) {
    overlap += std::max<int64_t>(0, std::min(end, it->second) - std::max(begin, it->first));
    merged_begin = std::min(merged_begin, it->first);
    merged_end = std::max(merged_end, it->second);
    it = intervals_.erase(it);
  }
  intervals_.emplace(merged_begin, merged_end);
  size_ += asked - overlap;
  return overlap;
}

bool IntervalSet::Contains(int64_t value) const {
  const auto it = intervals_.upper_bound(value);
  return it != intervals_.begin() && std::prev(it)->second > value;
}

void IntervalSet::Clear() {
  intervals_.clear();
  size_ = 0;
}

}  // namespace weft::cluster
