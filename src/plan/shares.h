#pragma once
// Batch shares: how many samples of a step each part of the batch gets.

#include <cstdint>
#include <span>
#include <vector>

namespace weft::plan {

// `total` samples in `parts` shares that differ by at most one, larger ones first. parts > 0.
std::vector<int64_t> EqualShares(int64_t total, int64_t parts);

// Shares in proportion to the weights, by largest remainder (ties to the lower index): exact sum,
// each share within one of its quota. Weights must be finite, not negative, and not all 0.
std::vector<int64_t> ProportionalShares(int64_t total, std::span<const double> weights);

}  // namespace weft::plan
