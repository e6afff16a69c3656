#include "app/bench_step.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "app/profile_device.h"
#include "base/clock.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "kernel/backend.h"
#include "tensor/arena.h"

namespace weft::app {
namespace {

constexpr int64_t kSgemmSize = 1024;
// One device alone: each gradient is used up where it is made.
constexpr plan::Mode kMode = plan::Mode::kTrainStreaming;

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

// Times the stretches between the moments at which it is told that one ended.
class PartTimer : public engine::StepObserver {
 public:
  void Begin() {
    at_ = 0;
    start_ = base::SystemClock().Now();
  }
  void AfterStep(const plan::Step& step) override {
    End(step.name, step.op == nullptr ? "" : step.op->implementation(), step.flops);
  }
  void End(const std::string& name, const std::string& kernel, double flops) {
    const TimePoint now = base::SystemClock().Now();
    if (at_ == parts_.size()) parts_.push_back({{name, kernel, 0, flops}, {}});
    parts_[at_++].seconds.push_back(base::Seconds(now - start_));
    start_ = base::SystemClock().Now();
  }

  std::vector<BenchStepPart> Medians() const {
    std::vector<BenchStepPart> medians;
    for (const Part& part : parts_) {
      medians.push_back(part.what);
      medians.back().ms = Percentile(part.seconds, 0.5) * 1e3;
    }
    return medians;
  }

 private:
  struct Part {
    BenchStepPart what;
    std::vector<double> seconds;
  };

  std::vector<Part> parts_;
  size_t at_ = 0;
  TimePoint start_;
};

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
  engine_options.clock = &base::SystemClock();
  engine_options.memory_budget = options.memory_budget;
  engine::OptimizerOptions optimizer;
  optimizer.momentum = 0.9;
  engine_options.state_vectors = engine::StateVectors(optimizer);
  ASSIGN_OR_RETURN(
      const auto engine,
      engine::Engine::Create(std::make_shared<const model::Graph>(graph), engine_options));
  RETURN_IF_ERROR(engine->Prepare(kMode, options.batch));
  engine->SetParameters(graph.InitialParameters(1));
  const data::Batch batch = RandomBatch(graph, options.batch);
  Status status;
  const auto step = [&] {
    // The rate is so small that the weights, and with them the work, stay what they are.
    const auto result = engine->TrainAndApply(batch, optimizer, 1e-6);
    if (!result.ok()) status = result.status();
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
  PartTimer timer;
  if (options.parts) {
    engine->Observe(&timer);
    Time(options.seconds, [&] {
      timer.Begin();
      step();
      timer.End("statistics and update", "", 0);
    });
    engine->Observe(nullptr);
  }

  BenchStepResult result;
  const plan::BatchPlan& plan = engine->plan(kMode, options.batch);
  const double median = Percentile(times, 0.5);
  result.images_per_second = static_cast<double>(options.batch) / median;
  result.step_ms = median * 1e3;
  result.step_ms_p10 = Percentile(times, 0.1) * 1e3;
  result.step_ms_p90 = Percentile(times, 0.9) * 1e3;
  result.step_cpu_ms = Percentile(cpu_times, 0.5) * 1e3;
  result.steps = static_cast<int64_t>(times.size());
  result.flops_per_step = plan.Flops();
  result.gflops = plan.Flops() / median * 1e-9;
  result.memory_bytes = static_cast<int64_t>(engine->memory_bytes());
  result.peak_rss_bytes = static_cast<int64_t>(ReadResidentMemory().peak);
  for (const plan::Program& program : plan.programs) {
    result.plan += program.ToString();
    const auto arena = static_cast<int64_t>(program.arena_bytes);
    result.activation_bytes = std::max(result.activation_bytes, arena);
  }
  result.given_up = plan.given_up;
  result.parts = timer.Medians();
  ASSIGN_OR_RETURN(result.sgemm_gflops, SgemmGflops(options.kernels, options.threads));
  result.floor_ms = plan.Flops() / result.sgemm_gflops * 1e-6;
  return result;
}

}  // namespace weft::app
