// The backward half of the Compiler.

#include "plan/compiler.h"

namespace weft::plan {

using kernel::Activation;
using model::LayerType;
using Kind = model::Parameter::Kind;

Status Compiler::SetGradient(int index, Kind kind, int value) {
  const int parameter = ParameterIndex(index, kind);
  ParameterValues& values = builder_.program().parameters[static_cast<size_t>(parameter)];
  if (values.weights >= 0) {
    ASSIGN_OR_RETURN(value, builder_.Adapt(value, builder_.layout(values.weights)));
  }
  values.gradient = value;
  if (options_.mode == Mode::kTrainStreaming) {
    not_handed_over_.push_back(parameter);
  } else {
    builder_.KeepToEnd(value);
  }
  return OkStatus();
}

void Compiler::HandOver() {
  for (const int parameter : not_handed_over_) {
    const auto i = static_cast<size_t>(parameter);
    builder_.AddHandOver("hand over " + graph_.parameters()[i].name, parameter,
                         builder_.program().parameters[i].gradient);
  }
  not_handed_over_.clear();
}

void Compiler::Contribute(int index, int diff) {
  if (needs_diff_[static_cast<size_t>(index)]) diffs_[static_cast<size_t>(index)].push_back(diff);
}

Result<int> Compiler::TotalDiff(int index) {
  const std::vector<int>& parts = diffs_[static_cast<size_t>(index)];
  CHECK(!parts.empty()) << layer(index).name;
  int total = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) {
    ASSIGN_OR_RETURN(const int other, AsShape(parts[i], builder_.layout(total).shape()));
    ASSIGN_OR_RETURN(
        const std::vector<int> made,
        builder_.AddStep(layer(index).name + " sum of gradients",
                         builder_.backend()->Add(builder_.layout(total)), {total, other}));
    total = made[0];
  }
  return total;
}

Status Compiler::Backward() {
  if (!training()) return OkStatus();
  HandOver();  // what the forward pass measured: batchnorm's statistics
  for (int i = static_cast<int>(states_.size()) - 1; i > 0; --i) {
    if (!needs_diff_[static_cast<size_t>(i)]) continue;
    RETURN_IF_ERROR(BackwardLayer(i).Annotate(graph_.file()));
    HandOver();
  }
  return OkStatus();
}

Status Compiler::BackwardLayer(int index) {
  const model::Layer& l = layer(index);
  LayerState& s = state(index);
  const int input = l.inputs[0];
  const bool input_needs = needs_diff_[static_cast<size_t>(input)];
  ASSIGN_OR_RETURN(int diff, TotalDiff(index));
  const std::string name = l.name + " backward";
  kernel::Backend* backend = builder_.backend();
  std::vector<int> made;
  switch (l.type) {
    case LayerType::kConv:
    case LayerType::kLinear:
      return BackwardWeighted(index, diff);
    case LayerType::kBatchnorm:
      return BackwardBatchnorm(index, diff);
    case LayerType::kRelu:
    case LayerType::kLeakyRelu: {
      if (s.fused) {
        Contribute(input, diff);
        return OkStatus();
      }
      ASSIGN_OR_RETURN(diff, AsShape(diff, builder_.layout(s.out).shape()));
      ASSIGN_OR_RETURN(
          made, builder_.AddStep(
                    name, backend->ActivationBackward(ActivationOf(index), builder_.layout(s.out)),
                    {s.out, diff}));
      break;
    }
    case LayerType::kMaxpool:
    case LayerType::kAvgpool:
    case LayerType::kGlobalAvgpool: {
      if (!input_needs) return OkStatus();
      ASSIGN_OR_RETURN(diff, AsShape(diff, BatchShape(index)));
      std::vector<int> inputs = {diff};
      if (s.workspace >= 0) {
        // The workspace was made for the layout of the forward pass.
        ASSIGN_OR_RETURN(inputs[0], builder_.Adapt(diff, builder_.layout(s.out)));
        inputs.push_back(s.workspace);
      }
      ASSIGN_OR_RETURN(
          made, builder_.AddStep(name,
                                 backend->PoolBackward(PoolOf(index), builder_.layout(inputs[0]),
                                                       builder_.layout(s.src)),
                                 inputs));
      break;
    }
    case LayerType::kDropout: {
      kernel::DropoutDesc desc = DropoutOf(index);
      ASSIGN_OR_RETURN(diff, AsShape(diff, desc.src));
      ASSIGN_OR_RETURN(made, builder_.AddStep(name, backend->DropoutBackward(desc),
                                              {diff, builder_.program().keys}));
      break;
    }
    case LayerType::kAdd:
      for (const int side : l.inputs) Contribute(side, diff);
      return OkStatus();
    case LayerType::kFlatten:
      Contribute(input, diff);
      return OkStatus();
    case LayerType::kInput:
      CHECK(false) << "input has no backward pass";
  }
  Contribute(input, made[0]);
  return OkStatus();
}

