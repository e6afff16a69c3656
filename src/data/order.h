#pragma once
// EpochOrder: the order of the samples in one epoch, a pure function of (seed, epoch), by random
// access and without a table, so that any device can work out any lease for itself.

#include <cstdint>

namespace weft::data {

// A permutation of 0..n-1: a balanced Feistel network over the next even number of bits, walked
// until the value lands below n (Black and Rogaway 2002, "Ciphers with arbitrary finite domains",
// cycle walking).
class EpochOrder {
 public:
  // shuffle = false gives the identity (for evaluation).
  EpochOrder(uint64_t seed, int64_t epoch, int64_t n, bool shuffle = true);

  int64_t size() const { return n_; }
  // The sample at position `at` (0..n-1).
  int64_t operator[](int64_t at) const;

 private:
  // Four rounds leave a bias of some percent on sets of ten samples; eight leave none that ten
  // thousand epochs would show.
  static constexpr int kRounds = 8;

  int64_t n_;
  bool shuffle_;
  int half_bits_ = 0;
  uint64_t keys_[kRounds] = {};
};

}  // namespace weft::data
