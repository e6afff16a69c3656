#include "codec/selectors.h"

#include <algorithm>
#include <cmath>

namespace weft::codec {

size_t ShareOf(double density, size_t count) {
  const double share = std::ceil(density * static_cast<double>(count));
  return std::min(count, static_cast<size_t>(share));
}

void SelectChunkTop::Select(std::span<const float> chunk, std::vector<uint16_t>* positions) {
  top_->Select(chunk, ShareOf(density_, chunk.size()), positions);
}

void SelectAboveQuantile::Begin(const Piece& piece, const Sums& sums) {
  const int64_t begin = range_begin_ + static_cast<int64_t>(piece.begin);
  float& last = last_->try_emplace(begin, -1.0f).first->second;
  const size_t k = ShareOf(density_, sums.size());
  threshold_ = FindThreshold(sums, k, last, static_cast<uint64_t>(begin), sample_).value;
  last = threshold_;
}

void SelectAboveQuantile::Select(std::span<const float> chunk, std::vector<uint16_t>* positions) {
  SelectAbove(chunk, threshold_, positions);
}

}  // namespace weft::codec
