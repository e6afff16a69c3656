#include "data/sample_order.h"

#include <algorithm>

#include "base/check.h"
#include "base/rng.h"
#include "data/order.h"

namespace weft::data {

SampleOrder SampleOrder::Whole(uint64_t seed, int64_t samples, bool shuffle) {
  SampleOrder order;
  order.seed_ = seed;
  order.size_ = samples;
  order.shuffle_ = shuffle;
  return order;
}

SampleOrder SampleOrder::Sharded(uint64_t seed, std::shared_ptr<const Partition> partition) {
  SampleOrder order;
  order.seed_ = seed;
  order.starts_ = {0};
  for (const int64_t size : partition->sizes()) {
    order.starts_.push_back(order.starts_.back() + size);
  }
  order.size_ = order.starts_.back();
  order.partition_ = std::move(partition);
  return order;
}

int64_t SampleOrder::operator()(int64_t epoch, int64_t position) const {
  return Indices({.epoch = epoch, .begin = position, .count = 1}).front();
}

std::vector<int64_t> SampleOrder::Indices(const BatchRange& range) const {
  CHECK(range.begin >= 0 && range.count >= 0 && range.begin + range.count <= size_)
      << "got positions " << range.begin << " + " << range.count << " of " << size_;
  std::vector<int64_t> indices(static_cast<size_t>(range.count));
  if (partition_ == nullptr) {
    FillWhole(range.epoch, range.begin, indices);
  } else {
    FillSharded(range.epoch, range.begin, indices);
  }
  return indices;
}

void SampleOrder::FillWhole(int64_t epoch, int64_t begin, std::span<int64_t> indices) const {
  const EpochOrder order(seed_, epoch, size_, shuffle_);
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = order[begin + static_cast<int64_t>(i)];
}

void SampleOrder::FillSharded(int64_t epoch, int64_t begin, std::span<int64_t> indices) const {
  // The shard that holds `begin`: the last that starts at or before it.
  auto shard = static_cast<size_t>(std::upper_bound(starts_.begin(), starts_.end(), begin) -
                                   starts_.begin() - 1);
  for (size_t done = 0; done < indices.size(); ++shard) {
    const std::vector<int64_t>& samples = partition_->shards[shard];
    const uint64_t seed = base::DeriveSeed(seed_, static_cast<uint64_t>(shard));
    const EpochOrder order(seed, epoch, std::ssize(samples));
    int64_t at = begin + static_cast<int64_t>(done) - starts_[shard];
    while (done < indices.size() && at < order.size()) {
      indices[done++] = samples[static_cast<size_t>(order[at++])];
    }
  }
}

}  // namespace weft::data
