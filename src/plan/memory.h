#pragma once
// Memory planner: buffers with lifetimes become offsets in one arena. Greedy by size: the largest
// buffer first, each at the lowest offset that is free during its whole life. Source: Pisarchyk and
// Lee 2020, "Efficient Memory Management for Deep Neural Net Inference", section 5.2.

#include <cstddef>
#include <vector>

namespace weft::plan {

struct Lifetime {
  size_t bytes = 0;
  int first = 0;  // step that writes it
  int last = 0;   // last step that reads it, inclusive
};

struct MemoryPlan {
  std::vector<size_t>
      offsets;  // one a lifetime; multiples of tensor::kAlignment; 0 where bytes is 0
  size_t total_bytes = 0;
};

MemoryPlan PlanMemory(const std::vector<Lifetime>& lifetimes);

// Most bytes alive at one step: no plan can do with less.
size_t MemoryFloor(const std::vector<Lifetime>& lifetimes);

}  // namespace weft::plan
