#pragma once
// A reference training run (a JSON file of losses and norms made in float64 elsewhere) and its
// replay on the engine. The formulas of parameters, inputs and labels are computed, not stored; see
// docs/reference_runs.md.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/optimizer.h"
#include "model/graph.h"

namespace weft::tests {

struct ReferenceRun {
  model::Graph graph;
  int64_t batch = 0;
  int64_t steps = 0;
  engine::OptimizerOptions optimizer;
  double lr = 0;
  std::vector<double> losses;                    // before each update
  std::map<std::string, double> gradient_norms;  // of each parameter at step 0
  std::map<std::string, double> weight_norms;    // after the last step, running statistics included
  double loss_tolerance = 0;                     // relative
  double gradient_tolerance = 0;                 // relative
  double weight_tolerance = 0;                   // relative
};

Result<ReferenceRun> LoadReferenceRun(const std::string& path);

// The largest deviation over its tolerance, and where it stands.
struct Deviation {
  double ratio = 0;  // deviation / tolerance; at most 1 passes
  std::string where;
};

// Replays the run. `kernels` as kernel::MakeBackend.
Result<Deviation> ReplayReferenceRun(const ReferenceRun& run, const std::string& kernels);

}  // namespace weft::tests
