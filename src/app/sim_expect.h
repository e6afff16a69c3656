#pragma once
// Findings: what a scenario expects of a run, beside what the run came to.

#include <string>
#include <vector>

#include "config/scenario.h"
#include "sim/result.h"

namespace weft::app {

struct Finding {
  std::string key;   // of [expect]
  std::string want;  // "at least 0.5"
  std::string got;
  bool ok = false;
};

// One for each expectation, in the order of docs/scenario.md. A figure that a run could not have
// (an accuracy without an end) fails.
std::vector<Finding> CheckExpectations(const config::Expectations& expect,
                                       const sim::Result& result);

bool AllHold(const std::vector<Finding>& findings);

// Share of the devices' time switched on in which they computed, over all; 0 if none was on.
double Utilisation(const sim::Result& result);
double Utilisation(const sim::DeviceResult& device);

}  // namespace weft::app
