#pragma once
// Graph: the layers of a network, checked and with shapes, but nothing that runs. Read from a TOML
// or JSON file or a preset.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/doc.h"
#include "base/status.h"
#include "tensor/shape.h"

namespace weft::model {

enum class LayerType {
  kInput,  // layer 0 of every graph; never written in a file
  kConv,
  kLinear,
  kBatchnorm,
  kRelu,
  kLeakyRelu,
  kMaxpool,
  kAvgpool,
  kGlobalAvgpool,
  kAdd,
  kFlatten,
  kDropout,
};
std::string_view LayerTypeName(LayerType type);

struct Layer {
  std::string name;
  LayerType type = LayerType::kInput;
  std::vector<int> inputs;  // indices of earlier layers
  int line = 0;             // in the file, 0 if unknown

  int64_t out = 0;                              // conv, linear
  int64_t kernel_height = 0, kernel_width = 0;  // conv, pools
  int64_t stride_height = 1, stride_width = 1;
  int64_t pad_height = 0, pad_width = 0;  // each side
  int64_t groups = 1;
  bool bias = true;       // conv, linear
  double slope = 0.01;    // leaky_relu
  double eps = 1e-5;      // batchnorm
  double momentum = 0.1;  // batchnorm: running = (1-momentum)*running + momentum*batch
  double rate = 0.5;      // dropout

  Shape shape;  // of one sample's output: (C, H, W), or (C) after linear
};

// One stretch of the flat parameter vector.
struct Parameter {
  enum class Kind { kWeight, kBias, kGamma, kBeta, kRunningMean, kRunningVariance };
  std::string name;  // "conv1.weight", "batchnorm1.running_mean"
  Kind kind = Kind::kWeight;
  int layer = 0;
  Shape shape;
  int64_t offset = 0;   // in elements
  double momentum = 0;  // of running statistics

  bool trainable() const { return kind != Kind::kRunningMean && kind != Kind::kRunningVariance; }
};

// Immutable after Build. Layers are in an order in which every input comes before its reader.
class Graph {
 public:
  // Checks names, inputs and shapes. Errors: kInvalidArgument naming file:line and layer, what was
  // got and wanted.
  static Result<Graph> Build(std::string name, Shape input, int64_t classes,
                             std::vector<Layer> layers, const std::string& file);

  const std::string& name() const { return name_; }
  const std::string& file() const { return file_; }
  Shape input() const { return layers_[0].shape; }  // of one sample, (C, H, W)
  int64_t classes() const { return classes_; }
  const std::vector<Layer>& layers() const { return layers_; }

  // The flat vector: all trainable parameters in layer order (weight before bias), then all running
  // statistics. It is what leaders hold, codecs shrink and checkpoints keep.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  int64_t trainable_count() const { return trainable_count_; }  // elements
  int64_t parameter_count() const { return parameter_count_; }  // elements, statistics included

  // He-uniform weights, zero biases, gamma 1, beta 0, running mean 0 and variance 1; a pure
  // function of the seed. Source: He et al. 2015, equation 10.
  std::vector<float> InitialParameters(uint64_t seed) const;

  // Multiply-adds * 2 of one sample's forward pass through conv and linear layers.
  double ForwardFlops() const;

  // A table: layer, type, output shape, parameters.
  std::string ToString() const;

 private:
  std::string name_;
  std::string file_;
  int64_t classes_ = 0;
  std::vector<Layer> layers_;
  std::vector<Parameter> parameters_;
  int64_t trainable_count_ = 0;
  int64_t parameter_count_ = 0;
};

// Reads the form of the model files: name, input, classes, layers. `input` and `classes` of the
// data may be handed in for files that leave them out (0 classes, rank 0: not known). Errors as
// Graph::Build.
struct GraphContext {
  Shape input;
  int64_t classes = 0;
};
Result<Graph> GraphFromDoc(const base::Doc& doc, const std::string& file,
                           const GraphContext& context);
Result<Graph> LoadGraph(const std::string& path, const GraphContext& context);

// Presets are files of this form under src/model/presets, built into the program; their input and
// classes are defaults that the context replaces.
std::vector<std::string> PresetNames();
// The text of a preset's file. Errors: kInvalidArgument with a did-you-mean.
Result<std::string> PresetText(const std::string& name);
Result<Graph> LoadPreset(const std::string& name, const GraphContext& context);

}  // namespace weft::model
