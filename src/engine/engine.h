#pragma once
// Engine: runs one device's block of the training step: parameters in, batch in, gradient out. It
// compiles a Program for each batch size it meets (Prepare) and from then on a step of that size
// allocates nothing.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "data/batches.h"
#include "engine/optimizer.h"
#include "kernel/backend.h"
#include "model/graph.h"
#include "plan/program.h"
#include "tensor/arena.h"

namespace weft::engine {

struct EngineOptions {
  int threads = 1;               // for the math of one step
  std::string kernels = "auto";  // kernel::MakeBackend
  uint64_t seed = 0;             // of dropout
};

// What one pass over a batch found.
struct StepResult {
  double loss_sum = 0;  // over the batch
  int64_t correct = 0;
  int64_t samples = 0;
  double loss() const { return samples > 0 ? loss_sum / static_cast<double>(samples) : 0; }
};

// Threads: one at a time.
class Engine {
 public:
  // Errors: kInvalidArgument for unknown kernels.
  static Result<std::unique_ptr<Engine>> Create(std::shared_ptr<const model::Graph> graph,
                                                const EngineOptions& options);
  ~Engine();

  const model::Graph& graph() const { return *graph_; }

  // Compiles and binds the program for `batch` samples; does nothing if it stands already. Errors
  // of plan::Compile.
  Status Prepare(plan::Mode mode, int64_t batch);
  // The prepared program, for printing.
  const plan::Program& program(plan::Mode mode, int64_t batch) const;

  // The flat vector of the graph, [graph().parameter_count()], statistics included. Before the
  // first SetParameters all are zero. Prepare must have been called once.
  void SetParameters(std::span<const float> flat);
  void GetParameters(std::span<float> flat) const;

  // Forward, loss, backward. Errors: kInvalidArgument for a label out of range (names the sample in
  // the batch), those of Prepare for a new batch size.
  Result<StepResult> Train(const data::Batch& batch);
  // Of the last Train: the mean gradient in the trainable stretch, the batch's mean and unbiased
  // variance in the statistics. flat: [graph().parameter_count()].
  void GetGradient(std::span<float> flat) const;

  // One update from the last Train by this device alone, in the kernels' own layouts.
  void Apply(const OptimizerOptions& options, double lr);

  // Forward with running statistics. Errors as Train.
  Result<StepResult> Evaluate(const data::Batch& batch);
  // logits: [N, classes].
  Status Predict(const data::Batch& batch, std::span<float> logits);

  // For measuring: `observer` is called on the thread of Train, Evaluate or Predict before the
  // first op of the program (with 0) and after each (with how many have run). Empty: nobody.
  void SetObserver(std::function<void(size_t ops_run)> observer) {
    observer_ = std::move(observer);
  }

  // Bytes held: the arena, the parameters, the optimizer's state.
  size_t memory_bytes() const;

 private:
  struct Bound;     // a Program with its kernels at their addresses
  struct Exchange;  // reorders between the flat vector and the kernels' layouts

  Engine(std::shared_ptr<const model::Graph> graph, const EngineOptions& options,
         std::unique_ptr<kernel::Backend> backend);
  Status Run(plan::Mode mode, const data::Batch& batch, Bound** bound);
  Status PlaceParameters(const plan::Program& program);
  void Bind(Bound* bound);
  Result<StepResult> ReadStats(const Bound& bound, const data::Batch& batch) const;

  std::shared_ptr<const model::Graph> graph_;
  EngineOptions options_;
  std::unique_ptr<kernel::Backend> backend_;
  std::vector<kernel::Layout>
      parameter_layouts_;                  // one a parameter of the graph; set by the first Prepare
  std::vector<size_t> parameter_offsets_;  // bytes
  tensor::Arena parameters_;
  tensor::Arena arena_;    // shared by all programs
  tensor::Arena staging_;  // one plain tensor on its way from or to the flat vector
  tensor::Arena exchange_scratch_;
  tensor::Arena optimizer_state_;
  int64_t optimizer_steps_ = 0;
  std::map<std::pair<plan::Mode, int64_t>, std::unique_ptr<Bound>> bound_;
  std::vector<Exchange> exchanges_;
  Bound* last_trained_ = nullptr;
  std::function<void(size_t)> observer_;
};

}  // namespace weft::engine
