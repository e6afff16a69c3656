#pragma once
// SimSetup: a scenario made ready to run: the job opened, costs worked out, and for each seed what
// sim::Cluster takes.

#include <cstdint>
#include <memory>
#include <string>

#include "app/job.h"
#include "base/status.h"
#include "config/scenario.h"
#include "sim/cluster.h"

namespace weft::app {

struct SimSetup {
  config::Scenario scenario;
  // In cost mode without its data: `train` then has a size and nothing to read.
  std::shared_ptr<const Job> job;
  sim::ClusterOptions options;  // without seed and start_workers
};

// `profile`: for devices that have neither a profile nor a time a sample; may be empty.
// Errors: those of OpenJob and of the profiles; kInvalidArgument for a device of which nothing says
// how long a sample takes, and for what a simulated run does not do.
Result<SimSetup> SetUpSimulation(config::Scenario scenario, const std::string& profile);

// The devices, expanded: names, links, availability; curves and costs are not filled in.
std::vector<sim::DeviceOptions> DevicesOf(const config::Scenario& scenario);

// Devices that the first step waits for: scenario.start_workers, or if that is 0 what
// docs/scenario.md says of it.
int64_t StartWorkers(const config::Scenario& scenario, uint64_t seed);

// For sim::Cluster.
sim::ClusterOptions OptionsFor(const SimSetup& setup, uint64_t seed);

}  // namespace weft::app
