#pragma once
// Where the gradients of a vector's stretches become final one after another, a leader of one
// contiguous range would get all of it at once while the other leaders' links are idle. So each
// leader leads a part of every stretch, and each stretch is carried by all of their links.

#include <cstdint>
#include <span>
#include <vector>

#include "plan/leaders.h"

namespace weft::plan {

struct CutOptions {
  int64_t fewest_values = 4096;  // of a part; stretches too short for that are joined
  int64_t alignment = 64;        // parts of a stretch begin at multiples of it, from its begin
};

// The same leaders with as many values each, in parts of every stretch.
//   ranges   tile the vector; of one leader alone, or without stretches, they stay
//   begins   of the stretches but the first, ascending
std::vector<LedRange> CutAlong(std::span<const LedRange> ranges, std::span<const int64_t> begins,
                               const CutOptions& options = {});

// The contiguous ranges that parts of such leaders are the same as: one a leader, in the order in
// which they come first. The standby is 0 where its parts have different ones.
std::vector<LedRange> Joined(std::span<const LedRange> parts);

}  // namespace weft::plan
