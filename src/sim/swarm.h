#pragma once
// Swarm: many short runs, each with a job, devices, links and faults drawn from its seed, watched
// by all checkers and compared with one plain loop.
// Source of the idea: Groce et al. 2012, Swarm Testing: runs that each leave out some of the
// features find more than runs that all have all of them.

#include <cstdint>
#include <string>

#include "sim/cluster.h"
#include "sim/result.h"

namespace weft::sim {

// What is drawn. kElastic: also leaders on devices, streams, quorums, local steps, fed samples and
// shards; docs/results/simulator.md lists the seeds of it that fail still.
enum class Scope { kSteps, kElastic };

// A pure function of its arguments. The workload is the toy; the first device is always switched
// on, so that the run can end.
ClusterOptions RandomScenario(uint64_t seed, Scope scope = Scope::kSteps);

// Runs it. `violations` of the result holds what the checkers found and what is wrong at its end
// ("end: stands still ..."); empty: the seed passes. wall_s is 0.
//   verbose: prints every message and event on stderr
Result RunSeed(uint64_t seed, bool verbose = false, Scope scope = Scope::kSteps);

// The command that runs this seed again and prints all that happens.
std::string ReplayCommand(uint64_t seed, Scope scope = Scope::kSteps);

}  // namespace weft::sim
