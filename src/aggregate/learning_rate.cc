#include "aggregate/learning_rate.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace weft::aggregate {

double RateForGrownBatch(double rate, const GrownBatch& batch, int64_t step) {
  CHECK(batch.growth > 0 && step >= 0);
  const double factor = batch.square_root ? std::sqrt(batch.growth) : batch.growth;
  if (step >= batch.warmup_steps) return rate * factor;
  const double done = static_cast<double>(step) / static_cast<double>(batch.warmup_steps);
  return rate * (1 + (factor - 1) * done);
}

}  // namespace weft::aggregate
