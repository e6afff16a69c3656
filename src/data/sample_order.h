#pragma once
// SampleOrder: which sample stands at which position of an epoch, for a whole data set or for one
// in shards. A pure function of (seed, epoch, position), so that any device can work out any lease.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/partition.h"

namespace weft::data {

// Positions [begin, begin + count) of the order of `epoch`.
struct BatchRange {
  int64_t epoch = 0;
  int64_t begin = 0;
  int64_t count = 0;
  bool operator==(const BatchRange&) const = default;
};

// A value: copies share the partition. Threads: any.
class SampleOrder {
 public:
  // A permutation of 0..samples-1 a (seed, epoch), as EpochOrder; not shuffled: as they come.
  static SampleOrder Whole(uint64_t seed, int64_t samples, bool shuffle = true);
  // Positions are those of the first shard, then of the second, and so on; inside a shard the order
  // is a permutation by (seed, epoch, shard).
  static SampleOrder Sharded(uint64_t seed, std::shared_ptr<const Partition> partition);

  uint64_t seed() const { return seed_; }
  int64_t size() const { return size_; }
  // The sample's index; the position must be in 0..size-1.
  int64_t operator()(int64_t epoch, int64_t position) const;
  // The indices of a range, which must lie within the epoch.
  std::vector<int64_t> Indices(const BatchRange& range) const;

 private:
  void FillWhole(int64_t epoch, int64_t begin, std::span<int64_t> indices) const;
  void FillSharded(int64_t epoch, int64_t begin, std::span<int64_t> indices) const;

  uint64_t seed_ = 0;
  int64_t size_ = 0;
  bool shuffle_ = true;
  std::shared_ptr<const Partition> partition_;  // null: whole
  std::vector<int64_t> starts_;                 // first position of each shard, and the end
};

}  // namespace weft::data