Status Compiler::BackwardWeighted(int index, int diff) {
  const model::Layer& l = layer(index);
  LayerState& s = state(index);
  kernel::Backend* backend = builder_.backend();
  const bool conv = l.type == LayerType::kConv;
  ASSIGN_OR_RETURN(diff, AsShape(diff, builder_.layout(s.out).shape()));
  if (s.activation != Activation::kNone) {
    ASSIGN_OR_RETURN(const std::vector<int> made,
                     builder_.AddStep(l.name + " activation backward",
                                      backend->ActivationBackward({s.activation, s.slope},
                                                                  builder_.layout(s.out)),
                                      {s.out, diff}));
    diff = made[0];
  }
  const int weights = builder_.program()
                          .parameters[static_cast<size_t>(ParameterIndex(index, Kind::kWeight))]
                          .weights;
  kernel::ConvDesc conv_desc;
  kernel::LinearDesc linear_desc;
  if (conv) {
    conv_desc = ConvOf(index);
    conv_desc.activation = Activation::kNone;
  } else {
    linear_desc = LinearOf(index);
    linear_desc.activation = Activation::kNone;
  }
  const double flops = conv ? conv_desc.flops() : linear_desc.flops();
  const kernel::Layout src = builder_.layout(s.src);
  const kernel::Layout diff_dst = builder_.layout(diff);
  const kernel::Layout weights_layout = builder_.layout(weights);
  const auto weights_pass = [&]() -> Status {
    ASSIGN_OR_RETURN(
        const std::vector<int> gradients,
        builder_.AddStep(
            l.name + " backward weights",
            conv ? backend->ConvBackwardWeights(conv_desc, src, diff_dst, weights_layout)
                 : backend->LinearBackwardWeights(linear_desc, src, diff_dst, weights_layout),
            {s.src, diff}, flops));
    RETURN_IF_ERROR(SetGradient(index, Kind::kWeight, gradients[0]));
    return l.bias ? SetGradient(index, Kind::kBias, gradients[1]) : OkStatus();
  };
  const auto data_pass = [&]() -> Status {
    const int input = l.inputs[0];
    if (!needs_diff_[static_cast<size_t>(input)]) return OkStatus();
    ASSIGN_OR_RETURN(
        const std::vector<int> made,
        builder_.AddStep(l.name + " backward data",
                         conv ? backend->ConvBackwardData(conv_desc, diff_dst, src)
                              : backend->LinearBackwardData(linear_desc, diff_dst, src),
                         {diff, weights}, flops));
    Contribute(input, made[0]);
    return OkStatus();
  };
  // The second pass need not hold what only the first one reads: src, or the weights in the layout
  // that the pass wants. With the data first, the gradient does not wait for its hand-over either.
  if (weights_layout.bytes() > src.bytes()) {
    RETURN_IF_ERROR(data_pass());
    return weights_pass();
  }
  RETURN_IF_ERROR(weights_pass());
  return data_pass();
}

Status Compiler::BackwardBatchnorm(int index, int diff) {
  const model::Layer& l = layer(index);
  LayerState& s = state(index);
  ASSIGN_OR_RETURN(diff, AsShape(diff, builder_.layout(s.src).shape()));
  std::vector<int> inputs = {s.src, s.mean, s.variance, ParameterValue(index, Kind::kGamma), diff};
  if (s.workspace >= 0) inputs.push_back(s.workspace);
  ASSIGN_OR_RETURN(
      const std::vector<int> made,
      builder_.AddStep(l.name + " backward",
                       builder_.backend()->BatchnormBackward(
                           BatchnormOf(index), builder_.layout(s.src), builder_.layout(diff)),
                       inputs));
  Contribute(l.inputs[0], made[0]);
  RETURN_IF_ERROR(SetGradient(index, Kind::kGamma, made[1]));
  return SetGradient(index, Kind::kBeta, made[2]);
}

}  // namespace weft::plan
