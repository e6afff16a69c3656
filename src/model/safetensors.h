#pragma once
// safetensors: named f32 tensors in one file. Format: u64 header size, JSON header {name: {dtype,
// shape, data_offsets}}, then the data. Source: the format's public description
// (huggingface/safetensors, README "Format").

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "model/graph.h"
#include "tensor/shape.h"

namespace weft::model {

struct NamedTensor {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

struct TensorFile {
  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

inline constexpr size_t kMaxHeaderBytes = size_t{100} << 20;

// Data offsets start at a multiple of 64 bytes; tensors stand in the order given.
Bytes EncodeTensorFile(const TensorFile& file);

// Errors: kDataLoss for a truncated file, a header above kMaxHeaderBytes or not of the format,
// offsets that overlap, leave holes or lie outside, a shape that does not match its bytes, a dtype
// other than F32, a name that stands twice.
Result<TensorFile> DecodeTensorFile(ByteView bytes);

// The flat vector of a graph as named tensors, and back. Errors of Unpack: kInvalidArgument naming
// the tensor that is missing or has another shape.
TensorFile PackParameters(const Graph& graph, std::span<const float> parameters);
Result<std::vector<float>> UnpackParameters(const Graph& graph, const TensorFile& file);

// SHA-256 of the flat vector's bytes: the identity of a set of weights.
std::string WeightsDigest(std::span<const float> parameters);

}  // namespace weft::model
