#include "app/trainer.h"

#include <fmt/format.h>

#include <cmath>

#include "base/clock.h"
#include "base/log.h"
#include "kernel/update.h"

namespace weft::app {
namespace {

data::BatchRange RangeOf(const cluster::Lease& lease) {
  return {.epoch = lease.epoch, .begin = lease.begin, .count = lease.count};
}

cluster::UpdateEncoder::Options EncoderOptions(const Job& job) {
  cluster::UpdateEncoder::Options options;
  options.size = job.graph->parameter_count();
  // What a device leaves out depends on the device, so a deterministic job does without.
  options.residual_size = job.config.job.deterministic ? 0 : job.graph->trainable_count();
  return options;
}

Status NotFinite(const char* what, double value, int64_t step) {
  return FailedPrecondition(
      fmt::format("step {}: the {} is {}, want a finite number: try a lower optimizer.lr, "
                  "optimizer.warmup_steps, or data.normalise = true",
                  step, what, value));
}

}  // namespace

Trainer::Trainer(std::shared_ptr<const Job> job, std::unique_ptr<engine::Engine> engine,
                 std::unique_ptr<codec::Codec> up, std::unique_ptr<codec::Codec> down)
    : job_(std::move(job)),
      engine_(std::move(engine)),
      down_(std::move(down)),
      encoder_(std::move(up), EncoderOptions(*job_)),
      reader_(job_->train.get(), {.seed = static_cast<uint64_t>(job_->config.job.seed)}),
      flat_(static_cast<size_t>(job_->graph->parameter_count())) {}

Result<std::unique_ptr<Trainer>> Trainer::Make(std::shared_ptr<const Job> job, int threads,
                                               size_t memory_budget) {
  engine::EngineOptions options;
  options.threads = threads;
  options.kernels = job->config.cluster.kernels;
  options.seed = static_cast<uint64_t>(job->config.job.seed);
  options.clock = job->config.job.deterministic ? nullptr : &base::SystemClock();
  options.memory_budget = memory_budget;
  if (memory_budget > 0) {
    // A lease of any size can go through one sample at a time if one of two samples can. Apart from
    // the engine, whose first plan settles how the weights lie.
    ASSIGN_OR_RETURN(const auto probe, engine::Engine::Create(job->graph, options));
    RETURN_IF_ERROR(probe->Prepare(plan::Mode::kTrain, 2));
  }
  ASSIGN_OR_RETURN(auto engine, engine::Engine::Create(job->graph, options));
  ASSIGN_OR_RETURN(auto up, codec::MakeCodec(job->config.link.codec));
  ASSIGN_OR_RETURN(auto down, codec::MakeCodec(job->config.link.down_codec));
  return std::unique_ptr<Trainer>(
      new Trainer(std::move(job), std::move(engine), std::move(up), std::move(down)));
}

void Trainer::ReadAhead(const cluster::Lease& lease) { reader_.Prefetch(RangeOf(lease)); }

void Trainer::Settle(const cluster::Settled& settled) {
  encoder_.Settle(settled.term, settled.lease, settled.applied);
}

Result<cluster::Worker::Update> Trainer::Compute(const cluster::Compute& compute) {
  const cluster::Lease& lease = compute.lease;
  const TimePoint start = base::SystemClock().Now();
  RETURN_IF_ERROR(engine_->Prepare(plan::Mode::kTrain, lease.count));
  const std::string& given_up = engine_->plan(plan::Mode::kTrain, lease.count).given_up;
  if (given_up != given_up_) base::LogInfo("{}", given_up_ = given_up);
  RETURN_IF_ERROR(down_->Decode(*compute.parameters, flat_).Annotate("parameters"));
  engine_->SetParameters(flat_);
  data::Batch batch = reader_.Get(RangeOf(lease));
  ASSIGN_OR_RETURN(const engine::StepResult result, engine_->Train(batch));
  reader_.Recycle(std::move(batch));
  if (!std::isfinite(result.loss_sum)) return NotFinite("loss", result.loss(), lease.step);
  engine_->GetGradient(flat_);
  if (!kernel::AllFinite(flat_)) return NotFinite("gradient", NAN, lease.step);
  ASSIGN_OR_RETURN(cluster::Payload packet, encoder_.Encode(compute.term, lease, flat_));
  const double seconds = base::Seconds(base::SystemClock().Now() - start);
  cluster::Worker::Update update;
  update.loss_sum = result.loss_sum;
  update.correct = result.correct;
  update.gradient = std::move(packet);
  update.samples_per_second = static_cast<double>(lease.count) / std::max(seconds, 1e-9);
  update.seconds = seconds;
  return update;
}

}  // namespace weft::app
