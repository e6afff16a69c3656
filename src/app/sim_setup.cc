#include "app/sim_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <utility>

#include "app/job_spec.h"
#include "app/profile.h"
#include "app/sim_costs.h"
#include "app/sim_workload.h"
#include "base/check.h"
#include "data/partition.h"
#include "data/sample_packet.h"
#include "sim/availability.h"

namespace weft::app {
namespace {

using config::DeviceGroup;
using config::Scenario;

// Numbers that stand for a model in cost mode, at most.
constexpr int64_t kMostCells = 4096;

// A data set of so many samples, none of which is ever read.
class CountedSamples : public data::Dataset {
 public:
  CountedSamples(int64_t size, const model::Graph& graph)
      : size_(size), shape_(graph.input()), classes_(graph.classes()) {}

  int64_t size() const override { return size_; }
  Shape sample_shape() const override { return shape_; }
  int64_t classes() const override { return classes_; }
  int32_t Read(int64_t, const data::ReadContext&, std::span<float>) const override {
    CHECK(false) << "cost mode reads no samples";
    return 0;
  }
  int32_t Label(int64_t) const override {
    CHECK(false) << "cost mode reads no samples";
    return 0;
  }
  std::string description() const override { return fmt::format("{} samples", size_); }

 private:
  int64_t size_;
  Shape shape_;
  int64_t classes_;
};

// As OpenJob does it.
Status OrderCountedSamples(Job* job) {
  const config::RunConfig& config = job->config;
  const auto seed = static_cast<uint64_t>(config.job.seed);
  job->order = data::SampleOrder::Whole(seed, job->source->size());
  if (config.data.placement != "local") return OkStatus();
  if (config.data.partition != "iid") {
    return InvalidArgument(
        fmt::format("scenario.samples: got {}, want 0 with data.partition = \"{}\", which goes by "
                    "the labels of real samples",
                    job->source->size(), config.data.partition));
  }
  ASSIGN_OR_RETURN(
      data::Partition partition,
      data::MakePartition(*job->source, {}, {.shards = config.cluster.workers, .seed = seed}));
  job->shard_samples = partition.sizes();
  job->order =
      data::SampleOrder::Sharded(seed, std::make_shared<data::Partition>(std::move(partition)));
  return OkStatus();
}

Result<std::shared_ptr<const Job>> OpenJobOf(const Scenario& scenario) {
  const bool math = scenario.mode == "math";
  if (scenario.samples == 0) return OpenJob(scenario.job, {.test_data = math});
  auto job = std::make_shared<Job>();
  job->config = scenario.job;
  const config::ModelOptions& model = scenario.job.model;
  Result<model::Graph> graph =
      model.preset.empty() ? model::LoadGraph(model.file, {}) : model::LoadPreset(model.preset, {});
  if (!graph.ok()) return graph.status().Annotate("model");
  job->graph = std::make_shared<const model::Graph>(std::move(graph).value());
  job->source = job->train = std::make_shared<CountedSamples>(scenario.samples, *job->graph);
  RETURN_IF_ERROR(OrderCountedSamples(job.get()));
  return std::shared_ptr<const Job>(std::move(job));
}

// Bytes of a sample that the store feeds; 0: it feeds none.
int64_t FedSampleBytes(const Scenario& scenario, const Job& job) {
  if (scenario.job.data.placement != "distributed") return 0;
  if (scenario.samples == 0) return data::PacketBytesOfSample(*job.source);
  // Most data sets consist of bytes; and four for the label.
  return job.source->sample_shape().elements() + 4;
}

Status CheckJob(const Scenario& scenario) {
  const config::RunConfig& config = scenario.job;
  if (config.data.placement == "local" && config.cluster.workers != scenario.device_count()) {
    return InvalidArgument(
        fmt::format("cluster.workers: got {}, want {} with data.placement = \"local\": each device "
                    "of the scenario has a part of the data",
                    config.cluster.workers, scenario.device_count()));
  }
  if (config.job.target_accuracy > 0) {
    return InvalidArgument(
        fmt::format("job.target_accuracy: got {}, want 0: a simulated run trains all its epochs "
                    "(--set job.target_accuracy=0)",
                    config.job.target_accuracy));
  }
  return OkStatus();
}

bool IsLimited(const sim::LinkOptions& link) { return link.up_bps > 0 || link.down_bps > 0; }

// Fills in what the devices of the scenario cost; predicts once for devices that are alike.
class DeviceCosts {
 public:
  DeviceCosts(const Scenario& scenario, const Job& job, const PayloadSize& payload,
              const std::string& profile)
      : job_(job),
        payload_(payload),
        hub_limited_(IsLimited(scenario.coordinator.link)),
        profile_(profile) {
    const int64_t devices = scenario.device_count();
    const config::RunConfig& config = job.config;
    const int64_t parts = config.job.deterministic ? config.cluster.workers : devices;
    sizes_ = LeaseSizes(config.job.batch, parts);
    local_steps_ = config.cluster.local_steps;
  }

