#include "plan/memory.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "tensor/arena.h"

namespace weft::plan {
namespace {

bool Overlap(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

}  // namespace

MemoryPlan PlanMemory(const std::vector<Lifetime>& lifetimes) {
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });

  MemoryPlan plan;
  plan.offsets.assign(lifetimes.size(), 0);
  std::vector<size_t> placed;  // indices in order of offset
  for (size_t index : order) {
    const Lifetime& life = lifetimes[index];
    if (life.bytes == 0) continue;
    const size_t bytes = tensor::AlignUp(life.bytes);
    size_t at = 0;
    for (size_t other : placed) {
      if (!Overlap(life, lifetimes[other])) continue;
      if (plan.offsets[other] >= at + bytes) break;  // the gap before it is wide enough
      at = std::max(at, plan.offsets[other] + tensor::AlignUp(lifetimes[other].bytes));
    }
    plan.offsets[index] = at;
    plan.total_bytes = std::max(plan.total_bytes, at + bytes);
    const auto position =
        std::upper_bound(placed.begin(), placed.end(), index,
                         [&](size_t a, size_t b) { return plan.offsets[a] < plan.offsets[b]; });
    placed.insert(position, index);
  }
  return plan;
}

size_t MemoryFloor(const std::vector<Lifetime>& lifetimes) {
  std::map<int, int64_t> change;
  for (const Lifetime& life : lifetimes) {
    const auto bytes = static_cast<int64_t>(tensor::AlignUp(life.bytes));
    change[life.first] += bytes;
    change[life.last + 1] -= bytes;
  }
  int64_t alive = 0;
  int64_t most = 0;
  for (const auto& [step, delta] : change) {
    alive += delta;
    most = std::max(most, alive);
  }
  return static_cast<size_t>(most);
}

}  // namespace weft::plan
