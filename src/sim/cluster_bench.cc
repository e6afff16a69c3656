// Wall time of a virtual ten minutes of a fleet that comes and goes, by the number of devices.

#include <benchmark/benchmark.h>

#include "sim/cluster.h"

namespace weft::sim {
namespace {

ClusterOptions Fleet(int devices) {
  ClusterOptions options;
  options.keep_events = false;
  options.workload = MakeCostWorkload();
  options.job = ToyJob(100'000'000, 1000, 32 * devices);
  options.job.trainable_count = 1;
  options.job.statistics.clear();
  options.job.start_workers = devices / 2;
  options.job.heartbeat_ms = 30000;
  options.job.device_timeout_ms = 90000;
  options.wire = {.push_bytes = 360'000, .parameters_bytes = 360'000};
  options.hub.link = {.up_bps = 1e9, .down_bps = 1e9};
  options.devices = EqualDevices(devices, 0.5);
  for (DeviceOptions& device : options.devices) {
    device.spread = 0.2;
    device.link = {.up_bps = 5e6, .down_bps = 20e6, .latency = std::chrono::milliseconds(25)};
    device.availability = {.kind = AvailabilityOptions::Kind::kDiurnal,
                           .mean_up = std::chrono::minutes(10)};
  }
  return options;
}

void TenMinutes(benchmark::State& state) {
  Result result;
  for (auto _ : state) {
    Cluster cluster(Fleet(static_cast<int>(state.range(0))));
    cluster.Run(std::chrono::minutes(10));
    result = cluster.result();
  }
  state.counters["messages"] = static_cast<double>(result.messages);
  state.counters["events"] = static_cast<double>(result.events);
  state.counters["steps"] = static_cast<double>(result.steps);
}
BENCHMARK(TenMinutes)->Arg(10)->Arg(100)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weft::sim
