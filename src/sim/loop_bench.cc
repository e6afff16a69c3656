// Loop: events a second, with as many waiting as the argument says.

#include <benchmark/benchmark.h>

#include "sim/loop.h"

namespace weft::sim {
namespace {

// Each event makes the next, at a random time.
struct Ticker {
  Loop* loop;
  void Arm() {
    loop->After(Duration(static_cast<int64_t>(loop->rng().NextBelow(1'000'000))),
                [this] { Arm(); });
  }
};

void Events(benchmark::State& state) {
  Loop loop(1);
  Ticker ticker{&loop};
  for (int64_t i = 0; i < state.range(0); ++i) ticker.Arm();
  for (auto _ : state) loop.Step(loop.now() + std::chrono::seconds(1));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Events)->Arg(100)->Arg(20'000)->Arg(1'000'000);

void Trace(benchmark::State& state) {
  Loop loop(1);
  uint64_t i = 0;
  for (auto _ : state) loop.Mix({i++, 7});
  benchmark::DoNotOptimize(loop.trace_hash());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Trace);

}  // namespace
}  // namespace weft::sim
