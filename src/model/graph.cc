#include "model/graph.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "base/rng.h"
#include "model/layer_shapes.h"

namespace weft::model {
namespace {

Parameter MakeParameter(const Layer& layer, int index, Parameter::Kind kind, const char* suffix,
                        Shape shape) {
  Parameter parameter;
  parameter.name = layer.name + "." + suffix;
  parameter.kind = kind;
  parameter.layer = index;
  parameter.shape = shape;
  return parameter;
}

void AddTrainable(const Layer& layer, const Layer& input, int index, std::vector<Parameter>* out) {
  using Kind = Parameter::Kind;
  if (layer.type == LayerType::kConv || layer.type == LayerType::kLinear) {
    const Shape weights = layer.type == LayerType::kConv
                              ? Shape{layer.out, input.shape[0] / layer.groups, layer.kernel_height,
                                      layer.kernel_width}
                              : Shape{layer.out, input.shape.elements()};
    out->push_back(MakeParameter(layer, index, Kind::kWeight, "weight", weights));
    if (layer.bias) out->push_back(MakeParameter(layer, index, Kind::kBias, "bias", {layer.out}));
  } else if (layer.type == LayerType::kBatchnorm) {
    out->push_back(MakeParameter(layer, index, Kind::kGamma, "weight", {input.shape[0]}));
    out->push_back(MakeParameter(layer, index, Kind::kBeta, "bias", {input.shape[0]}));
  }
}

void AddStatistics(const Layer& layer, const Layer& input, int index, std::vector<Parameter>* out) {
  if (layer.type != LayerType::kBatchnorm) return;
  const Shape shape{input.shape[0]};
  out->push_back(MakeParameter(layer, index, Parameter::Kind::kRunningMean, "running_mean", shape));
  out->back().momentum = layer.momentum;
  out->push_back(
      MakeParameter(layer, index, Parameter::Kind::kRunningVariance, "running_var", shape));
  out->back().momentum = layer.momentum;
}

std::string Place(const std::string& file, const Layer& layer) {
  return layer.line > 0 ? fmt::format("{}:{}: layer \"{}\"", file, layer.line, layer.name)
                        : fmt::format("{}: layer \"{}\"", file, layer.name);
}

}  // namespace

std::string_view LayerTypeName(LayerType type) {
  switch (type) {
    case LayerType::kInput:
      return "input";
    case LayerType::kConv:
      return "conv";
    case LayerType::kLinear:
      return "linear";
    case LayerType::kBatchnorm:
      return "batchnorm";
    case LayerType::kRelu:
      return "relu";
    case LayerType::kLeakyRelu:
      return "leaky_relu";
    case LayerType::kMaxpool:
      return "maxpool";
    case LayerType::kAvgpool:
      return "avgpool";
    case LayerType::kGlobalAvgpool:
      return "global_avgpool";
    case LayerType::kAdd:
      return "add";
    case LayerType::kFlatten:
      return "flatten";
    case LayerType::kDropout:
      return "dropout";
  }
  return "input";
}

Result<Graph> Graph::Build(std::string name, Shape input, int64_t classes,
                           std::vector<Layer> layers, const std::string& file) {
  if (input.rank() != 3) {
    return InvalidArgument(fmt::format("{}: input: got {} extents, want 3: channels, height, width",
                                       file, input.rank()));
  }
  for (int64_t extent : input.dims()) {
    if (extent < 1) {
      return InvalidArgument(
          fmt::format("{}: input: got {}, want extents of at least 1", file, input.ToString()));
    }
  }
  if (classes < 2) {
    return InvalidArgument(fmt::format("{}: classes: got {}, want at least 2", file, classes));
  }
  if (layers.empty()) return InvalidArgument(file + ": layers: got none, want at least one");

  Graph graph;
  graph.name_ = std::move(name);
  graph.file_ = file;
  graph.classes_ = classes;
  Layer source;
  source.name = "input";
  source.shape = input;
  graph.layers_.push_back(source);
  for (Layer& layer : layers) {
    Result<Shape> shape = OutputShape(layer, graph.layers_);
    if (!shape.ok()) return shape.status().Annotate(Place(file, layer));
    layer.shape = *shape;
    graph.layers_.push_back(std::move(layer));
  }
  std::vector<bool> used(graph.layers_.size(), false);
  used.back() = true;
  for (const Layer& layer : graph.layers_) {
    for (int at : layer.inputs) used[static_cast<size_t>(at)] = true;
  }
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i]) continue;
    return InvalidArgument(Place(file, graph.layers_[i]) +
                           ": no later layer reads its output; take it out or name it in `from`");
  }
  const Layer& last = graph.layers_.back();
  if (last.shape.elements() != classes) {
    return InvalidArgument(
        fmt::format("{}: got {} outputs, want {}: the last layer gives one score for each class",
                    Place(file, last), last.shape.elements(), classes));
  }

  for (const bool statistics : {false, true}) {
    for (size_t i = 1; i < graph.layers_.size(); ++i) {
      const Layer& layer = graph.layers_[i];
      const Layer& from = graph.layers_[static_cast<size_t>(layer.inputs[0])];
      if (statistics) {
        AddStatistics(layer, from, static_cast<int>(i), &graph.parameters_);
      } else {
        AddTrainable(layer, from, static_cast<int>(i), &graph.parameters_);
      }
    }
  }
  for (Parameter& parameter : graph.parameters_) {
    parameter.offset = graph.parameter_count_;
    graph.parameter_count_ += parameter.shape.elements();
    if (parameter.trainable()) graph.trainable_count_ = graph.parameter_count_;
  }
  if (graph.trainable_count_ == 0) {
    return InvalidArgument(file + ": layers: nothing to train: want a conv or linear layer");
  }
  return graph;
}

