#pragma once
// Snapshot: all that a leader needs to go on from a step; the host writes it to a checkpoint and
// reads it back.

#include <cstdint>
#include <vector>

#include "engine/optimizer.h"

namespace weft::cluster {

struct Snapshot {
  int64_t step = 0;               // the next step to run
  int64_t version = 0;            // of the parameters
  std::vector<float> parameters;  // the flat vector, statistics included
  engine::OptimizerState optimizer;
  bool operator==(const Snapshot&) const = default;
};

}  // namespace weft::cluster
