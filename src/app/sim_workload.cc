#include "app/sim_workload.h"

#include <fmt/format.h>

#include <cmath>

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
  ASSIGN_OR_RETURN(auto engine, engine::Engine::Create(job->graph, options));
  ASSIGN_OR_RETURN(std::vector<float> start, StartParameters(*job));
  return std::shared_ptr<TrainingWorkload>(
      new TrainingWorkload(std::move(job), std::move(engine), std::move(start)));
}

Result<sim::Workload::Computed> TrainingWorkload::Compute(std::span<const float> parameters,
                                                          const cluster::Lease& lease) {
  RETURN_IF_ERROR(engine_->Prepare(plan::Mode::kTrain, lease.count));
  engine_->SetParameters(parameters);
  data::ReadBatch(*job_->train, job_->order,
                  {.epoch = lease.epoch, .begin = lease.begin, .count = lease.count}, &batch_);
  ASSIGN_OR_RETURN(const engine::StepResult result, engine_->Train(batch_));
  Computed computed;
  computed.gradient.resize(parameters.size());
  engine_->GetGradient(computed.gradient);
  computed.loss_sum = result.loss_sum;
  computed.correct = result.correct;
  if (std::isfinite(result.loss_sum) && kernel::AllFinite(computed.gradient)) return computed;
  return FailedPrecondition(fmt::format(
      "step {}: the loss or its gradient is not finite: try a lower optimizer.lr", lease.step));
}

cluster::Snapshot TrainingWorkload::Start() {
  return {.step = 0, .version = 0, .parameters = start_, .optimizer = {}};
}

}  // namespace weft::app
