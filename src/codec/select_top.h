#pragma once
// SelectTop: the k largest magnitudes of a chunk, in linear time. A histogram over the upper bits
// of the magnitudes finds the bin that the k-th falls into; of that bin alone the order is asked.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/positions.h"

namespace weft::codec {

// Of k equal magnitudes those that stand first. Threads: one per object.
class TopSelector {
 public:
  //   values     [n] f32, finite, n <= kMaxSpan
  //   k          at most n
  //   positions  [k] u16, ascending, in place of what it held
  void Select(std::span<const float> values, size_t k, std::vector<uint16_t>* positions);

 private:
  // Eight bits of exponent and three of mantissa.
  static constexpr int kBinShift = 20;
  static constexpr size_t kBins = 1 << 11;

  void CountBins(std::span<const float> values);
  size_t FindBin(size_t k, size_t* above) const;

  uint16_t bins_[kBins];
  std::vector<uint32_t> border_;  // magnitudes within the bin of the k-th
};

// The positions of all magnitudes above the threshold.
void SelectAbove(std::span<const float> values, float threshold, std::vector<uint16_t>* positions);

}  // namespace weft::codec
