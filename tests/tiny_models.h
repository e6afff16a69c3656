#pragma once
// Small networks that between them hold every layer type, for tests of plan/ and engine/.

#include <memory>
#include <string>

#include "base/doc.h"
#include "model/graph.h"

namespace weft::tests {

// Every layer type: conv (grouped, strided), batchnorm, both activations fused and not, pools, add,
// dropout, flatten.
inline constexpr char kEveryLayer[] = R"(
name = "every-layer"
input = [3, 9, 7]
classes = 5
[[layers]]
type = "conv"
out = 6
kernel = 3
pad = 1
[[layers]]
type = "relu"
[[layers]]
type = "conv"
out = 6
kernel = 3
pad = 1
groups = 6
bias = false
[[layers]]
type = "batchnorm"
[[layers]]
name = "joined"
type = "add"
inputs = ["batchnorm1", "relu1"]
[[layers]]
type = "leaky_relu"
slope = 0.2
[[layers]]
type = "maxpool"
kernel = 3
stride = 2
pad = 1
[[layers]]
type = "conv"
out = 10
kernel = [2, 3]
stride = [1, 2]
groups = 2
bias = false
[[layers]]
type = "batchnorm"
[[layers]]
type = "relu"
[[layers]]
type = "avgpool"
kernel = 2
stride = 1
pad = 1
[[layers]]
type = "flatten"
[[layers]]
type = "relu"
[[layers]]
type = "dropout"
rate = 0.25
[[layers]]
type = "linear"
out = 11
[[layers]]
type = "leaky_relu"
slope = 0.1
[[layers]]
type = "linear"
out = "classes"
)";

// No batchnorm, so that the gradient of a batch is the mean of its parts'.
inline constexpr char kNoBatchnorm[] = R"(
name = "no-batchnorm"
input = [2, 8, 8]
classes = 3
[[layers]]
type = "conv"
out = 5
kernel = 3
pad = 1
[[layers]]
type = "relu"
[[layers]]
type = "maxpool"
kernel = 2
[[layers]]
type = "dropout"
rate = 0.3
[[layers]]
type = "global_avgpool"
[[layers]]
type = "linear"
out = "classes"
)";

inline std::shared_ptr<const model::Graph> ParseGraph(const std::string& text) {
  const auto doc = base::ParseToml(text, "test model");
  CHECK(doc.ok()) << doc.status().ToString();
  auto graph = model::GraphFromDoc(*doc, "test model", {});
  CHECK(graph.ok()) << graph.status().ToString();
  return std::make_shared<const model::Graph>(std::move(graph).value());
}

}  // namespace weft::tests
