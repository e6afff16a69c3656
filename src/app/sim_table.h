#pragma once
// What came of simulated runs, as text for people.

#include <string>
#include <vector>

#include "app/sim_expect.h"
#include "config/scenario.h"
#include "sim/result.h"

namespace weft::app {

// `model`: the network and its size, "lenet5, 61,706 parameters".
std::string ResultTable(const config::Scenario& scenario, const std::string& model,
                        const sim::Result& result, const std::vector<Finding>& findings);

// One line, for a run of many.
std::string ResultLine(const sim::Result& result, const std::vector<Finding>& findings);

// Over several runs: a row a figure, with its least, median and most.
struct Spread {
  std::string figure;
  double min = 0, median = 0, max = 0;
};
std::vector<Spread> Spreads(const std::vector<sim::Result>& results);
std::string SpreadTable(const std::vector<Spread>& spreads);

// Rows of the most and the least of the devices' utilisation, at most `most`; all if there are
// fewer. Rising by number.
std::vector<size_t> TellingDevices(const sim::Result& result, size_t most);

// "1,234,567"
std::string Grouped(int64_t number);

}  // namespace weft::app
