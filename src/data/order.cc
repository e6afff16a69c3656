#include "data/order.h"

#include "base/check.h"
#include "base/rng.h"

namespace weft::data {

EpochOrder::EpochOrder(uint64_t seed, int64_t epoch, int64_t n, bool shuffle)
    : n_(n), shuffle_(shuffle && n > 1) {
  CHECK(n >= 0) << "an order of " << n << " samples";
  half_bits_ = 1;
  while (half_bits_ < 31 && (int64_t{1} << (2 * half_bits_)) < n) ++half_bits_;
  CHECK(n <= int64_t{1} << (2 * half_bits_)) << "an order of " << n << " samples";
  const uint64_t epoch_seed = base::DeriveSeed(seed, static_cast<uint64_t>(epoch));
  for (int round = 0; round < kRounds; ++round) {
    keys_[round] = base::DeriveSeed(epoch_seed, static_cast<uint64_t>(round));
  }
}

int64_t EpochOrder::operator[](int64_t at) const {
  DCHECK(at >= 0 && at < n_);
  if (!shuffle_) return at;
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t value = static_cast<uint64_t>(at);
  // The domain is less than four times n, so the walk takes under four turns on average; it ends
  // because the cycle that holds `at` comes back to it.
  do {
    uint64_t left = value >> half_bits_;
    uint64_t right = value & mask;
    for (const uint64_t key : keys_) {
      const uint64_t mixed = left ^ (base::Mix(key ^ right) & mask);
      left = right;
      right = mixed;
    }
    value = (left << half_bits_) | right;
  } while (value >= static_cast<uint64_t>(n_));
  return static_cast<int64_t>(value);
}

}  // namespace weft::data
