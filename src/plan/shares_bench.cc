// How long shares take for n devices of different speed: the coordinator works them out each step.

#include <benchmark/benchmark.h>

#include "base/rng.h"
#include "plan/share_keeper.h"
#include "plan/shares.h"

namespace weft::plan {
namespace {

std::vector<Pace> Paces(int64_t devices) {
  base::Rng rng(1);
  std::vector<Pace> paces(static_cast<size_t>(devices));
  for (Pace& pace : paces) pace = {rng.NextUniform(), rng.NextUniform(0.01, 0.3)};
  return paces;
}

void BM_SharesBySpeed(benchmark::State& state) {
  const std::vector<Pace> paces = Paces(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(SharesBySpeed(32 * state.range(0), paces));
}
BENCHMARK(BM_SharesBySpeed)->Range(10, 10000)->Unit(benchmark::kMicrosecond);

void BM_ShareKeeper(benchmark::State& state) {
  const std::vector<Pace> paces = Paces(state.range(0));
  std::vector<DevicePace> devices;
  for (size_t i = 0; i < paces.size(); ++i)
    devices.push_back({static_cast<uint32_t>(i + 1), paces[i]});
  ShareKeeper keeper(32 * state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(keeper.Next(32 * state.range(0), devices));
}
BENCHMARK(BM_ShareKeeper)->Range(10, 10000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weft::plan
