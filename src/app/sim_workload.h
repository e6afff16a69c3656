#pragma once
// TrainingWorkload: real training as the work of simulated devices: each lease goes through the
// engine, on one thread and without a clock, so that a lease and its parameters give the same bits
// whenever they come. For that, local steps begin with a new state of the optimizer each time, as
// on devices of a deterministic job; other real devices keep theirs.

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/job.h"
#include "base/status.h"
#include "data/batches.h"
#include "engine/engine.h"
#include "sim/workload.h"

namespace weft::app {

class TrainingWorkload : public sim::Workload {
 public:
  // Errors: those of StartParameters and the engine.
  static Result<std::shared_ptr<TrainingWorkload>> Make(std::shared_ptr<const Job> job);

  base::Result<Computed> Compute(std::span<const float> parameters, const cluster::Compute& compute,
                                 int device) override;
  cluster::Snapshot Start() override;

 private:
  TrainingWorkload(std::shared_ptr<const Job> job, std::unique_ptr<engine::Engine> engine,
                   std::vector<float> start);

  Result<engine::StepResult> Gradient(std::span<const float> parameters, std::span<float> gradient);
  Result<engine::StepResult> LocalUpdate(std::span<const float> parameters,
                                         const cluster::Compute& compute, int device,
                                         std::span<float> update);

  const std::shared_ptr<const Job> job_;
  std::map<int, engine::Engine::OptimizerMemory> memories_;  // by device, of adapted local steps
  const std::unique_ptr<engine::Engine> engine_;
  const std::vector<float> start_;
  data::Batch batch_;  // reused
};

}  // namespace weft::app
