#pragma once
// TrainLocally: several optimizer steps of one device on one batch, as one update for others to
// combine: what the parameters lost on the way, the pseudo-gradient of an outer optimizer.
// Source: Douillard et al. 2023, DiLoCo, algorithm 1, lines 4-9.

#include <cstdint>
#include <span>

#include "base/status.h"
#include "data/batches.h"
#include "engine/engine.h"

namespace weft::engine {

struct LocalOptions {
  int64_t steps = 1;  // at most
  int64_t least = 1;  // samples of a step: of a small batch there are fewer steps
  OptimizerOptions optimizer;
  double lr = 0;
  // Of running statistics the update holds those that the device arrived at, and not the measured
  // ones.
  bool final_statistics = false;
};

// How many steps are made of so many samples: options.steps, or as many as have options.least
// samples each, rounded up.
int64_t LocalStepsOf(const LocalOptions& options, int64_t samples);

// The batch is cut into LocalStepsOf parts of equal sizes (to one sample), in order, and each is an
// Engine::TrainAndApply. The optimizer's state goes on from the engine's last update.
//   start   [n] f32  read: the parameters to start from
//   update  [n] f32  written: start - end of the trained ones; of running statistics the measured
//                    ones, later steps weighing more, such that an update of the running ones by
//                    StatisticWeight gives those that the device arrived at
// Returns losses and hits as they were before each part's step. Errors: those of TrainAndApply.
Result<StepResult> TrainLocally(Engine* engine, const data::Batch& batch,
                                const LocalOptions& options, std::span<const float> start,
                                std::span<float> update);

// 1 - (1 - momentum)^steps: how much of running statistics so many steps replace.
double StatisticWeight(double momentum, int64_t steps);

}  // namespace weft::engine
