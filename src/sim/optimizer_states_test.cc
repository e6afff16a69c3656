#include "sim/optimizer_states.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/toy.h"

namespace weft::sim {
namespace {

OptimizerStates::State StateOf(const cluster::Range& range, int64_t step, float value) {
  const auto trained = static_cast<size_t>(std::clamp<int64_t>(8 - range.begin, 0, range.count));
  OptimizerStates::State state{.range = range, .step = step, .parameters = {}, .optimizer = {}};
  state.parameters.assign(static_cast<size_t>(range.count), value);
  state.optimizer.steps = step;
  state.optimizer.moments = {{"velocity", std::vector<float>(trained, 10 * value)}};
  return state;
}

TEST(OptimizerStates, PutTogetherRangesWithTheseBits) {
  const cluster::JobSpec spec = ToyJob(16, 1, 8);
  OptimizerStates states(&spec);
  states.Keep(StateOf({0, 16}, 1, 1));
  states.Keep(StateOf({0, 6}, 2, 2));
  states.Keep(StateOf({6, 10}, 2, 3));
  std::vector<float> parameters(16, 3);
  EXPECT_FALSE(states.Find(parameters));
  std::fill(parameters.begin(), parameters.begin() + 6, 2.0f);
  const auto found = states.Find(parameters);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->steps, 2);
  EXPECT_EQ(found->moments[0].values, (std::vector<float>{20, 20, 20, 20, 20, 20, 30, 30}));
  EXPECT_TRUE(states.Find(std::vector<float>(16, 1)));
}

TEST(OptimizerStates, KnowWhatTheyHaveNot) {
  const cluster::JobSpec spec = ToyJob(16, 1, 8);
  OptimizerStates states(&spec);
  states.Keep(StateOf({0, 16}, 1, 1));
  states.Keep(StateOf({0, 6}, 2, 2));
  EXPECT_TRUE(states.Has(1));
  EXPECT_FALSE(states.Has(2)) << "a part of it is missing";
  states.Forget(2);
  EXPECT_FALSE(states.Has(1));
  EXPECT_FALSE(states.empty());
  states.Keep(StateOf({6, 10}, 2, 2));
  EXPECT_TRUE(states.Has(2));
  states.NoteGap();
  EXPECT_FALSE(states.Has(2));
}

}  // namespace
}  // namespace weft::sim
