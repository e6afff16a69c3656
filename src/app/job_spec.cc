#include "app/job_spec.h"

#include <algorithm>

#include "app/job_text.h"
#include "base/check.h"
#include "data/sample_packet.h"
#include "engine/local_steps.h"
#include "kernel/backend.h"
#include "plan/gradient_times.h"

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

aggregate::Mode ModeOf(const std::string& aggregation) {
  if (aggregation == "ssp") return aggregate::Mode::kSsp;
  if (aggregation == "async") return aggregate::Mode::kAsync;
  if (aggregation == "buffered") return aggregate::Mode::kBuffered;
  return aggregate::Mode::kSync;
}

aggregate::Combine CombineOf(const std::string& combine) {
  if (combine == "median") return aggregate::Combine::kMedian;
  if (combine == "trimmed-mean") return aggregate::Combine::kTrimmedMean;
  return aggregate::Combine::kMean;
}

// Running statistics of the model, and how much of them an update replaces.
std::vector<engine::StatisticStretch> StatisticsOf(const model::Graph& graph, int64_t local_steps) {
  std::vector<engine::StatisticStretch> statistics;
  for (const model::Parameter& parameter : graph.parameters()) {
    if (parameter.trainable()) continue;
    statistics.push_back({.begin = parameter.offset,
                          .count = parameter.shape.elements(),
                          .momentum = engine::StatisticWeight(parameter.momentum, local_steps)});
  }
  return statistics;
}

cluster::SiteSums SiteSumsOf(const std::string& name) {
  if (name == "always") return cluster::SiteSums::kAlways;
  return name == "never" ? cluster::SiteSums::kNever : cluster::SiteSums::kAuto;
}

// Local steps have no gradient that is final before their end.
bool PushesEarly(const config::RunConfig& config) {
  return config.cluster.leaders != 1 && !AggregationOf(config).TrainsLocally();
}

// Links may ask for local steps where nobody else has a say in when updates are joined.
bool AdaptsLocalSteps(const config::RunConfig& config) {
  return config.link.codec == "auto" && config.cluster.local_steps == 1 &&
         config.cluster.aggregation == "sync" && config.link.most_local_steps > 1 &&
         !config.job.deterministic && config.data.placement != "local" &&
         config.optimizer.name == "sgd";
}

}  // namespace

// As many local steps as links ask for are, if they ask for one, a step of the batch: then the mean
// of what the devices arrive at is what a leader's step would be.
aggregate::Options AggregationOf(const config::RunConfig& config) {
  const config::ClusterOptions& cluster = config.cluster;
  const bool adapts = AdaptsLocalSteps(config);
  return {.mode = ModeOf(cluster.aggregation),
          .automatic = cluster.aggregation == "auto",
          .combine = CombineOf(cluster.combine),
          .trim = cluster.trim,
          .quorum = cluster.quorum,
          .over_selection = cluster.over_selection,
          .max_staleness = cluster.max_staleness,
          .staleness_exponent = cluster.staleness_exponent,
          .delay_compensation = cluster.delay_compensation,
          .buffer = cluster.buffer,
          .local_steps = cluster.local_steps,
          .outer_lr = adapts ? 1 : cluster.outer_lr,
          .outer_momentum = adapts ? 0 : cluster.outer_momentum,
          .most_local_steps = adapts ? config.link.most_local_steps : 0};
}

std::vector<codec::Tensor> TensorsOf(const model::Graph& graph) {
  std::vector<codec::Tensor> tensors;
  for (const model::Parameter& parameter : graph.parameters()) {
    const bool matrix = parameter.kind == model::Parameter::Kind::kWeight;
    tensors.push_back({.begin = parameter.offset,
                       .count = parameter.shape.elements(),
                       .rows = matrix ? parameter.shape[0] : 1,
                       .trained = parameter.trainable()});
  }
  std::ranges::sort(tensors, {}, &codec::Tensor::begin);
  return tensors;
}

codec::CodecOptions UpCodecOf(const Job& job) {
  const config::LinkOptions& link = job.config.link;
  return {.name = link.codec,
          .density = link.density,
          .values = link.values,
          .rank = link.rank,
          .warmup = link.warmup_steps,
          .flush = link.flush_updates,
          .tensors = TensorsOf(*job.graph)};
}

// Warm-up and flush are for what a device adds up.
codec::CodecOptions DownCodecOf(const Job& job) {
  const config::LinkOptions& link = job.config.link;
  return {.name = link.down_codec,
          .density = link.down_density,
          .values = link.down_values,
          .rank = link.rank,
          .warmup = 0,
          .flush = 0,
          .tensors = TensorsOf(*job.graph)};
}

bool CorrectsMomentum(const Job& job) {
  return cluster::CorrectsMomentum(UpCodecOf(job), AggregationOf(job.config),
                                   OptimizerOf(job.config.optimizer));
}

std::vector<int64_t> StretchBeginsOf(const model::Graph& graph) {
  constexpr int64_t kBatch = 2;  // of any size layers follow each other in the same order
  const auto backend = kernel::MakeBackend("winograd", {.threads = 1});
  CHECK(backend.ok()) << "known to every build";
  const auto times = plan::StretchTimes(graph, backend->get(), kBatch, nullptr);
  if (!times.ok()) return {};
  std::vector<int64_t> begins;
  for (size_t i = 1; i < times->size(); ++i) {
    const plan::StretchTime& stretch = (*times)[i];
    if (stretch.final_at != (*times)[i - 1].final_at) begins.push_back(stretch.begin);
  }
  return begins;
}

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
  spec.statistics = StatisticsOf(*job.graph, config.cluster.local_steps);
  spec.codec_up = UpCodecOf(job);
  spec.codec_down = DownCodecOf(job);
  spec.link_budget = config.link.budget;
  spec.aggregation = AggregationOf(config);
  spec.share_by_speed = config.cluster.share_by_speed;
  spec.leaders = config.cluster.leaders;
  spec.site_sums = SiteSumsOf(config.cluster.site_sums);
  spec.site = extras.site;
  if (PushesEarly(config)) spec.stretch_begins = StretchBeginsOf(*job.graph);
  return spec;
}

}  // namespace weft::app
