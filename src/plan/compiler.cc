#include "plan/compiler.h"

#include <fmt/format.h>

#include "base/rng.h"
#include "plan/recompute.h"

namespace weft::plan {

using kernel::Activation;
using model::LayerType;
using Kind = model::Parameter::Kind;

Compiler::Compiler(const model::Graph& graph, kernel::Backend* backend,
                   const CompileOptions& options)
    : graph_(graph),
      options_(options),
      builder_(backend),
      states_(graph.layers().size()),
      readers_(graph.layers().size()),
      needs_diff_(graph.layers().size(), false),
      diffs_(graph.layers().size()) {
  builder_.program().mode = options.mode;
  builder_.program().batch = options.batch;
  builder_.program().parameters.resize(graph.parameters().size());
  for (const model::Parameter& parameter : graph.parameters()) {
    if (parameter.trainable()) needs_diff_[static_cast<size_t>(parameter.layer)] = true;
  }
  for (int i = 1; i < static_cast<int>(graph.layers().size()); ++i) {
    for (int input : layer(i).inputs) {
      readers_[static_cast<size_t>(input)].push_back(i);
      if (needs_diff_[static_cast<size_t>(input)]) needs_diff_[static_cast<size_t>(i)] = true;
    }
  }
  FindFusions();
}

// A relu that is the only reader of a conv, linear or batchnorm runs inside it (leaky_relu: conv
// and linear only).
void Compiler::FindFusions() {
  for (int i = 1; i < static_cast<int>(states_.size()); ++i) {
    const auto& readers = readers_[static_cast<size_t>(i)];
    if (readers.size() != 1) continue;
    const model::Layer& next = layer(readers[0]);
    const bool weighted = layer(i).type == LayerType::kConv || layer(i).type == LayerType::kLinear;
    const bool relu = next.type == LayerType::kRelu;
    const bool leaky = next.type == LayerType::kLeakyRelu;
    if (!(weighted && (relu || leaky)) && !(layer(i).type == LayerType::kBatchnorm && relu)) {
      continue;
    }
    state(i).activation = relu ? Activation::kRelu : Activation::kLeakyRelu;
    state(i).slope = relu ? 0 : static_cast<float>(next.slope);
    state(readers[0]).fused = true;
  }
}

Shape Compiler::BatchShape(int index) const {
  const Shape& one = layer(index).shape;
  std::vector<int64_t> dims = {options_.batch};
  dims.insert(dims.end(), one.dims().begin(), one.dims().end());
  return Shape(std::span<const int64_t>(dims));
}

kernel::ConvDesc Compiler::ConvOf(int index) const {
  const model::Layer& l = layer(index);
  const Shape& in = layer(l.inputs[0]).shape;
  kernel::ConvDesc desc;
  desc.batch = options_.batch;
  desc.in_channels = in[0];
  desc.in_height = in[1];
  desc.in_width = in[2];
  desc.out_channels = l.out;
  desc.kernel_height = l.kernel_height;
  desc.kernel_width = l.kernel_width;
  desc.stride_height = l.stride_height;
  desc.stride_width = l.stride_width;
  desc.pad_top = desc.pad_bottom = l.pad_height;
  desc.pad_left = desc.pad_right = l.pad_width;
  desc.groups = l.groups;
  desc.bias = l.bias;
  desc.activation = states_[static_cast<size_t>(index)].activation;
  desc.slope = states_[static_cast<size_t>(index)].slope;
  return desc;
}

kernel::LinearDesc Compiler::LinearOf(int index) {
  kernel::LinearDesc desc;
  desc.batch = options_.batch;
  desc.src = builder_.layout(state(index).src).shape();
  desc.out = layer(index).out;
  desc.bias = layer(index).bias;
  desc.activation = state(index).activation;
  desc.slope = state(index).slope;
  return desc;
}

kernel::PoolDesc Compiler::PoolOf(int index) const {
  const model::Layer& l = layer(index);
  kernel::PoolDesc desc;
  desc.kind = l.type == LayerType::kMaxpool ? kernel::PoolDesc::Kind::kMax
                                            : kernel::PoolDesc::Kind::kAverage;
  desc.src = BatchShape(l.inputs[0]);
  if (l.type == LayerType::kGlobalAvgpool) {
    desc.kernel_height = desc.stride_height = desc.src[2];
    desc.kernel_width = desc.stride_width = desc.src[3];
    return desc;
  }
  desc.kernel_height = l.kernel_height;
  desc.kernel_width = l.kernel_width;
  desc.stride_height = l.stride_height;
  desc.stride_width = l.stride_width;
  desc.pad_top = desc.pad_bottom = l.pad_height;
  desc.pad_left = desc.pad_right = l.pad_width;
  return desc;
}

kernel::BatchnormDesc Compiler::BatchnormOf(int index) {
  kernel::BatchnormDesc desc;
  desc.src = BatchShape(layer(index).inputs[0]);
  desc.eps = static_cast<float>(layer(index).eps);
  desc.relu = state(index).activation == Activation::kRelu;
  return desc;
}

kernel::ActivationDesc Compiler::ActivationOf(int index) const {
  const bool relu = layer(index).type == LayerType::kRelu;
  return {relu ? Activation::kRelu : Activation::kLeakyRelu,
          relu ? 0.0f : static_cast<float>(layer(index).slope)};
}

kernel::DropoutDesc Compiler::DropoutOf(int index) {
  kernel::DropoutDesc desc;
  desc.src = builder_.layout(state(index).src).shape();
  desc.rate = static_cast<float>(layer(index).rate);
  desc.seed = base::DeriveSeed(options_.seed, static_cast<uint64_t>(index));
  return desc;
}

Result<int> Compiler::AsShape(int value, const Shape& shape) {
  if (builder_.layout(value).shape() == shape) return value;
  ASSIGN_OR_RETURN(const int plain,
                   builder_.Adapt(value, kernel::Layout(builder_.layout(value).shape())));
  return builder_.AddAlias(plain, shape);
}

int Compiler::ParameterIndex(int index, Kind kind) const {
  for (size_t i = 0; i < graph_.parameters().size(); ++i) {
    const model::Parameter& parameter = graph_.parameters()[i];
    if (parameter.layer == index && parameter.kind == kind) return static_cast<int>(i);
  }
  CHECK(false) << "layer " << layer(index).name << " has no such parameter";
  return -1;
}

int Compiler::ParameterValue(int parameter, const kernel::Layout& layout) {
  int& value = builder_.program().parameters[static_cast<size_t>(parameter)].weights;
  if (value >= 0) return value;
  const kernel::Layout& chosen = options_.parameter_layouts.empty()
                                     ? layout
                                     : options_.parameter_layouts[static_cast<size_t>(parameter)];
  value = builder_.AddInput(graph_.parameters()[static_cast<size_t>(parameter)].name, chosen,
                            chosen.bytes(), Place::kParameter);
  return value;
}

int Compiler::ParameterValue(int index, Kind kind) {
  const int parameter = ParameterIndex(index, kind);
  return ParameterValue(parameter,
                        kernel::Layout(graph_.parameters()[static_cast<size_t>(parameter)].shape));
}

Status Compiler::Forward() {
  const Shape input = BatchShape(0);
  const kernel::Layout plain(input);
  builder_.program().samples = builder_.AddInput("samples", plain, plain.bytes());
  state(0).out = builder_.program().samples;
  for (int i = 1; i < static_cast<int>(states_.size()); ++i) {
    builder_.SetOwner(i);
    RETURN_IF_ERROR(ForwardLayer(i).Annotate(graph_.file()));
  }
  builder_.SetOwner(-1);
  // Statistics that no step of this mode reads still have their place in the store.
  for (size_t i = 0; i < graph_.parameters().size(); ++i) {
    ParameterValue(static_cast<int>(i), kernel::Layout(graph_.parameters()[i].shape));
  }
  return OkStatus();
}

Status Compiler::ForwardLayer(int index) {
  const model::Layer& l = layer(index);
  LayerState& s = state(index);
  s.src = state(l.inputs[0]).out;
  const std::string name = l.name + " forward";
  std::vector<int> made;
  switch (l.type) {
    case LayerType::kConv:
    case LayerType::kLinear:
      return ForwardWeighted(index);
    case LayerType::kBatchnorm:
      return ForwardBatchnorm(index);
    case LayerType::kMaxpool:
    case LayerType::kAvgpool:
    case LayerType::kGlobalAvgpool:
      return ForwardPool(index);
    case LayerType::kFlatten:
      s.out = s.src;  // readers look at it under the shape they need
      return OkStatus();
    case LayerType::kDropout: {
      if (!training()) {
        s.out = s.src;
        return OkStatus();
      }
      int& keys = builder_.program().keys;
      if (keys < 0) {
        keys =
            builder_.AddInput("keys", {}, static_cast<size_t>(options_.batch) * sizeof(uint64_t));
      }
      ASSIGN_OR_RETURN(made,
                       builder_.AddStep(name, builder_.backend()->DropoutForward(DropoutOf(index)),
                                        {s.src, keys}));
      break;
    }
    case LayerType::kRelu:
    case LayerType::kLeakyRelu: {
      if (s.fused) {
        s.out = s.src;
        return OkStatus();
      }
      ASSIGN_OR_RETURN(made, builder_.AddStep(name,
                                              builder_.backend()->ActivationForward(
                                                  ActivationOf(index), builder_.layout(s.src)),
                                              {s.src}));
      break;
    }
    case LayerType::kAdd: {
      ASSIGN_OR_RETURN(const int a, AsShape(s.src, BatchShape(index)));
      ASSIGN_OR_RETURN(const int b, AsShape(state(l.inputs[1]).out, BatchShape(index)));
      ASSIGN_OR_RETURN(made,
                       builder_.AddStep(name, builder_.backend()->Add(builder_.layout(a)), {a, b}));
      break;
    }
    case LayerType::kInput:
      CHECK(false) << "input is layer 0 only";
  }
  s.out = made[0];
  builder_.SetName(s.out, l.name);
  return OkStatus();
}

Status Compiler::ForwardWeighted(int index) {
  const model::Layer& l = layer(index);
  LayerState& s = state(index);
  const bool conv = l.type == LayerType::kConv;
  if (conv) {
    ASSIGN_OR_RETURN(s.src, AsShape(s.src, BatchShape(l.inputs[0])));
  }
  kernel::Backend* backend = builder_.backend();
  const kernel::Layout& src = builder_.layout(s.src);
  kernel::Backend::OpResult op = conv ? backend->ConvForward(ConvOf(index), src)
                                      : backend->LinearForward(LinearOf(index), src);
  const double flops = conv ? ConvOf(index).flops() : LinearOf(index).flops();
  if (!op.ok()) return op.status().Annotate("layer \"" + l.name + "\"");
  const kernel::Layout wanted = (*op)->ports()[1].layout;
  std::vector<int> inputs = {s.src, ParameterValue(ParameterIndex(index, Kind::kWeight), wanted)};
  if (l.bias) inputs.push_back(ParameterValue(index, Kind::kBias));
  ASSIGN_OR_RETURN(const std::vector<int> made,
                   builder_.AddStep(l.name + " forward", std::move(op), inputs, flops));
  s.out = made[0];
  builder_.SetName(s.out, l.name);
  return OkStatus();
}

Status Compiler::ForwardBatchnorm(int index) {
  const model::Layer& l = layer(index);
  LayerState& s = state(index);
  ASSIGN_OR_RETURN(s.src, AsShape(s.src, BatchShape(l.inputs[0])));
  const kernel::BatchnormDesc desc = BatchnormOf(index);
  const kernel::Layout src = builder_.layout(s.src);
  const int gamma = ParameterValue(index, Kind::kGamma);
  const int beta = ParameterValue(index, Kind::kBeta);
  const std::string name = l.name + " forward";
  if (!training()) {
    const int mean = ParameterValue(index, Kind::kRunningMean);
    const int variance = ParameterValue(index, Kind::kRunningVariance);
    ASSIGN_OR_RETURN(const std::vector<int> made,
                     builder_.AddStep(name, builder_.backend()->BatchnormInference(desc, src),
                                      {s.src, gamma, beta, mean, variance}));
    s.out = made[0];
    builder_.SetName(s.out, l.name);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const std::vector<int> made,
                   builder_.AddStep(name, builder_.backend()->BatchnormForward(desc, src),
                                    {s.src, gamma, beta}));
  s.out = made[0];
  s.mean = made[1];
  s.variance = made[2];
  if (made.size() > 3) s.workspace = made[3];
  builder_.SetName(s.out, l.name);
  // The batch's own statistics are what this device contributes to the running ones.
  RETURN_IF_ERROR(SetGradient(index, Kind::kRunningMean, s.mean));
  RETURN_IF_ERROR(SetGradient(index, Kind::kRunningVariance, s.variance));
  const double n = static_cast<double>(desc.src.elements() / desc.src[1]);
  builder_.program()
      .parameters[static_cast<size_t>(ParameterIndex(index, Kind::kRunningVariance))]
      .gradient_scale = n > 1 ? static_cast<float>(n / (n - 1)) : 1.0f;
  return OkStatus();
}

Status Compiler::ForwardPool(int index) {
  const model::Layer& l = layer(index);
  LayerState& s = state(index);
  ASSIGN_OR_RETURN(s.src, AsShape(s.src, BatchShape(l.inputs[0])));
  ASSIGN_OR_RETURN(const std::vector<int> made,
                   builder_.AddStep(l.name + " forward",
                                    builder_.backend()->PoolForward(
                                        PoolOf(index), builder_.layout(s.src), training()),
                                    {s.src}));
  s.out = made[0];
  if (made.size() > 1) s.workspace = made[1];
  builder_.SetName(s.out, l.name);
  return OkStatus();
}

Status Compiler::Loss() {
  const int last = static_cast<int>(states_.size()) - 1;
  Program& program = builder_.program();
  ASSIGN_OR_RETURN(int logits, AsShape(state(last).out, {options_.batch, graph_.classes()}));
  ASSIGN_OR_RETURN(logits, builder_.Adapt(logits, kernel::Layout(builder_.layout(logits).shape())));
  if (options_.mode == Mode::kPredict) {
    program.logits = logits;
    builder_.KeepToEnd(logits);
    return OkStatus();
  }
  program.labels =
      builder_.AddInput("labels", {}, static_cast<size_t>(options_.batch) * sizeof(int32_t));
  const kernel::LossDesc desc{options_.batch, graph_.classes()};
  ASSIGN_OR_RETURN(const std::vector<int> made,
                   builder_.AddStep("loss", builder_.backend()->SoftmaxCrossEntropy(desc),
                                    {logits, program.labels}));
  program.stats = made[1];
  builder_.KeepToEnd(made[1]);
  program.backward_begin = static_cast<int>(program.steps.size());
  diffs_[static_cast<size_t>(last)].push_back(made[0]);
  return OkStatus();
}

Result<Draft> MakeDraft(const model::Graph& graph, kernel::Backend* backend,
                        const CompileOptions& options) {
  CHECK(options.batch >= 1);
  CHECK(options.parameter_layouts.empty() ||
        options.parameter_layouts.size() == graph.parameters().size());
  Compiler compiler(graph, backend, options);
  RETURN_IF_ERROR(compiler.Forward());
  RETURN_IF_ERROR(compiler.Loss());
  RETURN_IF_ERROR(compiler.Backward());
  return compiler.Finish();
}

Result<Program> Compile(const model::Graph& graph, kernel::Backend* backend,
                        const CompileOptions& options) {
  ASSIGN_OR_RETURN(Draft draft, MakeDraft(graph, backend, options));
  return PlanDraft(Recompute(std::move(draft), options.recompute));
}

}  // namespace weft::plan
