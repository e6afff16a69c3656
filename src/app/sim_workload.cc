#include "app/sim_workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/job_spec.h"
#include "engine/local_steps.h"
#include "kernel/update.h"

namespace weft::app {

TrainingWorkload::TrainingWorkload(std::shared_ptr<const Job> job,
                                   std::unique_ptr<engine::Engine> engine, std::vector<float> start)
    : job_(std::move(job)), engine_(std::move(engine)), start_(std::move(start)) {}

Result<std::shared_ptr<TrainingWorkload>> TrainingWorkload::Make(std::shared_ptr<const Job> job) {
  engine::EngineOptions options;
  options.threads = 1;
  options.kernels = job->config.cluster.kernels;
  options.seed = static_cast<uint64_t>(job->config.job.seed);
  if (AggregationOf(job->config).TrainsLocally()) {
    options.state_vectors = engine::StateVectors(OptimizerOf(job->config.optimizer));
  }
  ASSIGN_OR_RETURN(auto engine, engine::Engine::Create(job->graph, options));
  ASSIGN_OR_RETURN(std::vector<float> start, StartParameters(*job));
  return std::shared_ptr<TrainingWorkload>(
      new TrainingWorkload(std::move(job), std::move(engine), std::move(start)));
}

Result<sim::Workload::Computed> TrainingWorkload::Compute(std::span<const float> parameters,
                                                          const cluster::Compute& compute,
                                                          int device) {
  const cluster::Lease& lease = compute.lease;
  data::ReadBatch(*job_->train, job_->order,
                  {.epoch = lease.epoch, .begin = lease.begin, .count = lease.count}, &batch_);
  Computed computed;
  computed.gradient.resize(parameters.size());
  ASSIGN_OR_RETURN(const engine::StepResult result,
                   AggregationOf(job_->config).TrainsLocally()
                       ? LocalUpdate(parameters, compute, device, computed.gradient)
                       : Gradient(parameters, computed.gradient));
  computed.loss_sum = result.loss_sum;
  computed.correct = result.correct;
  if (std::isfinite(result.loss_sum) && kernel::AllFinite(computed.gradient)) return computed;
  return FailedPrecondition(fmt::format(
      "step {}: the loss or its gradient is not finite: try a lower optimizer.lr", lease.step));
}

// Of batch_.
Result<engine::StepResult> TrainingWorkload::Gradient(std::span<const float> parameters,
                                                      std::span<float> gradient) {
  RETURN_IF_ERROR(engine_->Prepare(plan::Mode::kTrain, batch_.size));
  engine_->SetParameters(parameters);
  ASSIGN_OR_RETURN(const engine::StepResult result, engine_->Train(batch_));
  engine_->GetGradient(gradient);
  return result;
}

Result<engine::StepResult> TrainingWorkload::LocalUpdate(std::span<const float> parameters,
                                                         const cluster::Compute& compute,
                                                         int device, std::span<float> update) {
  engine_->ResetOptimizer();
  engine::Engine::OptimizerMemory* memory = compute.local_steps > 0 ? &memories_[device] : nullptr;
  if (memory != nullptr) engine_->ExchangeOptimizer(memory);
  const int64_t steps = job_->config.cluster.local_steps;
  const engine::LocalOptions local = {
      .steps = compute.local_steps > 0 ? compute.local_steps : steps,
      .least = job_->least_local_batch(),
      .optimizer = OptimizerOf(job_->config.optimizer),
      .lr = compute.lr,
      .final_statistics = compute.local_steps > 0};
  auto result = engine::TrainLocally(engine_.get(), batch_, local, parameters, update);
  if (memory != nullptr) engine_->ExchangeOptimizer(memory);
  return result;
}

cluster::Snapshot TrainingWorkload::Start() {
  return {.step = 0, .version = 0, .parameters = start_, .optimizer = {}};
}

}  // namespace weft::app
