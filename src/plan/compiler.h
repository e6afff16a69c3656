#pragma once
// Compiler: turns a Graph into the steps of a Program. Forward in layer order with activations
// fused where one reader makes that possible; backward in reverse, gradients of a value with
// several readers summed. Used by MakeDraft, and so by Compile (program.h).

#include <vector>

#include "base/status.h"
#include "model/graph.h"
#include "plan/builder.h"
#include "plan/program.h"

namespace weft::plan {

// What the forward pass leaves behind for the backward pass of one layer.
struct LayerState {
  int src = -1;                  // the value it read (its second input for add: see inputs)
  int out = -1;                  // the value it made
  int mean = -1, variance = -1;  // batchnorm
  int workspace = -1;            // maxpool, batchnorm with relu
  kernel::Activation activation = kernel::Activation::kNone;  // fused into this layer
  float slope = 0;
  bool fused = false;  // this relu or leaky_relu was fused into its input
};

class Compiler {
 public:
  Compiler(const model::Graph& graph, kernel::Backend* backend, const CompileOptions& options);

  Status Forward();
  Status Loss();
  Status Backward();
  Draft Finish() { return builder_.Finish(); }

 private:
  bool training() const {
    return options_.mode == Mode::kTrain || options_.mode == Mode::kTrainStreaming;
  }
  const model::Layer& layer(int index) const { return graph_.layers()[static_cast<size_t>(index)]; }
  LayerState& state(int index) { return states_[static_cast<size_t>(index)]; }
  Shape BatchShape(int index) const;  // of the layer's output, N first
  kernel::ConvDesc ConvOf(int index) const;
  kernel::LinearDesc LinearOf(int index);
  kernel::PoolDesc PoolOf(int index) const;
  kernel::BatchnormDesc BatchnormOf(int index);
  kernel::ActivationDesc ActivationOf(int index) const;
  kernel::DropoutDesc DropoutOf(int index);

  // The value under the shape a layer thinks of (plain copy if it lies blocked under another).
  Result<int> AsShape(int value, const Shape& shape);
  int ParameterIndex(int layer, model::Parameter::Kind kind) const;
  // The parameter's value, in `layout` if nobody has chosen one yet.
  int ParameterValue(int parameter, const kernel::Layout& layout);
  int ParameterValue(int layer, model::Parameter::Kind kind);  // plain ones: bias, gamma, ...
  void FindFusions();

  Status ForwardLayer(int index);
  Status ForwardWeighted(int index);  // conv and linear
  Status ForwardBatchnorm(int index);
  Status ForwardPool(int index);

  // The summed gradient of a layer's output.
  Result<int> TotalDiff(int index);
  Status BackwardLayer(int index);
  Status BackwardWeighted(int index, int diff);
  Status BackwardBatchnorm(int index, int diff);
  // The gradient of a parameter; kTrainStreaming: handed over by HandOver.
  Status SetGradient(int layer, model::Parameter::Kind kind, int value);
  void HandOver();
  void Contribute(int index, int diff);

  const model::Graph& graph_;
  const CompileOptions& options_;
  Builder builder_;
  std::vector<LayerState> states_;
  std::vector<std::vector<int>> readers_;  // layers that read a layer
  std::vector<bool> needs_diff_;           // something to train stands at or before the layer
  std::vector<std::vector<int>> diffs_;    // contributions to the gradient of a layer's output
  std::vector<int> not_handed_over_;       // parameters whose gradients stand
};

// The steps of a program, its memory not planned yet; `options.recompute` is left to Recompute.
// Errors: those of Compile.
Result<Draft> MakeDraft(const model::Graph& graph, kernel::Backend* backend,
                        const CompileOptions& options);

}  // namespace weft::plan
