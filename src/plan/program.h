#pragma once
// Program: one device's plan for one batch size: every piece of math in order, every number's
// place. Made by Compile from a Graph; immutable, printable; the engine binds it to memory and runs
// it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel/backend.h"
#include "model/graph.h"

namespace weft::plan {

enum class Mode {
  kTrain,           // forward, loss, backward: gradients of all parameters
  kTrainStreaming,  // the same, but each gradient is handed over to the engine as soon as the last
                    // step that reads its weights is done, and not kept
  kEvaluate,        // forward with running statistics, loss
  kPredict,         // forward with running statistics, logits
};

// Where a value lies.
enum class Place {
  kArena,      // in the step's arena, by lifetime
  kParameter,  // in the parameter store, for ever
};

// One array of numbers that steps read and write.
struct Value {
  std::string name;
  kernel::Layout layout;  // empty shape for integers and workspaces
  size_t bytes = 0;
  Place place = Place::kArena;
  size_t offset = 0;  // bytes, in its place
};

struct Step {
  std::string name;                      // "conv1 forward"
  std::shared_ptr<const kernel::Op> op;  // null: a hand-over
  std::vector<int> args;  // indices of values, one a port of the op; of a hand-over: the gradient
  int parameter = -1;     // of a hand-over: whose gradient it is
  bool again = false;     // computes what the forward pass had computed and did not keep
  size_t scratch_offset = 0;  // in the arena
  double flops = 0;
};

// The values of the parameter `graph.parameters()[i]`.
struct ParameterValues {
  int weights = -1;   // kParameter
  int gradient = -1;  // kArena (train only), alive at the end of the step, or until it is handed
                      // over; of running statistics: the batch's own
  float gradient_scale = 1;  // of running variance: n / (n - 1), biased to unbiased
};

struct Program {
  Mode mode = Mode::kTrain;
  int64_t batch = 0;
  std::vector<Value> values;
  std::vector<Step> steps;
  std::vector<ParameterValues> parameters;  // in the graph's order
  int samples = -1;                         // input (N, C, H, W) plain
  int labels = -1;                          // N i32; -1 in kPredict
  int keys = -1;                            // N u64; -1 without dropout
  int logits = -1;                          // (N, classes) plain; kPredict only
  int stats = -1;                           // kernel::LossStats; -1 in kPredict
  int backward_begin = -1;                  // the first step after the loss; -1 in kPredict
  size_t arena_bytes = 0;
  size_t arena_floor_bytes = 0;  // most bytes alive at once
  size_t parameter_bytes = 0;

  double Flops() const;            // of all steps
  double RecomputedFlops() const;  // of those that compute something again
  // A table: step, implementation, layouts, bytes; then the memory.
  std::string ToString() const;
};

// Bytes of the largest parameter that does not lie plain: what its trip from and to the flat vector
// needs.
size_t StagingBytes(const Program& program);

struct CompileOptions {
  Mode mode = Mode::kTrain;
  int64_t batch = 1;
  uint64_t seed = 0;  // of dropout
  // Layouts that parameters already have (one a parameter of the graph), or empty to let the
  // kernels choose.
  std::vector<kernel::Layout> parameter_layouts;
  // Layers (indices) whose values are not kept from the forward to the backward pass, but computed
  // again where it needs them: less memory for more time, and the same bits.
  std::vector<int> recompute;
};

// Errors: kInvalidArgument naming the layer whose shapes no kernel accepts.
Result<Program> Compile(const model::Graph& graph, kernel::Backend* backend,
                        const CompileOptions& options);

}  // namespace weft::plan
