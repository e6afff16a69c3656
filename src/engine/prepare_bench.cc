// What a new batch size costs: planning and binding a training step of a size that the engine has
// not met, and of one that it has met and forgotten. A worker whose kernels are chosen by measured
// time pays for the trials besides, once for each doubling of the size.
//   build/release/bin/engine_prepare_bench

#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "base/check.h"
#include "base/clock.h"
#include "engine/engine.h"

namespace weft::engine {
namespace {

std::unique_ptr<Engine> MakeEngine(const std::string& preset, const EngineOptions& options = {}) {
  auto graph = std::make_shared<const model::Graph>(model::LoadPreset(preset, {}).value());
  auto engine = Engine::Create(std::move(graph), options).value();
  CHECK(engine->Prepare(plan::Mode::kTrain, 32).ok());  // settles how the weights lie
  return engine;
}

void BM_NewSize(benchmark::State& state, const std::string& preset) {
  const auto engine = MakeEngine(preset);
  int64_t size = 32;
  for (auto _ : state) CHECK(engine->Prepare(plan::Mode::kTrain, ++size).ok());
}

// With kernels chosen by measured time; between two doublings nothing is tried.
void BM_NewSizeTuned(benchmark::State& state, const std::string& preset) {
  const auto engine = MakeEngine(preset, {.clock = &base::SystemClock()});
  int64_t size = 32;
  for (auto _ : state) CHECK(engine->Prepare(plan::Mode::kTrain, ++size).ok());
}

// Sizes that take each other's places.
void BM_SizeMetBefore(benchmark::State& state, const std::string& preset) {
  const auto engine = MakeEngine(preset);
  const int64_t sizes = static_cast<int64_t>(kPreparedSizes) + 1;
  int64_t round = 0;
  const auto prepare = [&] {
    CHECK(engine->Prepare(plan::Mode::kTrain, 33 + round++ % sizes).ok());
  };
  for (int64_t i = 0; i < sizes; ++i) prepare();
  for (auto _ : state) prepare();
}

BENCHMARK_CAPTURE(BM_NewSize, lenet5, "lenet5")->Unit(benchmark::kMillisecond)->Iterations(16);
BENCHMARK_CAPTURE(BM_NewSize, resnet20, "resnet20")->Unit(benchmark::kMillisecond)->Iterations(16);
BENCHMARK_CAPTURE(BM_NewSize, vgg11, "vgg11")->Unit(benchmark::kMillisecond)->Iterations(16);
BENCHMARK_CAPTURE(BM_NewSizeTuned, resnet20, "resnet20")
    ->Unit(benchmark::kMillisecond)
    ->Iterations(16);
BENCHMARK_CAPTURE(BM_SizeMetBefore, lenet5, "lenet5")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_SizeMetBefore, resnet20, "resnet20")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_SizeMetBefore, vgg11, "vgg11")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::engine
