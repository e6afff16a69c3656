#include "app/bench_step.h"

#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "kernel/backend.h"
#include "tensor/arena.h"

namespace weft::app {
namespace {

constexpr int64_t kSgemmSize = 1024;

double Percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto at = static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  return values[at];
}

// Seconds of each call, for at least `seconds` in all and at least five calls.
template <class Call>
std::vector<double> Time(double seconds, Call call) {
  std::vector<double> times;
  double spent = 0;
  while (spent < seconds || times.size() < 5) {
    const TimePoint start = base::SystemClock().Now();
    call();
    times.push_back(base::Seconds(base::SystemClock().Now() - start));
    spent += times.back();
  }
  return times;
}

int64_t PeakRssBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

Result<double> SgemmGflops(const std::string& kernels, int threads) {
  ASSIGN_OR_RETURN(const auto backend, kernel::MakeBackend(kernels, {.threads = threads}));
  kernel::LinearDesc desc;
  desc.batch = kSgemmSize;
  desc.src = {kSgemmSize, kSgemmSize};
  desc.out = kSgemmSize;
  desc.bias = false;
  ASSIGN_OR_RETURN(const auto op, backend->LinearForward(desc, kernel::Layout(desc.src)));
  std::vector<tensor::Arena> memory;
  std::vector<void*> args;
  for (const kernel::Port& port : op->ports()) {
    memory.emplace_back(port.bytes);
    std::fill_n(memory.back().floats(0), port.bytes / sizeof(float), 0.5f);
    args.push_back(memory.back().data());
  }
  const tensor::Arena scratch(op->scratch_bytes());
  const auto kernel = op->Bind(args, scratch.data());
  kernel->Run();
  const double best = Percentile(Time(0.3, [&] { kernel->Run(); }), 0.1);
  return desc.flops() / best * 1e-9;
}

data::Batch RandomBatch(const model::Graph& graph, int64_t size) {
  base::Rng rng(1);
  data::Batch batch;
  batch.size = size;
  batch.samples.resize(static_cast<size_t>(size * graph.input().elements()));
  for (float& value : batch.samples) value = static_cast<float>(rng.NextUniform(-1, 1));
  for (int64_t i = 0; i < size; ++i) {
    batch.labels.push_back(
        static_cast<int32_t>(rng.NextBelow(static_cast<uint64_t>(graph.classes()))));
    batch.keys.push_back(rng.Next());
  }
  return batch;
}

Result<BenchStepResult> BenchStep(const model::Graph& graph, const BenchStepOptions& options) {
  engine::EngineOptions engine_options;
  engine_options.threads = options.threads;
  engine_options.kernels = options.kernels;
  ASSIGN_OR_RETURN(
      const auto engine,
      engine::Engine::Create(std::make_shared<const model::Graph>(graph), engine_options));
  RETURN_IF_ERROR(engine->Prepare(plan::Mode::kTrain, options.batch));
  engine->SetParameters(graph.InitialParameters(1));
  const data::Batch batch = RandomBatch(graph, options.batch);
  engine::OptimizerOptions optimizer;
  optimizer.momentum = 0.9;
  Status status;
  const auto step = [&] {
    const auto result = engine->Train(batch);
    if (!result.ok()) status = result.status();
    // So small that the weights, and with them the work, stay what they are.
    engine->Apply(optimizer, 1e-6);
  };
  step();
  RETURN_IF_ERROR(status);
  step();
  std::vector<double> cpu_times;
  const std::vector<double> times = Time(options.seconds, [&] {
    const TimePoint start = base::ThreadCpuNow();
    step();
    cpu_times.push_back(base::Seconds(base::ThreadCpuNow() - start));
  });
  RETURN_IF_ERROR(status);

  BenchStepResult result;
  const plan::Program& program = engine->program(plan::Mode::kTrain, options.batch);
  const double median = Percentile(times, 0.5);
  result.images_per_second = static_cast<double>(options.batch) / median;
  result.step_ms = median * 1e3;
  result.step_ms_p10 = Percentile(times, 0.1) * 1e3;
  result.step_ms_p90 = Percentile(times, 0.9) * 1e3;
  result.step_cpu_ms = Percentile(cpu_times, 0.5) * 1e3;
  result.steps = static_cast<int64_t>(times.size());
  result.flops_per_step = program.Flops();
  result.gflops = program.Flops() / median * 1e-9;
  result.memory_bytes = static_cast<int64_t>(engine->memory_bytes());
  result.peak_rss_bytes = PeakRssBytes();
  result.plan = program.ToString();
  ASSIGN_OR_RETURN(result.sgemm_gflops, SgemmGflops(options.kernels, options.threads));
  result.floor_ms = program.Flops() / result.sgemm_gflops * 1e-6;
  return result;
}

}  // namespace weft::app
