#pragma once
// LocalMomentum: the momentum of SGD on the device that computes gradients, for updates that are
// applied one by one.
//
// A leader's velocity would push on along gradients that are a round old: with momentum m, steps
// are then stable only up to about (1 - m) of the rate that they bear when nothing is late. A
// device's own velocity grows by one gradient a round, as the leader's does in a synchronous step,
// and what the others do in the meantime is no part of it: about half of the synchronous rate is
// borne (docs/aggregation.md).
//
//   velocity = m * velocity + gradient;  sent: gradient + m * velocity
//
// Source: Hakimi et al. 2019, Taming Momentum in a Distributed Asynchronous Environment, DANA-Slim.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace weft::engine {

// Threads: one.
class LocalMomentum {
 public:
  // Of the first `size` values of a flat vector, the trainable ones. momentum: [0, 1); 0 changes
  // nothing.
  // `whole`: of the flat vector, if more than those.
  LocalMomentum(int64_t size, double momentum, int64_t whole = 0)
      : size_(size), whole_(std::max(size, whole)), momentum_(momentum) {}

  // A stretch of a gradient; each stretch once for each gradient, in any order.
  //   gradient  [n] f32  read and written: values [begin, begin + n) of the vector; those behind
  //                      the trainable ones stay as they are
  void AddTo(int64_t begin, std::span<float> gradient);

  // Of the values [begin, begin + count); empty: all 0.
  std::span<float> Velocity(int64_t begin, int64_t count);

  // What follows does not go on from what was.
  void Clear() { velocity_.clear(); }

 private:
  int64_t size_;
  int64_t whole_;
  double momentum_;
  std::vector<float> velocity_;  // [whole_], 0 from size_ on, or empty: all 0
};

}  // namespace weft::engine