  Status Fill(const DeviceGroup& group, sim::DeviceOptions* device) {
    const bool paced = hub_limited_ || IsLimited(device->link);
    device->lease_seconds = group.seconds_per_lease.value_or(LeaseSeconds(payload_, paced));
    device->leading = LeadingCosts(payload_, paced);
    if (group.seconds_per_sample) {
      device->step_seconds.points = {{0, 0.0}, {1, *group.seconds_per_sample}};
      if (device->memory_bytes == 0) return OkStatus();
      ASSIGN_OR_RETURN(const LeaseCurves* curves, CurvesOf("", device->cores));
      device->step_bytes = curves->bytes;
      return OkStatus();
    }
    const std::string& path = group.profile.empty() ? profile_ : group.profile;
    if (path.empty()) {
      return InvalidArgument(fmt::format(
          "device.{}: want profile or seconds_per_sample, which say how long a sample takes; "
          "`weft profile --out FILE` on such a device measures it, and --profile FILE serves all "
          "devices that name none",
          group.name));
    }
    ASSIGN_OR_RETURN(const LeaseCurves* curves, CurvesOf(path, device->cores));
    device->step_seconds = curves->seconds;
    device->step_bytes = curves->bytes;
    return OkStatus();
  }

 private:
  // Without a path: of an unknown device, whose memory alone is meant.
  Result<const LeaseCurves*> CurvesOf(const std::string& path, int64_t cores) {
    const auto found = curves_.find({path, cores});
    if (found != curves_.end()) return &found->second;
    plan::DeviceProfile profile;
    profile.kernels = job_.config.cluster.kernels;
    profile.process_bytes = kCostRates.process_bytes;
    if (!path.empty()) {
      ASSIGN_OR_RETURN(profile, LoadProfile(path));
    }
    ASSIGN_OR_RETURN(LeaseCurves curves,
                     PredictLeases(*job_.graph, profile, sizes_, cores, payload_));
    StretchOverLocalSteps(&curves);
    return &curves_.emplace(std::pair(path, cores), std::move(curves)).first->second;
  }

  // A lease is as many samples more, one part after another.
  void StretchOverLocalSteps(LeaseCurves* curves) const {
    for (auto& [samples, seconds] : curves->seconds.points) {
      samples *= local_steps_;
      seconds *= static_cast<double>(local_steps_);
    }
    for (auto& [samples, bytes] : curves->bytes.points) samples *= local_steps_;
  }

