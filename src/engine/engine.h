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

// Plans that an engine keeps of each mode.
inline constexpr size_t kPreparedSizes = 8;

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

// Is told by Train what of the gradient is final, while the backward pass goes on.
class GradientSink {
 public:
  virtual ~GradientSink() = default;
  // The loss is known, and nothing can fail any more. Before the first stretch.
  virtual void OnLoss(const StepResult& result) = 0;
  // Engine::GetGradientStretch may ask for this stretch of the flat vector, or for those before.
  // Each value is in one; the statistics come first, then the last layers, the first ones at last.
  virtual void OnStretch(int64_t begin, int64_t count) = 0;
};

// Lets Train begin before all parameters are there.
class ParameterGate {
 public:
  virtual ~ParameterGate() = default;
  // The next step reads this stretch of the flat vector: returns once its values are set
  // (Engine::SetParameterStretch), or false to give the whole step up. Each value that the forward
  // pass reads is asked for once, first layers first; the running statistics are not.
  virtual bool Await(int64_t begin, int64_t count) = 0;
};

// Who is to be asked and told while a step runs; null: nobody. Of a batch that is divided, the
// first part asks and the last one tells.
struct TrainHooks {
  ParameterGate* gate = nullptr;
  GradientSink* sink = nullptr;
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
  // TrainAndApply, kEvaluate, kPredict; does nothing if it stands already. Of each mode the
  // kPreparedSizes sizes used last stand; what went is planned again when it comes again. Errors of
  // plan::FitMemory.
  Status Prepare(plan::Mode mode, int64_t batch);
  bool IsPrepared(plan::Mode mode, int64_t batch) const;
  // The prepared plan, for printing; lives until another size takes its place.
  const plan::BatchPlan& plan(plan::Mode mode, int64_t batch) const;

  // The flat vector of the graph, [graph().parameter_count()], statistics included. Before the
  // first SetParameters all are zero. Prepare must have been called once.
  void SetParameters(std::span<const float> flat) { parameters_.Set(flat); }
  void GetParameters(std::span<float> flat) const { parameters_.Get(flat); }
  // Values [begin, begin + plain.size()) of the flat vector: whole parameters, CHECKed.
  void SetParameterStretch(int64_t begin, std::span<const float> plain);

  // Forward, loss, backward. Errors: kInvalidArgument for a label out of range (names the sample in
  // the batch; there is no gradient then), kCancelled if the gate gave up, those of Prepare for a
  // new batch size.
  Result<StepResult> Train(const data::Batch& batch, const TrainHooks& hooks = {});
  // Of the last Train: the mean gradient in the trainable stretch, the batch's mean and unbiased
  // variance in the statistics. flat: [graph().parameter_count()].
  void GetGradient(std::span<float> flat) const;
  // Values [begin, begin + plain.size()) of it, to the same bits: whole parameters, CHECKed. Also
  // while Train tells the sink.
  void GetGradientStretch(int64_t begin, std::span<float> plain) const;

  // One update from the last Train by this device alone, in the kernels' own layouts.
  void Apply(const OptimizerOptions& options, double lr);

  // Train and Apply in one, to the same bits: each parameter is updated as soon as no step needs
  // its old value, so that its gradient need not be kept. Errors as Train; nothing is updated then.
  Result<StepResult> TrainAndApply(const data::Batch& batch, const OptimizerOptions& options,
                                   double lr);
  // The optimizer's state begins anew with the next update.
  void ResetOptimizer();
  // The optimizer's state of one device, where an engine computes for several.
  struct OptimizerMemory {
    tensor::Arena state;
    int64_t steps = 0;
  };
  // Takes this state over and leaves its own in its place.
  void ExchangeOptimizer(OptimizerMemory* memory);

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
  class Hooks;      // TrainHooks on their way through a program

  Engine(std::shared_ptr<const model::Graph> graph, const EngineOptions& options,
         std::unique_ptr<kernel::Backend> backend);
  void ForgetOldest(plan::Mode mode);
  Status MakeRoom(const plan::BatchPlan& plan);
  void ResizeArena(const plan::BatchPlan& plan);
  void Bind(Prepared* prepared);
  uint8_t* At(const plan::Program& program, int value) const;
  Result<Prepared*> Find(plan::Mode mode, int64_t batch);
  Result<StepResult> Run(const Prepared& prepared, const data::Batch& batch, const Update& update,
                         const TrainHooks& hooks = {});
  Status RunPart(const Bound& bound, const data::Batch& batch, int64_t begin, const Update& update,
                 Hooks hooks, StepResult* result);
  void Fill(const plan::Program& program, const data::Batch& batch, int64_t begin);
  Status AddStats(const plan::Program& program, const data::Batch& batch, int64_t begin,
                  StepResult* result) const;
  void ReadGradient(size_t parameter, std::span<float> plain) const;
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
  uint64_t uses_ = 0;  // of prepared plans, counted
  const Prepared* last_trained_ = nullptr;
  StepObserver* observer_ = nullptr;
};

}  // namespace weft::engine
