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

// A pure function of the seed. The workload is the toy; the first device is always switched on, so
// that the run can end.
ClusterOptions RandomScenario(uint64_t seed);

// Runs it. `violations` of the result holds what the checkers found and what is wrong at its end
// ("end: stands still ..."); empty: the seed passes. wall_s is 0.
//   verbose: prints every message and event on stderr
Result RunSeed(uint64_t seed, bool verbose = false);

// The command that runs this seed again and prints all that happens.
std::string ReplayCommand(uint64_t seed);

}  // namespace weft::sim
