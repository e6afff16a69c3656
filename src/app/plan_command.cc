// weft plan: what a training step will take on profiled devices, without running it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "app/command.h"
#include "app/job.h"
#include "app/job_spec.h"
#include "app/plan_network.h"
#include "app/profile.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/optimizer.h"
#include "kernel/backend.h"
#include "plan/predict.h"
#include "plan/shares.h"

namespace weft::app {
namespace {

constexpr int64_t kDefaultBatch = 64;
constexpr size_t kSlowest = 5;

struct PlanFlags {
  std::string job, preset, file;
  std::vector<std::string> overrides;
  std::vector<std::string> devices;
  int64_t batch = 0;    // 0: the job's
  int64_t threads = 0;  // 0: the profile's
  bool steps = false;
  std::string link, leader_link;  // ParseLink; empty: not asked for, no limit
  int64_t count = 1;
  bool batch_each = false;
};

// What is to be trained, and how many samples of it a step.
struct Task {
  std::shared_ptr<const model::Graph> graph;
  plan::UpdateCost update;
  int64_t batch = kDefaultBatch;
  codec::CodecOptions up, down;
  int64_t local_steps = 1;
  plan::LinkLimits limits = {.most_local_steps = config::LinkOptions().most_local_steps};
};

struct Device {
  std::string path;
  plan::DeviceProfile profile;
};

// One device's part of a step.
struct DevicePlan {
  const Device* device = nullptr;
  int64_t samples = 0;
  plan::Program program;
  plan::TimePrediction time;
  plan::MemoryPrediction memory;
};

Result<Task> OpenTask(const PlanFlags& flags) {
  Task task;
  if (!flags.job.empty()) {
    ASSIGN_OR_RETURN(const config::RunConfig config, config::Load(flags.job, flags.overrides));
    ASSIGN_OR_RETURN(const auto job, OpenJob(config, {.test_data = false}));
    task.graph = job->graph;
    task.batch = config.job.batch;
    task.up = UpCodecOf(*job);
    task.down = DownCodecOf(*job);
    task.local_steps = config.cluster.local_steps;
    task.limits.budget = config.link.budget;
    task.limits.most_local_steps = config.link.most_local_steps;
    task.update.state_vectors =
        static_cast<int64_t>(engine::StateVectors(JobSpecOf(*job, {}).optimizer));
  } else {
    ASSIGN_OR_RETURN(model::Graph graph, flags.preset.empty()
                                             ? model::LoadGraph(flags.file, {})
                                             : model::LoadPreset(flags.preset, {}));
    task.graph = std::make_shared<const model::Graph>(std::move(graph));
  }
  if (flags.batch > 0) task.batch = flags.batch;
  return task;
}

Result<std::vector<Device>> OpenDevices(const PlanFlags& flags) {
  std::vector<std::string> paths = flags.devices;
  if (paths.empty()) {
    ASSIGN_OR_RETURN(paths.emplace_back(), DefaultProfilePath());
  }
  std::vector<Device> devices;
  for (const std::string& path : paths) {
    Result<plan::DeviceProfile> profile = LoadProfile(path);
    if (!profile.ok() && profile.status().code() == Code::kNotFound) {
      return NotFound(profile.status().message() +
                      "; `weft profile` measures this device, --devices names profiles of others");
    }
    RETURN_IF_ERROR(profile.status());
    if (flags.threads > 0 && flags.threads != profile->threads) {
      return InvalidArgument(
          fmt::format("--threads: got {}, want {}, on which {} was measured; `weft profile "
                      "--threads {} --out FILE` makes a profile for it",
                      flags.threads, profile->threads, path, flags.threads));
    }
    devices.push_back({path, std::move(profile).value()});
  }
  return devices;
}

Result<DevicePlan> PlanDevice(const Task& task, const Device& device, int64_t samples) {
  DevicePlan planned;
  planned.device = &device;
  planned.samples = samples;
  const plan::DeviceProfile& profile = device.profile;
  // What "auto" takes on the device follows its clock. The profile's times are those of its
  // choices; where memory and layouts lie is nearly the same with Winograd convolutions throughout.
  const std::string kernels = profile.kernels == "auto" ? "winograd" : profile.kernels;
  ASSIGN_OR_RETURN(const auto backend,
                   kernel::MakeBackend(kernels, {.threads = static_cast<int>(profile.threads)}));
  plan::CompileOptions compile;
  compile.mode = plan::Mode::kTrainStreaming;
  compile.batch = samples;
  ASSIGN_OR_RETURN(planned.program, plan::Compile(*task.graph, backend.get(), compile));
  planned.time = plan::PredictTime(planned.program, task.update, profile);
  planned.memory = plan::PredictMemory(planned.program, task.update, profile);
  return planned;
}

// Shares of the batch with which the devices finish together: each in proportion to the speed it
// has at its share, found in a few rounds from equal shares. A device may get none.
Result<std::vector<DevicePlan>> PlanDevices(const Task& task, std::span<const Device> devices) {
  constexpr int kRounds = 4;
  std::vector<int64_t> shares = plan::EqualShares(task.batch, static_cast<int64_t>(devices.size()));
  std::vector<double> speeds(devices.size(), 0);
  std::vector<DevicePlan> plans;
  for (int round = 0; round < kRounds; ++round) {
    plans.clear();
    for (size_t i = 0; i < devices.size(); ++i) {
      if (shares[i] == 0) continue;
      ASSIGN_OR_RETURN(DevicePlan planned, PlanDevice(task, devices[i], shares[i]));
      speeds[i] = static_cast<double>(shares[i]) / planned.time.total_us();
      plans.push_back(std::move(planned));
    }
    if (devices.size() == 1) break;
    std::vector<int64_t> next = plan::ProportionalShares(task.batch, speeds);
    if (next == shares || round + 1 == kRounds) break;
    shares = std::move(next);
  }
  return plans;
}

// The layer a step belongs to, by its name ("conv1 backward data"); reorders are one of their own.
std::string LayerOf(const model::Graph& graph, const std::string& step) {
  const std::string name = step.substr(0, step.find(' '));
  for (const model::Layer& layer : graph.layers()) {
    if (step.rfind(layer.name + " ", 0) == 0) return layer.name;
  }
  return name;
}

struct LayerTime {
  std::string layer;
  double us = 0;
};

// Longest first.
std::vector<LayerTime> SlowestLayers(const model::Graph& graph, const DevicePlan& planned) {
  std::map<std::string, double> times;
  for (size_t i = 0; i < planned.program.steps.size(); ++i) {
    times[LayerOf(graph, planned.program.steps[i].name)] += planned.time.step_us[i];
  }
  std::vector<LayerTime> layers;
  for (const auto& [layer, us] : times) layers.push_back({layer, us});
  std::sort(layers.begin(), layers.end(),
            [](const LayerTime& a, const LayerTime& b) { return a.us > b.us; });
  layers.resize(std::min(layers.size(), kSlowest));
  return layers;
}

// Of a hand-over: the update that it is for.
std::string KernelOf(const plan::Step& step) {
  return step.op == nullptr ? "update" : step.op->implementation();
}

double UpdateMs(const DevicePlan& planned) {
  double us = 0;
  for (size_t i = 0; i < planned.program.steps.size(); ++i) {
    if (planned.program.steps[i].op == nullptr) us += planned.time.step_us[i];
  }
  return us * 1e-3;
}

double StepMs(const std::vector<DevicePlan>& plans) {
  double us = 0;
  for (const DevicePlan& planned : plans) us = std::max(us, planned.time.total_us());
  return us * 1e-3;
}

std::string Human(double bytes) { return base::HumanBytes(bytes); }

void PrintMemory(const plan::MemoryPrediction& m, double available) {
  std::printf(
      "  memory   %s planned: weights %s, gradients %s, optimizer %s, activations %s, "
      "staging %s\n",
      Human(m.planned()).c_str(), Human(m.weights).c_str(), Human(m.gradients).c_str(),
      Human(m.optimizer).c_str(), Human(m.activations).c_str(), Human(m.staging).c_str());
  std::printf("           %s at most with the process (%s) and its batch; %s was free\n",
              Human(m.peak()).c_str(), Human(m.process).c_str(), Human(available).c_str());
}

void PrintSteps(const DevicePlan& planned) {
  std::printf("  %-38s %-28s %9s %9s\n", "step", "kernel", "MFLOP", "ms");
  std::printf("  %-38s %-28s %9s %9.3f\n", "load the batch", "", "", planned.time.load_us * 1e-3);
  for (size_t i = 0; i < planned.program.steps.size(); ++i) {
    const plan::Step& step = planned.program.steps[i];
    std::printf("  %-38s %-28s %9.2f %9.3f\n", step.name.c_str(), KernelOf(step).c_str(),
                step.flops * 1e-6, planned.time.step_us[i] * 1e-3);
  }
}

void Print(const Task& task, const std::vector<DevicePlan>& plans, const PlanFlags& flags) {
  const double ms = StepMs(plans);
  std::printf("%s, batch %lld: %lld parameters, %.3f GFLOP a step\n", task.graph->name().c_str(),
              static_cast<long long>(task.batch),
              static_cast<long long>(task.graph->parameter_count()),
              3e-9 * task.graph->ForwardFlops() * static_cast<double>(task.batch));
  std::printf("  cut      samples, over %zu device%s\n", plans.size(),
              plans.size() == 1 ? "" : "s");
  std::printf("  step     %.2f ms, %.1f images/s%s\n", ms,
              static_cast<double>(task.batch) / ms * 1e3,
              plans.size() == 1 ? "" : " (without the network)");
  for (const DevicePlan& planned : plans) {
    const plan::DeviceProfile& profile = planned.device->profile;
    std::printf("\n%s: %s, %lld thread%s\n", profile.host.c_str(), profile.cpu.c_str(),
                static_cast<long long>(profile.threads), profile.threads == 1 ? "" : "s");
    std::printf("  samples  %lld (%.1f %% of the batch), step %.2f ms\n",
                static_cast<long long>(planned.samples),
                100 * static_cast<double>(planned.samples) / static_cast<double>(task.batch),
                planned.time.total_us() * 1e-3);
    PrintMemory(planned.memory, profile.memory_available_bytes);
    std::string slowest;
    for (const LayerTime& layer : SlowestLayers(*task.graph, planned)) {
      slowest +=
          fmt::format("{}{} {:.2f} ms", slowest.empty() ? "" : ", ", layer.layer, layer.us * 1e-3);
    }
    std::printf("  slowest  %s\n", slowest.c_str());
    if (flags.steps) PrintSteps(planned);
  }
}

nlohmann::ordered_json DeviceJson(const Task& task, const DevicePlan& planned) {
  const plan::MemoryPrediction& m = planned.memory;
  nlohmann::ordered_json slowest = nlohmann::ordered_json::array();
  for (const LayerTime& layer : SlowestLayers(*task.graph, planned)) {
    slowest.push_back({{"layer", layer.layer}, {"ms", layer.us * 1e-3}});
  }
  return {{"event", "device"},
          {"profile", planned.device->path},
          {"host", planned.device->profile.host},
          {"threads", planned.device->profile.threads},
          {"samples", planned.samples},
          {"step_ms", planned.time.total_us() * 1e-3},
          {"load_ms", planned.time.load_us * 1e-3},
          {"update_ms", UpdateMs(planned)},
          {"flops_per_step", planned.program.Flops()},
          {"weights_bytes", m.weights},
          {"gradients_bytes", m.gradients},
          {"optimizer_bytes", m.optimizer},
          {"activations_bytes", m.activations},
          {"staging_bytes", m.staging},
          {"batch_bytes", m.batch},
          {"process_bytes", m.process},
          {"planned_bytes", m.planned()},
          {"peak_bytes", m.peak()},
          {"slowest", slowest}};
}

void PrintJson(const Task& task, const std::vector<DevicePlan>& plans, const PlanFlags& flags) {
  double peak = 0;
  for (const DevicePlan& planned : plans) {
    PrintJsonLine(DeviceJson(task, planned));
    peak = std::max(peak, planned.memory.peak());
    if (!flags.steps) continue;
    for (size_t i = 0; i < planned.program.steps.size(); ++i) {
      const plan::Step& step = planned.program.steps[i];
      PrintJsonLine({{"event", "step"},
                     {"profile", planned.device->path},
                     {"step", step.name},
                     {"kernel", KernelOf(step)},
                     {"flops", step.flops},
                     {"ms", planned.time.step_us[i] * 1e-3}});
    }
  }
  const double ms = StepMs(plans);
  PrintJsonLine({{"event", "result"},
                 {"model", task.graph->name()},
                 {"cut", "samples"},
                 {"devices", plans.size()},
                 {"batch", task.batch},
                 {"parameters", task.graph->parameter_count()},
                 {"step_ms", ms},
                 {"images_per_second", static_cast<double>(task.batch) / ms * 1e3},
                 {"peak_bytes", peak}});
}

Result<sim::LinkOptions> LinkFlag(const char* flag, const std::string& text) {
  if (text.empty()) return sim::LinkOptions();
  Result<sim::LinkOptions> link = ParseLink(text);
  if (link.ok()) return link;
  return InvalidArgument(fmt::format("{}: {}", flag, link.status().message()));
}

// The devices as kinds of them, behind links.
Status PlanNetwork(const Task& task, std::span<const Device> devices, const PlanFlags& flags,
                   bool json) {
  NetworkTask network;
  network.graph = task.graph.get();
  network.batch = task.batch;
  network.up = task.up;
  network.down = task.down;
  network.tensors = TensorsOf(*task.graph);
  network.local_steps = task.local_steps;
  network.limits = task.limits;
  network.count = flags.count;
  network.batch_each = flags.batch_each;
  ASSIGN_OR_RETURN(network.link, LinkFlag("--link", flags.link));
  ASSIGN_OR_RETURN(network.leader, LinkFlag("--leader-link", flags.leader_link));
  std::vector<const plan::DeviceProfile*> profiles;
  std::vector<double> alone_seconds;
  for (const Device& device : devices) {
    ASSIGN_OR_RETURN(const DevicePlan alone, PlanDevice(task, device, task.batch));
    profiles.push_back(&device.profile);
    alone_seconds.push_back(alone.time.total_us() * 1e-6);
  }
  network.profiles = profiles;
  network.alone_seconds = alone_seconds;
  ASSIGN_OR_RETURN(const std::vector<NetworkRow> rows, PredictNetwork(network));
  if (!json) {
    std::printf("\n%s", NetworkText(network, rows).c_str());
    return OkStatus();
  }
  for (const NetworkRow& row : rows) PrintJsonLine(NetworkJson(row));
  return OkStatus();
}

Status Plan(const PlanFlags& flags, const CommonFlags& common) {
  ASSIGN_OR_RETURN(const std::vector<Device> devices, OpenDevices(flags));
  ASSIGN_OR_RETURN(const Task task, OpenTask(flags));
  ASSIGN_OR_RETURN(const std::vector<DevicePlan> plans, PlanDevices(task, devices));
  const bool network = !flags.link.empty();
  if (!common.json) Print(task, plans, flags);
  if (network) RETURN_IF_ERROR(PlanNetwork(task, devices, flags, common.json));
  if (common.json) PrintJson(task, plans, flags);
  return OkStatus();
}

int RunPlan(const PlanFlags& flags, const CommonFlags& common) {
  if (static_cast<int>(!flags.job.empty()) + static_cast<int>(!flags.preset.empty()) +
          static_cast<int>(!flags.file.empty()) !=
      1) {
    base::LogError("plan: want one of JOB, --preset NAME and --model FILE");
    return kExitUsage;
  }
  if (const Status status = Plan(flags, common); !status.ok()) {
    base::LogError("{}", status.message());
    return ExitCodeOf(status);
  }
  return kExitOk;
}

}  // namespace

void AddPlan(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<PlanFlags>();
  CLI::App* app = program->add_subcommand("plan", "Predict a step's time and memory from profiles");
  app->add_option("JOB", flags->job, "The job, a TOML or JSON file (see docs/job.md)");
  app->add_option("--set", flags->overrides, "Change one key of the job: section.key=value")
      ->allow_extra_args(false);
  app->add_option("--preset", flags->preset, "A built-in model, trained with momentum");
  app->add_option("--model", flags->file, "A model file, trained with momentum");
  app->add_option("--batch", flags->batch, "Samples of one step (default: the job's, or 64)")
      ->check(CLI::Range(1, 1 << 20));
  app->add_option("--threads", flags->threads, "Threads that the profiles must be of")
      ->check(CLI::Range(1, 1024));
  app->add_option("--devices", flags->devices,
                  "Profiles of the devices to share a batch (default: what `weft profile` saved)");
  CLI::Option* link = app->add_option(
      "--link", flags->link,
      "Of each device, as UP/DOWN,LATENCY or RATE,LATENCY (10Mbit/s,20ms): also the speed-up");
  app->add_option("--leader-link", flags->leader_link, "Of the leader (default: without limit)")
      ->needs(link);
  app->add_option("--count", flags->count, "As many equal devices does each profile stand for")
      ->check(CLI::Range(1, 100'000))
      ->needs(link);
  app->add_flag("--batch-each", flags->batch_each,
                "Each device computes a whole batch, instead of a part of it")
      ->needs(link);
  app->add_flag("--steps", flags->steps, "Also each step of the program");
  commands->push_back({app, [flags, common] { return RunPlan(*flags, *common); }});
}

}  // namespace weft::app
