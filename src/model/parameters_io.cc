// The flat parameter vector of a graph as named tensors, and back.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/hash.h"
#include "model/safetensors.h"

namespace weft::model {

TensorFile PackParameters(const Graph& graph, std::span<const float> parameters) {
  CHECK_EQ(static_cast<int64_t>(parameters.size()), graph.parameter_count());
  TensorFile file;
  for (const Parameter& parameter : graph.parameters()) {
    const auto values = parameters.subspan(static_cast<size_t>(parameter.offset),
                                           static_cast<size_t>(parameter.shape.elements()));
    file.tensors.push_back({parameter.name, parameter.shape, {values.begin(), values.end()}});
  }
  return file;
}

Result<std::vector<float>> UnpackParameters(const Graph& graph, const TensorFile& file) {
  std::map<std::string_view, const NamedTensor*> by_name;
  for (const NamedTensor& tensor : file.tensors) by_name[tensor.name] = &tensor;
  std::vector<float> parameters(static_cast<size_t>(graph.parameter_count()));
  for (const Parameter& parameter : graph.parameters()) {
    const auto found = by_name.find(parameter.name);
    if (found == by_name.end()) {
      return base::InvalidArgument(
          fmt::format("tensor \"{}\": is missing, want shape {} for model {}", parameter.name,
                      parameter.shape.ToString(), graph.name()));
    }
    const NamedTensor& tensor = *found->second;
    if (tensor.shape != parameter.shape) {
      return base::InvalidArgument(fmt::format("tensor \"{}\": got shape {}, want {} for model {}",
                                               parameter.name, tensor.shape.ToString(),
                                               parameter.shape.ToString(), graph.name()));
    }
    std::copy(tensor.values.begin(), tensor.values.end(), parameters.begin() + parameter.offset);
  }
  return parameters;
}

std::string WeightsDigest(std::span<const float> parameters) {
  return base::Sha256Hex(
      {reinterpret_cast<const uint8_t*>(parameters.data()), parameters.size_bytes()});
}

}  // namespace weft::model
