#pragma once
// Measures the training step of one device: what `weft bench step` prints.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/batches.h"
#include "model/graph.h"

namespace weft::app {

struct BenchStepOptions {
  int64_t batch = 64;
  int threads = 1;
  std::string kernels = "auto";
  double seconds = 2;        // of timed steps
  size_t memory_budget = 0;  // engine::EngineOptions
  bool parts = false;        // also time each part of the step, in as many seconds again
};

// One step of the program, or what the engine does around them.
struct BenchStepPart {
  std::string name;    // "conv1 forward"
  std::string kernel;  // its implementation; empty around the steps
  double ms = 0;       // median
  double flops = 0;
};

struct BenchStepResult {
  double images_per_second = 0;  // from the median step
  double step_ms = 0;            // median
  double step_ms_p10 = 0;
  double step_ms_p90 = 0;
  double step_cpu_ms = 0;  // median of what the calling thread computed; less on a busy machine
  int64_t steps = 0;
  double flops_per_step = 0;  // conv and linear, forward and backward
  double gflops = 0;
  double sgemm_gflops = 0;  // rate of a 1024^3 matrix product here, same threads
  double floor_ms = 0;      // flops_per_step over that rate
  int64_t memory_bytes = 0;
  int64_t activation_bytes = 0;  // of these: the arena, where gradients only pass
  int64_t peak_rss_bytes = 0;
  std::string plan;                  // printed program
  std::string given_up;              // plan::BatchPlan
  std::vector<BenchStepPart> parts;  // in order; empty if not asked for
};

// Forward, loss, backward and a momentum update on random samples. Errors of engine::Engine.
Result<BenchStepResult> BenchStep(const model::Graph& graph, const BenchStepOptions& options);

// Samples uniform in [-1, 1) with labels and keys, the same each time.
data::Batch RandomBatch(const model::Graph& graph, int64_t size);

// Rate of a 1024^3 matrix product: 1e9 FLOPs a second. Errors of kernel::MakeBackend.
Result<double> SgemmGflops(const std::string& kernels, int threads);

}  // namespace weft::app
