// What watching costs: a run of 1,000 devices that computes nothing, with no checker, with each of
// them, and with all.

#include <benchmark/benchmark.h>

#include "sim/checker.h"
#include "sim/cluster.h"
#include "sim/workload.h"

namespace weft::sim {
namespace {

ClusterOptions ThousandDevices() {
  ClusterOptions options;
  cluster::JobSpec& job = options.job;
  job.run = "bench";
  job.samples = 10 * 32'000;
  job.batch = 32'000;
  job.trainable_count = 1;
  job.start_workers = 1000;
  options.devices = EqualDevices(1000, 1e-2);
  options.workload = MakeCostWorkload();
  options.keep_events = false;
  return options;
}

// Argument: -1 none, 0 to 7 one of AllCheckers, 8 all.
void BM_Watched(benchmark::State& state) {
  const ClusterOptions options = ThousandDevices();
  int64_t messages = 0;
  for (auto _ : state) {
    const auto checkers = AllCheckers(options.job);
    Cluster run(options);
    for (size_t i = 0; i < checkers.size(); ++i) {
      const bool watches = state.range(0) == 8 || state.range(0) == static_cast<int64_t>(i);
      if (!watches) continue;
      run.Watch(checkers[i].get());
      if (state.range(0) < 8) state.SetLabel(std::string(checkers[i]->name()));
    }
    if (!run.Run() || !ViolationsOf(checkers).empty()) state.SkipWithError("the run went wrong");
    messages += run.result().messages;
  }
  state.SetItemsProcessed(messages);
}
BENCHMARK(BM_Watched)->DenseRange(-1, 8)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::sim
