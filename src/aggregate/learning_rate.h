#pragma once
// The learning rate with n workers. Three rules:
//
// 1. Synchronous, the batch of the job cut among n workers: the combined gradient is that of the
//    whole batch whatever n is, so the rate does not depend on n. Nothing is to be done.
// 2. Somebody grows the batch because there are more workers: RateForGrownBatch.
// 3. An update covers a fraction of a batch (a worker's own share, applied by itself): the
//    optimizer advances by that fraction, engine::PartialStep (engine/optimizer.h).

#include <cstdint>

namespace weft::aggregate {

struct GrownBatch {
  double growth = 1;         // the batch now / the batch that the rate was chosen for; above 0
  bool square_root = false;  // for optimizers that divide by the gradient's own size (adamw)
  int64_t warmup_steps = 0;  // until the whole of the new rate holds
};

// rate * growth, or rate * sqrt(growth); over the first warmup_steps it goes there from `rate` in a
// straight line.
// Sources: Goyal et al. 2017, Accurate, Large Minibatch SGD, sections 2.1 and 2.2; Malladi et al.
// 2022, On the SDEs and Scaling Rules for Adaptive Gradient Algorithms, for the square root.
//   step  since the batch grew, from 0
double RateForGrownBatch(double rate, const GrownBatch& batch, int64_t step);

}  // namespace weft::aggregate
