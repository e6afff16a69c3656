#pragma once
// OptimizerStates: what ranges of the parameters and their optimizers were, as far back as the hub
// may go on from it.

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "cluster/job_spec.h"
#include "cluster/message.h"

namespace weft::sim {

// Threads: one.
class OptimizerStates {
 public:
  static constexpr size_t kMostBytes = size_t{64} << 20;

  // `spec` must outlive it.
  explicit OptimizerStates(const cluster::JobSpec* spec) : spec_(spec) {}

  struct State {
    cluster::Range range;
    int64_t step = 0;  // the next one
    std::vector<float> parameters;
    engine::OptimizerState optimizer;
  };
  void Keep(State state);
  // No start of the hub goes on from a step before this one.
  void Forget(int64_t step);
  // There was a state that was not kept.
  void NoteGap() { gaps_ = true; }

  bool empty() const { return states_.empty(); }
  // All of the vector was kept as it was before this step, and nothing is missing.
  bool Has(int64_t step) const;
  // The optimizer's memory that goes with these parameters, of the whole vector: put together from
  // ranges, the newest with these bits.
  std::optional<engine::OptimizerState> Find(std::span<const float> parameters) const;

 private:
  std::vector<const State*> Tile(std::span<const float> parameters) const;

  const cluster::JobSpec* const spec_;
  std::deque<State> states_;  // as they came to be
  size_t bytes_ = 0;
  bool gaps_ = false;
};

}  // namespace weft::sim