  const Job& job_;
  const PayloadSize payload_;
  const bool hub_limited_;
  const std::string profile_;
  std::vector<int64_t> sizes_;  // of one local step
  int64_t local_steps_ = 1;
  std::map<std::pair<std::string, int64_t>, LeaseCurves> curves_;  // by profile and cores
};

// Few numbers stand for the model, each for as many of its values; what they would weigh on the
// wire is told to the network. One does where the coordinator's process leads all; where devices
// lead ranges, enough of them that ranges can be told apart.
void Shrink(const PayloadSize& payload, sim::ClusterOptions* options) {
  cluster::JobSpec& spec = options->job;
  const sim::WireOptions told = WireBytes(payload, spec);
  options->wire.push_bytes = told.push_bytes;
  options->wire.parameters_bytes = told.parameters_bytes;
  options->wire.replica_bytes = told.replica_bytes;
  options->wire.state_bytes = told.state_bytes;
  const int64_t values = spec.parameter_count();
  spec.trainable_count = spec.leaders == 1 ? 1 : std::min(values, kMostCells);
  spec.statistics.clear();
  spec.value_weight = static_cast<double>(values) / static_cast<double>(spec.trainable_count);
  const double least = static_cast<double>(spec.least_range) / spec.value_weight;
  spec.least_range = std::max<int64_t>(1, std::llround(least));
  for (int64_t& begin : spec.stretch_begins) begin = begin * spec.trainable_count / values;
  options->workload = sim::MakeCostWorkload(spec.trainable_count);
}

}  // namespace

std::vector<sim::DeviceOptions> DevicesOf(const Scenario& scenario) {
  std::vector<sim::DeviceOptions> devices;
  for (const DeviceGroup& group : scenario.groups) {
    for (int64_t i = 0; i < group.size(); ++i) {
      sim::DeviceOptions device = group.device;
      device.name = group.NameOf(i);
      if (!group.traces.empty()) {
        device.availability.up = group.traces[static_cast<size_t>(i)];
      }
      devices.push_back(std::move(device));
    }
  }
  return devices;
}

int64_t StartWorkers(const Scenario& scenario, uint64_t seed) {
  if (scenario.start_workers > 0) return scenario.start_workers;
  int64_t always = 0, at_start = 0;
  const std::vector<sim::DeviceOptions> devices = DevicesOf(scenario);
  for (size_t i = 0; i < devices.size(); ++i) {
    const sim::AvailabilityOptions& availability = devices[i].availability;
    if (availability.kind == sim::AvailabilityOptions::Kind::kAlways) ++always;
    const auto first =
        sim::UpStretches(availability, seed, static_cast<int>(i), std::chrono::nanoseconds(1));
    if (!first.empty()) ++at_start;
  }
  return always > 0 ? always : std::max<int64_t>(1, at_start / 2);
}

Result<SimSetup> SetUpSimulation(Scenario scenario, const std::string& profile) {
  RETURN_IF_ERROR(CheckJob(scenario));
  SimSetup setup;
  setup.scenario = std::move(scenario);
  ASSIGN_OR_RETURN(setup.job, OpenJobOf(setup.scenario));
  const Job& job = *setup.job;
  ASSIGN_OR_RETURN(const PayloadSize payload,
                   PayloadSizeOf(UpCodecOf(job), DownCodecOf(job), job.graph->parameter_count()));
  sim::ClusterOptions& options = setup.options;
  options.job = JobSpecOf(job, {.run = setup.scenario.name,
                                .token = "",
                                .start_workers = 1,
                                .site = setup.scenario.coordinator.site});
  const bool paced = IsLimited(setup.scenario.coordinator.link) ||
                     std::ranges::any_of(setup.scenario.groups, [](const DeviceGroup& group) {
                       return IsLimited(group.device.link);
                     });
  options.job.fed_sample_bytes = FedSampleBytes(setup.scenario, job);
  options.order = job.order;
  options.hub = HubCosts(setup.scenario.coordinator, payload, paced);
  options.segments = setup.scenario.segments;
  options.faults = setup.scenario.faults;
  options.schedule = setup.scenario.schedule;
  options.keep_events = false;
  options.wire.most_pieces = setup.scenario.pieces;
  options.wire.unfairness = setup.scenario.unfairness;
  options.devices = DevicesOf(setup.scenario);
  DeviceCosts costs(setup.scenario, job, payload, profile);
  auto device = options.devices.begin();
  for (const DeviceGroup& group : setup.scenario.groups) {
    for (int64_t i = 0; i < group.size(); ++i) RETURN_IF_ERROR(costs.Fill(group, &*device++));
  }
  if (setup.scenario.mode == "cost") {
    Shrink(payload, &options);
  } else {
    ASSIGN_OR_RETURN(options.workload, TrainingWorkload::Make(setup.job));
  }
  if (options.job.leaders != 1) {
    const int64_t lease = job.config.job.batch / std::max<int64_t>(1, std::ssize(options.devices));
    ASSIGN_OR_RETURN(options.stretch_times, StretchTimesOf(*job.graph, std::max<int64_t>(1, lease),
                                                           options.job.parameter_count()));
  }
  return setup;
}

sim::ClusterOptions OptionsFor(const SimSetup& setup, uint64_t seed) {
  sim::ClusterOptions options = setup.options;
  options.seed = seed;
  options.job.start_workers = StartWorkers(setup.scenario, seed);
  return options;
}

}  // namespace weft::app
