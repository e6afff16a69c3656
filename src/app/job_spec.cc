#include "app/job_spec.h"

#include "app/job_text.h"
#include "base/check.h"
#include "data/sample_packet.h"

namespace weft::app {

engine::OptimizerOptions OptimizerOf(const config::OptimizerOptions& optimizer) {
  const auto kind = engine::OptimizerFromName(optimizer.name);
  CHECK(kind.ok()) << "checked by config";
  engine::OptimizerOptions options;
  options.kind = *kind;
  options.momentum = optimizer.momentum;
  options.nesterov = optimizer.nesterov;
  options.beta1 = optimizer.beta1;
  options.beta2 = optimizer.beta2;
  options.eps = optimizer.eps;
  options.weight_decay = optimizer.weight_decay;
  return options;
}

namespace {

engine::ScheduleOptions ScheduleOf(const config::OptimizerOptions& optimizer,
                                   int64_t steps_per_epoch) {
  const auto kind = engine::ScheduleFromName(optimizer.schedule);
  CHECK(kind.ok()) << "checked by config";
  engine::ScheduleOptions options;
  options.kind = *kind;
  options.lr = optimizer.lr;
  options.warmup_steps = optimizer.warmup_steps;
  for (const int64_t epoch : optimizer.step_epochs) {
    options.decay_steps.push_back(epoch * steps_per_epoch);
  }
  options.decay = optimizer.step_factor;
  options.final_lr = optimizer.min_lr;
  return options;
}

}  // namespace

cluster::JobSpec JobSpecOf(const Job& job, const JobSpecExtras& extras) {
  const config::RunConfig& config = job.config;
  cluster::JobSpec spec;
  spec.run = extras.run;
  spec.token = extras.token;
  JobText text{.config = config, .fed = std::nullopt};
  if (extras.feed_samples) {
    spec.fed_sample_bytes = data::PacketBytesOfSample(*job.source);
    text.fed = FedData{data::FactsOf(*job.source), spec.fed_sample_bytes};
  }
  spec.job = ToJson(text);
  spec.model = job.model_text;
  spec.samples = job.train->size();
  spec.shard_samples = job.shard_samples;
  spec.epochs = config.job.epochs;
  spec.batch = config.job.batch;
  spec.deterministic = config.job.deterministic;
  spec.slots = config.cluster.workers;
  spec.shares = config.cluster.shares;
  spec.checkpoint_every = config.job.checkpoint_every;
  // Whether the target is reached must not depend on how fast the evaluation is.
  spec.pause_for_eval = config.job.target_accuracy > 0;
  spec.start_workers = extras.start_workers;
  spec.heartbeat_ms = config.cluster.heartbeat_ms;
  spec.device_timeout_ms = config.cluster.device_timeout_ms;
  spec.schedule = ScheduleOf(config.optimizer, job.steps_per_epoch());
  spec.optimizer = OptimizerOf(config.optimizer);
  spec.trainable_count = job.graph->trainable_count();
  for (const model::Parameter& parameter : job.graph->parameters()) {
    if (parameter.trainable()) continue;
    spec.statistics.push_back({.begin = parameter.offset,
                               .count = parameter.shape.elements(),
                               .momentum = parameter.momentum});
  }
  spec.codec_up = config.link.codec;
  spec.codec_down = config.link.down_codec;
  return spec;
}

}  // namespace weft::app