std::vector<float> Graph::InitialParameters(uint64_t seed) const {
  std::vector<float> values(static_cast<size_t>(parameter_count_));
  for (const Parameter& parameter : parameters_) {
    const auto n = static_cast<size_t>(parameter.shape.elements());
    float* out = values.data() + parameter.offset;
    switch (parameter.kind) {
      case Parameter::Kind::kWeight: {
        const double fan_in = static_cast<double>(parameter.shape.elements()) /
                              static_cast<double>(parameter.shape[0]);
        const double bound = std::sqrt(6.0 / fan_in);
        base::Rng rng(base::DeriveSeed(seed, static_cast<uint64_t>(parameter.layer)));
        for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(rng.NextUniform(-bound, bound));
        break;
      }
      case Parameter::Kind::kGamma:
      case Parameter::Kind::kRunningVariance:
        std::fill(out, out + n, 1.0f);
        break;
      case Parameter::Kind::kBias:
      case Parameter::Kind::kBeta:
      case Parameter::Kind::kRunningMean:
        break;  // zero
    }
  }
  return values;
}

double Graph::ForwardFlops() const {
  double flops = 0;
  for (const Parameter& parameter : parameters_) {
    if (parameter.kind != Parameter::Kind::kWeight) continue;
    const Layer& layer = layers_[static_cast<size_t>(parameter.layer)];
    const double positions =
        layer.type == LayerType::kConv ? static_cast<double>(layer.shape[1] * layer.shape[2]) : 1;
    flops += 2.0 * positions * static_cast<double>(parameter.shape.elements());
  }
  return flops;
}

std::string Graph::ToString() const {
  std::map<int, int64_t> counts;
  for (const Parameter& parameter : parameters_) {
    counts[parameter.layer] += parameter.shape.elements();
  }
  std::string text = fmt::format("{}: input {}, {} classes, {} parameters\n", name_,
                                 input().ToString(), classes_, parameter_count_);
  for (size_t i = 1; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    text += fmt::format("  {:<20} {:<14} {:<14} {:>10}\n", layer.name, LayerTypeName(layer.type),
                        layer.shape.ToString(), counts[static_cast<int>(i)]);
  }
  return text;
}

}  // namespace weft::model
