#include "codec/select_top.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace weft::codec {
namespace {

// As integers, magnitudes have the order that they have as numbers.
uint32_t Magnitude(float value) { return std::bit_cast<uint32_t>(value) & 0x7FFFFFFFu; }

}  // namespace

void TopSelector::CountBins(std::span<const float> values) {
  std::fill(std::begin(bins_), std::end(bins_), uint16_t{0});
  for (const float value : values) ++bins_[Magnitude(value) >> kBinShift];
}

// The highest bin with which at least k are counted; `above` becomes how many lie in higher ones.
size_t TopSelector::FindBin(size_t k, size_t* above) const {
  size_t bin = kBins - 1;
  *above = 0;
  for (; *above + bins_[bin] < k; --bin) *above += bins_[bin];
  return bin;
}

void TopSelector::Select(std::span<const float> values, size_t k,
                         std::vector<uint16_t>* positions) {
  CHECK_LE(k, values.size());
  CHECK_LE(values.size(), kMaxSpan);
  positions->clear();
  if (k == 0) return;
  CountBins(values);
  size_t above = 0;
  const size_t bin = FindBin(k, &above);
  border_.clear();
  for (const float value : values) {
    if (Magnitude(value) >> kBinShift == bin) border_.push_back(Magnitude(value));
  }
  const auto kth = border_.begin() + static_cast<std::ptrdiff_t>(k - above - 1);
  std::nth_element(border_.begin(), kth, border_.end(), std::greater<>());
  const uint32_t least = *kth;
  size_t equals = k - above;  // of those at `least` that are taken
  for (auto it = border_.begin(); it != kth; ++it) equals -= *it > least ? 1 : 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t magnitude = Magnitude(values[i]);
    if (magnitude < least || (magnitude == least && equals == 0)) continue;
    if (magnitude == least) --equals;
    positions->push_back(static_cast<uint16_t>(i));
  }
}

void SelectAbove(std::span<const float> values, float threshold, std::vector<uint16_t>* positions) {
  CHECK_LE(values.size(), kMaxSpan);
  positions->clear();
  const uint32_t border = Magnitude(threshold);
  for (size_t i = 0; i < values.size(); ++i) {
    if (Magnitude(values[i]) > border) positions->push_back(static_cast<uint16_t>(i));
  }
}

}  // namespace weft::codec
