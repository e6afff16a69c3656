#pragma once
// Batch and BatchReader: ranges of an epoch's order become arrays ready for the engine; a
// background thread of base reads ahead.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "data/dataset.h"
#include "data/sample_order.h"

namespace weft::data {

struct Batch {
  int64_t size = 0;
  std::vector<float> samples;   // (N, C, H, W) row major
  std::vector<int32_t> labels;  // (N)
  // (N) a hash of (seed, epoch, sample): the sample's identity for dropout
  std::vector<uint64_t> keys;
};

// Fills `batch` (reusing its memory) with the samples of a range of the order; the range must lie
// within it. The order's seed draws the augmentation too. Threads: any.
void ReadBatch(const Dataset& dataset, const SampleOrder& order, const BatchRange& range,
               Batch* batch);

// Reads ranges ahead of need on one background thread.
// Threads: one caller.
class BatchReader {
 public:
  struct Options {
    SampleOrder order;
    size_t depth = 2;  // ranges read ahead at most
  };
  // `dataset` must outlive the reader.
  BatchReader(const Dataset* dataset, const Options& options);
  ~BatchReader();

  // Says that `range` will be wanted soon. Order is kept; a range asked for twice is read twice.
  void Prefetch(const BatchRange& range);
  // The batch of `range`: taken from the read-ahead if it was announced (earlier announcements that
  // were never fetched are dropped), else read now.
  Batch Get(const BatchRange& range);
  // Forgets the announced ranges of which `unwanted` says so. Once it returns, none of their
  // samples is being read.
  void Drop(const std::function<bool(const BatchRange&)>& unwanted);
  // Gives the memory of a batch that is done with to later reads; without it each read allocates.
  void Recycle(Batch batch);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::data
