#pragma once
// A batch of random samples, labels and keys for a graph; a pure function of its arguments.

#include "base/rng.h"
#include "data/batches.h"
#include "model/graph.h"

namespace weft::tests {

inline data::Batch RandomBatch(const model::Graph& graph, int64_t size, uint64_t seed) {
  base::Rng rng(seed);
  data::Batch batch;
  batch.size = size;
  batch.samples.resize(static_cast<size_t>(size * graph.input().elements()));
  for (float& value : batch.samples) value = static_cast<float>(rng.NextUniform(-1, 1));
  for (int64_t i = 0; i < size; ++i) {
    batch.labels.push_back(
        static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(graph.classes()))));
    batch.keys.push_back(rng.Next());
  }
  return batch;
}

}  // namespace weft::tests
