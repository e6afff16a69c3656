#pragma once
// Threads: how many a worker's math gets.

#include <cstdint>

#include "config/run_config.h"

namespace weft::app {

// Threads for the math of one of `workers` on this machine: what the job says, or an even share of
// the cores. A deterministic job uses 1 unless it says otherwise, so that every device computes the
// same bits.
int ThreadsFor(const config::RunConfig& config, int64_t workers);

// Cores this process may use.
int64_t Cores();

}  // namespace weft::app
