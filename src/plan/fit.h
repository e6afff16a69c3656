#pragma once
// FitMemory: how a device goes through a batch within a memory budget. What is given up for it, in
// this order of liking: recomputation of layers that are cheap for their bytes, of dearer ones, and
// micro-batches, the batch in parts that run one after the other; whatever mix has the least
// predicted extra time.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel/backend.h"
#include "model/graph.h"
#include "plan/program.h"

namespace weft::plan {

struct FitOptions {
  CompileOptions compile;    // mode, whole batch, seed, layouts; `recompute` is found here
  size_t budget_bytes = 0;   // for weights, gradients, optimizer state and arena; 0: no limit
  size_t state_vectors = 0;  // that an optimizer on this device keeps beside each weight
};

// The parts of a batch and the program of each.
struct BatchPlan {
  std::vector<int64_t> parts;     // samples, in order; sizes differ by at most one
  std::vector<Program> programs;  // one a distinct size of a part, larger first
  size_t bytes = 0;               // of all that the budget counts
  // What was given up, for people: "memory budget 120 MiB: recomputes 9 of 20 layers (+18 % FLOP)
  // ..."; empty if nothing.
  std::string given_up;

  bool divided() const { return parts.size() > 1; }
  // The program of part `i`.
  size_t program_of(size_t i) const { return parts[i] == programs[0].batch ? 0 : 1; }
  // Of a whole batch, recomputation left out.
  double Flops() const;
};

// Parts of a training batch are programs in Mode::kTrainStreaming, whose gradients the engine adds
// up in one more vector of the size of the weights. Batches of other modes are neither divided nor
// measured against the budget. Deterministic.
// Errors: those of Compile; kInvalidArgument if nothing fits, naming the smallest budget that would
// do.
Result<BatchPlan> FitMemory(const model::Graph& graph, kernel::Backend* backend,
                            const FitOptions& options);

}  // namespace weft::plan
