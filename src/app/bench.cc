// weft bench: measures parts of this device.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/bench_step.h"
#include "app/command.h"
#include "base/log.h"
#include "base/text.h"

namespace weft::app {
namespace {

struct StepFlags {
  std::string preset;
  std::string file;
  bool plan = false;
  BenchStepOptions options;
};

Result<model::Graph> LoadModel(const StepFlags& flags) {
  if (flags.preset.empty() == flags.file.empty()) {
    return InvalidArgument("bench step: want --preset NAME or --model FILE");
  }
  return flags.preset.empty() ? model::LoadGraph(flags.file, {})
                              : model::LoadPreset(flags.preset, {});
}

void PrintStep(const BenchStepResult& r, const std::string& name, const StepFlags& flags) {
  std::printf("%s, batch %lld, %d thread%s\n", name.c_str(),
              static_cast<long long>(flags.options.batch), flags.options.threads,
              flags.options.threads == 1 ? "" : "s");
  std::printf("  %.1f images/s   step %.2f ms (median of %lld; p10 %.2f, p90 %.2f)\n",
              r.images_per_second, r.step_ms, static_cast<long long>(r.steps), r.step_ms_p10,
              r.step_ms_p90);
  std::printf(
      "  %.2f GFLOP a step at %.1f GFLOP/s; sgemm here %.1f GFLOP/s: floor %.2f ms, %.0f %% of it "
      "reached\n",
      r.flops_per_step * 1e-9, r.gflops, r.sgemm_gflops, r.floor_ms, 100 * r.floor_ms / r.step_ms);
  std::printf("  memory %s planned, %s resident at most\n",
              base::HumanBytes(static_cast<double>(r.memory_bytes)).c_str(),
              base::HumanBytes(static_cast<double>(r.peak_rss_bytes)).c_str());
}

int RunStep(const StepFlags& flags, const CommonFlags& common) {
  const Result<model::Graph> graph = LoadModel(flags);
  if (!graph.ok()) {
    base::LogError("{}", graph.status().message());
    return ExitCodeOf(graph.status());
  }
  const Result<BenchStepResult> result = BenchStep(*graph, flags.options);
  if (!result.ok()) {
    base::LogError("{}", result.status().message());
    return ExitCodeOf(result.status());
  }
  if (flags.plan) std::fprintf(stderr, "%s", result->plan.c_str());
  if (!common.json) {
    PrintStep(*result, graph->name(), flags);
    return kExitOk;
  }
  PrintJsonLine({{"event", "result"},
                 {"model", graph->name()},
                 {"batch", flags.options.batch},
                 {"threads", flags.options.threads},
                 {"kernels", flags.options.kernels},
                 {"images_per_second", result->images_per_second},
                 {"step_ms", result->step_ms},
                 {"step_ms_p10", result->step_ms_p10},
                 {"step_ms_p90", result->step_ms_p90},
                 {"step_cpu_ms", result->step_cpu_ms},
                 {"steps", result->steps},
                 {"flops_per_step", result->flops_per_step},
                 {"gflops", result->gflops},
                 {"sgemm_gflops", result->sgemm_gflops},
                 {"floor_ms", result->floor_ms},
                 {"memory_bytes", result->memory_bytes},
                 {"peak_rss_bytes", result->peak_rss_bytes}});
  return kExitOk;
}

}  // namespace

void AddBench(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  CLI::App* bench = program->add_subcommand("bench", "Measure parts of this device");
  bench->require_subcommand(1);
  const auto flags = std::make_shared<StepFlags>();
  CLI::App* app = bench->add_subcommand("step", "Measure a training step on random samples");
  app->add_option("--preset", flags->preset, "A built-in model");
  app->add_option("--model", flags->file, "A model file");
  app->add_option("--batch", flags->options.batch, "Samples of one step")
      ->check(CLI::Range(1, 1 << 20));
  app->add_option("--threads", flags->options.threads, "Threads of the math")
      ->check(CLI::Range(1, 1024));
  app->add_option("--kernels", flags->options.kernels, "auto, onednn or reference");
  app->add_option("--seconds", flags->options.seconds, "How long to measure")
      ->check(CLI::Range(0.0, 3600.0));
  app->add_flag("--plan", flags->plan, "Print every step of the program, on stderr");
  commands->push_back({app, [flags, common] { return RunStep(*flags, *common); }});
}

}  // namespace weft::app
