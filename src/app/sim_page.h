#pragma once
// SimPage: report.html of a simulated run: how it ended, the timeline, epochs, devices, links.

#include <string>
#include <vector>

#include "app/sim_expect.h"
#include "app/sim_timeline.h"
#include "config/scenario.h"
#include "sim/result.h"

namespace weft::app {

struct SimPageInput {
  const config::Scenario& scenario;
  std::string model;  // "lenet5, 61,706 parameters"
  const sim::Result& result;
  const std::vector<Finding>& findings;
  const Timeline& timeline;  // finished
  std::string replay;        // the command that runs it again
};

// One file without any other.
std::string SimPage(const SimPageInput& input);

}  // namespace weft::app
