#pragma once
// IntervalSet: a set of integers as disjoint half-open intervals.

#include <cstdint>
#include <map>

namespace weft::cluster {

class IntervalSet {
 public:
  // Adds [begin, end); returns how many of them were in the set before.
  int64_t Add(int64_t begin, int64_t end);
  bool Contains(int64_t value) const;
  // How many integers are in the set.
  int64_t size() const { return size_; }
  void Clear();

  // begin -> end, ascending, neither touching nor overlapping.
  const std::map<int64_t, int64_t>& intervals() const { return intervals_; }
  bool operator==(const IntervalSet&) const = default;

 private:
  std::map<int64_t, int64_t> intervals_;
  int64_t size_ = 0;
};

}  // namespace weft::cluster
