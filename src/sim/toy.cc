#include "sim/toy.h"

#include <array>

#include "base/check.h"
#include "base/rng.h"
#include "cluster/range_state.h"
#include "cluster/step_plan.h"

namespace weft::sim {
namespace {

constexpr auto kFeatures = static_cast<size_t>(kToyFeatures);
constexpr uint64_t kSampleStream = 77;

struct Sample {
  std::array<double, kFeatures> features;
  double target = 0;
};

Sample SampleAt(int64_t epoch, int64_t position, int64_t samples) {
  const auto index = static_cast<uint64_t>((position + 17 * epoch) % samples);
  Sample sample;
  for (size_t k = 0; k < kFeatures; ++k) {
    sample.features[k] = 2 * base::Uniform(kSampleStream, index * kFeatures + k) - 1;
    sample.target += sample.features[k] * (static_cast<double>(k) - 3.5);
  }
  return sample;
}

}  // namespace

cluster::JobSpec ToyJob(int64_t samples, int64_t epochs, int64_t batch) {
  cluster::JobSpec spec;
  spec.run = "toy";
  spec.job = "{}";
  spec.samples = samples;
  spec.epochs = epochs;
  spec.batch = batch;
  spec.schedule.lr = 0.3;
  spec.optimizer.momentum = 0.5;
  spec.trainable_count = kToyFeatures;
  spec.statistics = {{kToyFeatures, kToyFeatures, 0.1}};
  return spec;
}

Workload::Computed ComputeToy(std::span<const float> parameters, int64_t samples,
                              const cluster::Lease& lease) {
  CHECK_EQ(parameters.size(), 2 * kFeatures);
  std::array<double, 2 * kFeatures> sums{};
  Workload::Computed result;
  for (int64_t at = lease.begin; at < lease.begin + lease.count; ++at) {
    const Sample sample = SampleAt(lease.epoch, at, samples);
    double error = -sample.target;
    for (size_t k = 0; k < kFeatures; ++k) error += parameters[k] * sample.features[k];
    result.loss_sum += 0.5 * error * error;
    result.correct += error * error < 1 ? 1 : 0;
    for (size_t k = 0; k < kFeatures; ++k) {
      sums[k] += error * sample.features[k];
      sums[kFeatures + k] += sample.features[k];
    }
  }
  for (double sum : sums) {
    result.gradient.push_back(static_cast<float>(sum / static_cast<double>(lease.count)));
  }
  return result;
}

namespace {

class ToyWorkload : public Workload {
 public:
  explicit ToyWorkload(const cluster::JobSpec& spec) : spec_(spec) {}
  Result<Computed> Compute(std::span<const float> parameters, const cluster::Compute& compute,
                           int) override {
    return ComputeToy(parameters, spec_.samples, compute.lease);
  }
  cluster::Snapshot Start() override { return ToyStart(spec_); }

 private:
  const cluster::JobSpec spec_;
};

}  // namespace

std::shared_ptr<Workload> MakeToyWorkload(const cluster::JobSpec& spec) {
  return std::make_shared<ToyWorkload>(spec);
}

cluster::Snapshot ToyStart(const cluster::JobSpec& spec) {
  return {0, 0, std::vector<float>(static_cast<size_t>(spec.parameter_count()), 0.25f), {}};
}

ToyRun RunToy(const cluster::JobSpec& spec) {
  const cluster::StepPlan plan(spec);
  const bool local = spec.aggregation.TrainsLocally();
  engine::Optimizer optimizer(cluster::UpdateRule(spec), spec.trainable_count,
                              cluster::StatisticsOf(spec, {0, spec.parameter_count()}));
  ToyRun run{.parameters = ToyStart(spec).parameters, .losses = {}};
  for (int64_t step = 0; step < plan.total_steps(); ++step) {
    const auto total = static_cast<double>(plan.SamplesOf(step));
    std::vector<float> combined(run.parameters.size());
    double loss = 0;
    for (const cluster::Lease& lease : plan.Leases(step, 1)) {
      const Workload::Computed part = ComputeToy(run.parameters, spec.samples, lease);
      const auto weight = static_cast<float>(static_cast<double>(lease.count) / total);
      for (size_t i = 0; i < combined.size(); ++i) combined[i] += weight * part.gradient[i];
      loss += part.loss_sum;
    }
    run.losses.push_back(loss / total);
    const double rate = engine::LearningRate(spec.schedule, step, plan.total_steps());
    optimizer.Apply(local ? spec.aggregation.outer_lr : rate, combined, run.parameters);
  }
  return run;
}

}  // namespace weft::sim
