#pragma once
// When during a training step parameters are first read, and when their gradients are final: what
// may still be on its way while the step runs, and what may leave before it ends.

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "kernel/backend.h"
#include "model/graph.h"
#include "plan/device_profile.h"
#include "plan/program.h"

namespace weft::plan {

// Neighbouring parameters of the flat vector that one step of a program is the first to read, or
// the last to write the gradients of.
struct Stretch {
  int64_t begin = 0;
  int64_t count = 0;
  int step = 0;  // of the program
  bool operator==(const Stretch&) const = default;
};

// In the order of the steps, then of the flat vector. Parameters that no step reads (running
// statistics in training) are in none. Of a training program.
std::vector<Stretch> FirstReads(const model::Graph& graph, const Program& program);

// In the order of the steps, then of the flat vector; they tile it. What the forward pass measures
// counts as final with the loss. Hand-overs that follow each other count as one, that of the last.
// Of a training program.
std::vector<Stretch> FinalGradients(const model::Graph& graph, const Program& program);

// Shares of a step's computing time, 0..1.
struct StretchTime {
  int64_t begin = 0;
  int64_t count = 0;
  double read_at = 0;   // before the first read; 1: never read
  double final_at = 0;  // after its gradient's last write
};

// In the order of the flat vector, which they tile; neighbours with the same times are one.
//   step_cost    one a step of the program, in any unit; not all 0
//   before_cost  what passes before the first step
std::vector<StretchTime> StretchTimes(const model::Graph& graph, const Program& program,
                                      const std::vector<double>& step_cost, double before_cost);

// Of a whole batch, its gradient kept, as a worker computes it. Costs are those that PredictTime
// finds on the profile; without one (null) the FLOPs of convolutions and linear layers, of which
// the backward pass has twice those of the forward pass (less the data gradient of the first).
// Errors: those of Compile; kInvalidArgument for a network that has no FLOPs, without a profile.
Result<std::vector<StretchTime>> StretchTimes(const model::Graph& graph, kernel::Backend* backend,
                                              int64_t batch, const DeviceProfile* profile);

}  // namespace weft::plan
