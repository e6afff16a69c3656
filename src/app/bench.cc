// weft bench: measures parts of this device.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/bench_codec.h"
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
  std::string memory_budget;
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

void PrintParts(const BenchStepResult& r) {
  double sum_ms = 0;
  for (const BenchStepPart& part : r.parts) sum_ms += part.ms;
  std::printf("  %-46s %-24s %8s %6s %8s\n", "part", "kernel", "ms", "share", "GFLOP/s");
  for (const BenchStepPart& part : r.parts) {
    std::printf("  %-46s %-24s %8.3f %4.1f %%", part.name.c_str(), part.kernel.c_str(), part.ms,
                100 * part.ms / sum_ms);
    if (part.flops > 0) std::printf(" %8.1f", part.flops / part.ms * 1e-6);
    std::printf("\n");
  }
  std::printf("  %-46s %-24s %8.3f\n", "sum of these medians", "", sum_ms);
}

nlohmann::json JsonOf(const std::vector<BenchStepPart>& parts) {
  nlohmann::json list = nlohmann::json::array();
  for (const BenchStepPart& part : parts) {
    list.push_back(
        {{"name", part.name}, {"kernel", part.kernel}, {"ms", part.ms}, {"flops", part.flops}});
  }
  return list;
}

int RunStep(StepFlags flags, const CommonFlags& common) {
  int64_t budget = 0;
  if (const int code = ReadBudget(flags.memory_budget, &budget); code != kExitOk) return code;
  flags.options.memory_budget = static_cast<size_t>(budget);
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
  if (!result->given_up.empty()) base::LogInfo("{}", result->given_up);
  if (!common.json) {
    PrintStep(*result, graph->name(), flags);
    if (flags.options.parts) PrintParts(*result);
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
                 {"activation_bytes", result->activation_bytes},
                 {"peak_rss_bytes", result->peak_rss_bytes},
                 {"parts", JsonOf(result->parts)}});
  return kExitOk;
}

void PrintCodecs(const std::vector<BenchCodecResult>& results, int64_t values) {
  std::printf("%lld values, %s as f32; one thread\n", static_cast<long long>(values),
              base::HumanBytes(static_cast<double>(values) * sizeof(float)).c_str());
  std::printf("  %-11s %11s %8s %12s %16s %8s %12s\n", "codec", "bytes", "ratio", "encode GB/s",
              "decode+add GB/s", "error", "encoder KiB");
  for (const BenchCodecResult& r : results) {
    std::printf("  %-11s %11lld %8.1f %12.2f %16.2f %8.4f %12.1f\n", r.name.c_str(),
                static_cast<long long>(r.bytes), r.ratio, r.encode_gbps, r.add_gbps, r.error,
                static_cast<double>(r.encoder_bytes) / 1024);
  }
}

int RunCodec(const BenchCodecOptions& options, const CommonFlags& common) {
  const Result<std::vector<BenchCodecResult>> results = BenchCodecs(options);
  if (!results.ok()) {
    base::LogError("{}", results.status().message());
    return ExitCodeOf(results.status());
  }
  if (!common.json) {
    PrintCodecs(*results, options.values);
    return kExitOk;
  }
  nlohmann::ordered_json codecs = nlohmann::ordered_json::array();
  for (const BenchCodecResult& r : *results) {
    codecs.push_back({{"codec", r.name},
                      {"bytes", r.bytes},
                      {"ratio", r.ratio},
                      {"encode_gbps", r.encode_gbps},
                      {"add_gbps", r.add_gbps},
                      {"error", r.error},
                      {"encoder_bytes", r.encoder_bytes}});
  }
  PrintJsonLine({{"event", "result"}, {"values", options.values}, {"codecs", codecs}});
  return kExitOk;
}

void AddBenchCodec(CLI::App* bench, CommonFlags* common, std::vector<Command>* commands) {
  const auto options = std::make_shared<BenchCodecOptions>();
  CLI::App* app =
      bench->add_subcommand("codec", "Measure what codecs cost and what they leave out");
  app->add_option("--codec", options->name, "One codec; without it, all");
  app->add_option("--values", options->values, "Values of the vector")
      ->check(CLI::Range(1, 1 << 30));
  app->add_option("--density", options->density, "Share of the values that is selected")
      ->check(CLI::Range(0.0, 1.0));
  app->add_option("--kind", options->kind, "What each selected value becomes, such as int4");
  app->add_option("--seconds", options->seconds, "How long to measure each call")
      ->check(CLI::Range(0.0, 3600.0));
  commands->push_back({app, [options, common] { return RunCodec(*options, *common); }});
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
  app->add_option("--kernels", flags->options.kernels, "auto, onednn, winograd or reference");
  app->add_option("--seconds", flags->options.seconds, "How long to measure")
      ->check(CLI::Range(0.0, 3600.0));
  app->add_flag("--steps", flags->options.parts,
                "Time every step of the program too, in as many seconds again");
  app->add_option("--memory-budget", flags->memory_budget,
                  "For weights, gradients, optimizer state and activations, such as 200MiB");
  app->add_flag("--plan", flags->plan, "Print every step of the program, on stderr");
  commands->push_back({app, [flags, common] { return RunStep(*flags, *common); }});
  AddBenchCodec(bench, common, commands);
}

}  // namespace weft::app
