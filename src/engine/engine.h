#pragma once
// Engine: runs one device's block of the training step: parameters in, batch in, gradient out. It
// plans each batch size it meets (Prepare) and from then on a step of that size allocates nothing.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "data/batches.h"
#include "engine/optimizer.h"
#include "engine/parameter_store.h"
#include "kernel/backend.h"
#include "model/graph.h"
#include "plan/fit.h"
#include "tensor/arena.h"

namespace weft::engine {

struct EngineOptions {
  int threads = 1;                     // for the math of one step
  std::string kernels = "auto";        // kernel::MakeBackend
  uint64_t seed = 0;                   // of dropout
  const base::Clock* clock = nullptr;  // for kernel::BackendOptions
  // Bytes for weights, gradients, optimizer state and arena of a training step; 0: no limit.
  size_t memory_budget = 0;
  // Vectors of optimizer state that the budget has to hold: StateVectors of the optimizer that
  // Apply or TrainAndApply will get; 0 where the gradient is all that is wanted.
  size_t state_vectors = 0;
};

// What one pass over a batch found.
struct StepResult {
  double loss_sum = 0;  // over the batch
  int64_t correct = 0;
  int64_t samples = 0;
  double loss() const { return samples > 0 ? loss_sum / static_cast<double>(samples) : 0; }
};

// Is told of each step of a program as soon as it has run, in order; and of the moment before the
// first, when the batch lies in the arena.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void BeforeSteps() {}
  virtual void AfterStep(const plan::Step& step) = 0;
};

// Threads: one at a time.
class Engine {
 public:
  // Errors: kInvalidArgument for unknown kernels.
  static Result<std::unique_ptr<Engine>> Create(std::shared_ptr<const model::Graph> graph,
                                                const EngineOptions& options);
  ~Engine();

  const model::Graph& graph() const { return *graph_; }

  // Plans and binds a batch of `batch` samples: kTrain for Train, kTrainStreaming for
  // TrainAndApply, kEvaluate, kPredict; does nothing if it stands already. Errors of
  // plan::FitMemory.
  Status Prepare(plan::Mode mode, int64_t batch);
  // The prepared plan, for printing.
  const plan::BatchPlan& plan(plan::Mode mode, int64_t batch) const;

  // The flat vector of the graph, [graph().parameter_count()], statistics included. Before the
  // first SetParameters all are zero. Prepare must have been called once.
  void SetParameters(std::span<const float> flat) { parameters_.Set(flat); }
  void GetParameters(std::span<float> flat) const { parameters_.Get(flat); }

  // Forward, loss, backward. Errors: kInvalidArgument for a label out of range (names the sample in
  // the batch; there is no gradient then), those of Prepare for a new batch size.
  Result<StepResult> Train(const data::Batch& batch);
  // Of the last Train: the mean gradient in the trainable stretch, the batch's mean and unbiased
  // variance in the statistics. flat: [graph().parameter_count()].
  void GetGradient(std::span<float> flat) const;

  // One update from the last Train by this device alone, in the kernels' own layouts.
  void Apply(const OptimizerOptions& options, double lr);

  // Train and Apply in one, to the same bits: each parameter is updated as soon as no step needs
  // its old value, so that its gradient need not be kept. Errors as Train; nothing is updated then.
  Result<StepResult> TrainAndApply(const data::Batch& batch, const OptimizerOptions& options,
                                   double lr);

  // Forward with running statistics. Errors as Train.
  Result<StepResult> Evaluate(const data::Batch& batch);
  // logits: [N, classes].
  Status Predict(const data::Batch& batch, std::span<float> logits);

  // `observer` must outlive its use here; null: none.
  void Observe(StepObserver* observer) { observer_ = observer; }

  // Bytes held: the arena, the parameters, gradients, the optimizer's state.
  size_t memory_bytes() const;

 private:
  struct Bound;     // a Program with its kernels at their addresses
  struct Prepared;  // a BatchPlan with its programs bound
  struct Update;    // what is to be done with gradients that are handed over

  Engine(std::shared_ptr<const model::Graph> graph, const EngineOptions& options,
         std::unique_ptr<kernel::Backend> backend);
  Status MakeRoom(const plan::BatchPlan& plan);
  void Bind(Prepared* prepared);
  uint8_t* At(const plan::Program& program, int value) const;
  Result<Prepared*> Find(plan::Mode mode, int64_t batch);
  Result<StepResult> Run(const Prepared& prepared, const data::Batch& batch, const Update& update);
  Status RunPart(const Bound& bound, const data::Batch& batch, int64_t begin, const Update& update,
                 StepResult* result);
  void Fill(const plan::Program& program, const data::Batch& batch, int64_t begin);
  Status AddStats(const plan::Program& program, const data::Batch& batch, int64_t begin,
                  StepResult* result) const;
  void TakeGradient(const plan::Program& program, size_t parameter, const Update& update);
  void BeginUpdate(const OptimizerOptions& options);
  void UpdateParameter(size_t parameter, std::span<const float> gradient, float gradient_scale,
                       const Update& update);

  std::shared_ptr<const model::Graph> graph_;
  EngineOptions options_;
  std::unique_ptr<kernel::Backend> backend_;
  ParameterStore parameters_;
  tensor::Arena arena_;      // shared by all programs
  tensor::Arena gradients_;  // of divided batches: the sum so far, laid out as the parameters
  tensor::Arena optimizer_state_;
  int64_t optimizer_steps_ = 0;
  std::map<std::pair<plan::Mode, int64_t>, std::unique_ptr<Prepared>> prepared_;
  const Prepared* last_trained_ = nullptr;
  StepObserver* observer_ = nullptr;
};

}  // namespace weft::engine
