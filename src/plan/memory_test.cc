#include "plan/memory.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "tensor/arena.h"

namespace weft::plan {
namespace {

void ExpectSound(const std::vector<Lifetime>& lives, const MemoryPlan& plan) {
  for (size_t a = 0; a < lives.size(); ++a) {
    EXPECT_EQ(plan.offsets[a] % tensor::kAlignment, 0u);
    EXPECT_TRUE(lives[a].bytes == 0 || plan.offsets[a] + lives[a].bytes <= plan.total_bytes);
    for (size_t b = 0; b < a; ++b) {
      const bool together = lives[a].first <= lives[b].last && lives[b].first <= lives[a].last;
      if (!together || lives[a].bytes == 0 || lives[b].bytes == 0) continue;
      const bool apart = plan.offsets[a] + lives[a].bytes <= plan.offsets[b] ||
                         plan.offsets[b] + lives[b].bytes <= plan.offsets[a];
      EXPECT_TRUE(apart) << "buffers " << b << " and " << a << " share memory while both live";
    }
  }
}

TEST(MemoryPlan, ReusesMemoryOfTheDead) {
  const std::vector<Lifetime> lives = {{1000, 0, 1}, {1000, 2, 3}, {500, 1, 2}};
  const MemoryPlan plan = PlanMemory(lives);
  ExpectSound(lives, plan);
  EXPECT_EQ(plan.offsets[0], plan.offsets[1]);
  EXPECT_EQ(plan.total_bytes, 1024u + 512u);
}

TEST(MemoryPlan, EmptyBuffersTakeNothing) {
  EXPECT_EQ(PlanMemory({}).total_bytes, 0u);
  EXPECT_EQ(PlanMemory({{0, 0, 9}}).total_bytes, 0u);
}

TEST(MemoryPlan, RandomLifetimesNeverCollideAndStayNearTheFloor) {
  base::Rng rng(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> lives;
    const int n = 1 + static_cast<int>(rng.NextBelow(60));
    for (int i = 0; i < n; ++i) {
      const int first = static_cast<int>(rng.NextBelow(40));
      lives.push_back({rng.NextBelow(5000), first, first + static_cast<int>(rng.NextBelow(10))});
    }
    const MemoryPlan plan = PlanMemory(lives);
    ExpectSound(lives, plan);
    EXPECT_GE(plan.total_bytes, MemoryFloor(lives));
    EXPECT_LE(plan.total_bytes, 2 * MemoryFloor(lives));
  }
}

}  // namespace
}  // namespace weft::plan
