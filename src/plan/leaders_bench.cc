// How long a layout takes to plan for n devices that can all lead, with links of any speed.

#include <benchmark/benchmark.h>

#include <cmath>

#include "base/rng.h"
#include "plan/leaders.h"

namespace weft::plan {
namespace {

void BM_PlanLeaders(benchmark::State& state) {
  base::Rng rng(1);
  std::vector<LinkedDevice> devices(static_cast<size_t>(state.range(0)));
  for (size_t i = 0; i < devices.size(); ++i)
    devices[i] = {static_cast<uint32_t>(i + 1),
                  {std::exp(rng.NextUniform(14, 18)), std::exp(rng.NextUniform(14, 18))},
                  0.001,
                  true};
  const LeaderInput input = {.values = 10'000'000,
                             .hub = {1e8, 1e8},
                             .devices = devices,
                             .updates = state.range(0),
                             .compute_s = 1};
  for (auto _ : state) benchmark::DoNotOptimize(PlanLeaders(input));
}
BENCHMARK(BM_PlanLeaders)->Range(10, 10000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weft::plan
