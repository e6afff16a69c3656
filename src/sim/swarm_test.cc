// Many short runs, each with its own seed, devices, faults and job. A failing one prints how to run
// it again, alone and with its trace. WEFT_SIM_SEEDS=N tries N seeds instead of the default.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "sim/cluster.h"

namespace weft::sim {
namespace {

constexpr uint64_t kSeeds = 500;

std::optional<Duration> Sometimes(base::Rng& rng, int64_t least_ms, int64_t most_ms) {
  if (rng.NextBelow(3) == 0) return std::nullopt;
  return RandomDuration(rng, std::chrono::milliseconds(least_ms),
                        std::chrono::milliseconds(most_ms));
}

ClusterOptions Random(uint64_t seed) {
  base::Rng rng(base::DeriveSeed(seed, 1));
  ClusterOptions options;
  options.seed = seed;
  const auto batch = static_cast<int64_t>(1 + rng.NextBelow(40));
  const auto samples = static_cast<int64_t>(1 + rng.NextBelow(400));
  options.job = ToyJob(samples, 1 + static_cast<int64_t>(rng.NextBelow(3)), batch);
  options.job.deterministic = rng.NextBelow(2) == 0;
  options.job.slots = 1 + static_cast<int64_t>(rng.NextBelow(9));
  options.job.checkpoint_every = static_cast<int64_t>(rng.NextBelow(8));
  if (rng.NextBelow(4) == 0) options.job.codec_up = "fp16";
  options.job.heartbeat_ms = 100;
  options.job.device_timeout_ms = 500;
  options.devices = 1 + static_cast<int>(rng.NextBelow(6));
  options.network.silent_break = rng.NextUniform();
  FaultOptions& faults = options.faults;
  faults.break_connection = Sometimes(rng, 20, 1000);
  faults.kill_device = Sometimes(rng, 50, 1000);
  faults.kill_hub = Sometimes(rng, 300, 3000);
  faults.join_device = Sometimes(rng, 300, 2000);
  faults.leave_device = Sometimes(rng, 300, 2000);
  faults.until = std::chrono::seconds(8);
  faults.disk_error = rng.NextBelow(3) == 0 ? 0.3 : 0;
  return options;
}

std::string Replay(uint64_t seed) {
  return "replay: WEFT_SIM_SEED=" + std::to_string(seed) +
         " build/release/bin/sim_test --gtest_filter=Swarm.*";
}

void RunSeed(uint64_t seed, bool verbose) {
  SCOPED_TRACE(Replay(seed));
  const ClusterOptions options = Random(seed);
  Cluster run(options);
  run.loop().set_verbose(verbose);
  // A device that left for good or a hub that gave up must not leave the run without any.
  if (!run.Run(std::chrono::seconds(10))) run.AddDevice();
  ASSERT_TRUE(run.Run(std::chrono::seconds(600))) << "the run stands still";
  EXPECT_EQ(run.done()->how, cluster::RunDone::How::kCompleted) << run.done()->reason;
  EXPECT_EQ(run.done()->lost_samples, 0);
  EXPECT_EQ(run.done()->duplicated_samples, 0);
  const ToyRun plain = RunToy(options.job);
  const double tolerance = options.job.codec_up == "dense" ? 1e-4 : 2e-2;
  for (size_t i = 0; i < plain.parameters.size(); ++i) {
    EXPECT_NEAR(run.parameters()[i], plain.parameters[i], tolerance) << "parameter " << i;
  }
}

TEST(Swarm, EverySampleCountsOnceWhateverDies) {
  if (const char* seed = std::getenv("WEFT_SIM_SEED")) {
    return RunSeed(std::strtoull(seed, nullptr, 10), true);
  }
  const char* wanted = std::getenv("WEFT_SIM_SEEDS");
  const uint64_t seeds = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : kSeeds;
  for (uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) RunSeed(seed, false);
}

}  // namespace
}  // namespace weft::sim
