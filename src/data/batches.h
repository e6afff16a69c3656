#pragma once
// Batch and BatchReader: ranges of an epoch's order become arrays ready for the engine; a
// background thread of base reads ahead.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "data/dataset.h"

namespace weft::data {

struct Batch {
  int64_t size = 0;
  std::vector<float> samples;   // (N, C, H, W) row major
  std::vector<int32_t> labels;  // (N)
  // (N) a hash of (seed, epoch, sample): the sample's identity for dropout
  std::vector<uint64_t> keys;
};

// Positions [begin, begin + count) of the order of `epoch`.
struct BatchRange {
  int64_t epoch = 0;
  int64_t begin = 0;
  int64_t count = 0;
  bool operator==(const BatchRange&) const = default;
};

// Fills `batch` (reusing its memory) with the range, which must lie within the data set: begin +
// count <= size. Threads: any.
void ReadBatch(const Dataset& dataset, uint64_t seed, bool shuffle, const BatchRange& range,
               Batch* batch);

// Reads ranges ahead of need on one background thread.
// Threads: one caller.
class BatchReader {
 public:
  struct Options {
    uint64_t seed = 0;
    bool shuffle = true;
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
  // Gives the memory of a batch that is done with to later reads; without it each read allocates.
  void Recycle(Batch batch);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::data
