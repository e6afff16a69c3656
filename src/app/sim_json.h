#pragma once
// A simulated run in JSON: the scenario with nothing left to chance or default, and what came of
// it.

#include <nlohmann/json.hpp>
#include <vector>

#include "app/sim_expect.h"
#include "config/scenario.h"
#include "sim/result.h"

namespace weft::app {

// {"event":"scenario", ...}: all that another runner of the scenario needs. `up` of a device: when
// it is switched on, in seconds, up to the limit. Rates in bits a second, 0: no limit.
nlohmann::ordered_json ScenarioJson(const config::Scenario& scenario);

// Every field of the result under its own name; durations in seconds, the hash in hex.
nlohmann::ordered_json ResultJson(const sim::Result& result);

nlohmann::ordered_json FindingsJson(const std::vector<Finding>& findings);

}  // namespace weft::app
