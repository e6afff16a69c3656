#include "model/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "model/safetensors_header.h"

namespace weft::model {
namespace {

constexpr size_t kDataAlignment = 64;

// Metadata first, then the tensors with offsets one after another.
std::string HeaderJson(const TensorFile& file) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::set<std::string> names;
  size_t offset = 0;
  for (const NamedTensor& tensor : file.tensors) {
    CHECK(!tensor.name.empty() && tensor.name != "__metadata__" && names.insert(tensor.name).second)
        << "tensor name \"" << tensor.name << "\"";
    CHECK_EQ(static_cast<size_t>(tensor.shape.elements()), tensor.values.size());
    const size_t end = offset + tensor.values.size() * sizeof(float);
    nlohmann::ordered_json entry;
    entry["dtype"] = "F32";
    entry["shape"] = tensor.shape.dims();
    entry["data_offsets"] = {offset, end};
    header[tensor.name] = std::move(entry);
    offset = end;
  }
  // Text that is not UTF-8 loses its bad bytes rather than the file.
  return header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// The entry's shape, if it is one of ours and fills its bytes exactly.
Result<Shape> CheckedShape(const HeaderEntry& entry) {
  if (entry.dtype != "F32") {
    return base::DataLoss(
        fmt::format("tensor \"{}\": dtype: got {}, want F32", entry.name, entry.dtype));
  }
  if (entry.dims.size() > Shape::kMaxRank) {
    return base::DataLoss(fmt::format("tensor \"{}\": shape: got rank {}, want at most {}",
                                      entry.name, entry.dims.size(), Shape::kMaxRank));
  }
  // Below 2^61 elements their bytes still count in 64 bits.
  constexpr uint64_t kMostElements = uint64_t{1} << 61;
  std::vector<int64_t> dims;
  uint64_t elements = 1;
  for (const uint64_t dim : entry.dims) {
    if (dim >= kMostElements || (dim > 0 && elements > kMostElements / dim)) {
      return base::DataLoss(fmt::format(
          "tensor \"{}\": shape: got an extent of {}, which makes more elements than a file holds",
          entry.name, dim));
    }
    elements *= dim;
    dims.push_back(static_cast<int64_t>(dim));
  }
  const uint64_t begin = entry.offsets[0];
  const uint64_t end = entry.offsets[1];
  if (end < begin || end - begin != elements * sizeof(float)) {
    return base::DataLoss(
        fmt::format("tensor \"{}\": data_offsets: got {}..{}, want {} bytes for shape {}",
                    entry.name, begin, end, elements * sizeof(float), Shape(dims).ToString()));
  }
  return Shape(dims);
}

// The entries, sorted by offset, must cover the data without hole or overlap.
Status CheckCoverage(std::vector<HeaderEntry> entries, size_t data_size) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.offsets < b.offsets; });
  uint64_t at = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.offsets[0] != at) {
      return base::DataLoss(fmt::format(
          "tensor \"{}\": data_offsets: got a start at {}, want {} "
          "({})",
          entry.name, entry.offsets[0], at, entry.offsets[0] < at ? "overlap" : "hole"));
    }
    at = entry.offsets[1];
  }
  if (at != data_size) {
    return base::DataLoss(
        fmt::format("data: got {} bytes, want {} as the header says", data_size, at));
  }
  return OkStatus();
}

}  // namespace

Bytes EncodeTensorFile(const TensorFile& file) {
  std::string header = HeaderJson(file);
  const size_t unpadded = sizeof(uint64_t) + header.size();
  header.append((kDataAlignment - unpadded % kDataAlignment) % kDataAlignment, ' ');
  const auto header_size = static_cast<uint64_t>(header.size());
  size_t size = sizeof(header_size) + header.size();
  for (const NamedTensor& tensor : file.tensors) size += tensor.values.size() * sizeof(float);
  Bytes out(size);
  uint8_t* to = out.data();
  const auto put = [&to](const void* from, size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
    to += bytes;
  };
  put(&header_size, sizeof(header_size));
  put(header.data(), header.size());
  for (const NamedTensor& tensor : file.tensors) {
    put(tensor.values.data(), tensor.values.size() * sizeof(float));
  }
  return out;
}

Result<TensorFile> DecodeTensorFile(ByteView bytes) {
  base::ByteReader reader(bytes);
  uint64_t header_size = 0;
  RETURN_IF_ERROR(reader.Get(&header_size));
  if (header_size > kMaxHeaderBytes) {
    return base::DataLoss(
        fmt::format("header: got {} bytes, want at most {}", header_size, kMaxHeaderBytes));
  }
  ByteView json;
  RETURN_IF_ERROR(reader.GetRaw(header_size, &json).Annotate("header"));
  if (json.empty() || json[0] != '{') {
    return base::DataLoss("header: want a JSON object starting with '{'");
  }
  ASSIGN_OR_RETURN(Header header, ParseTensorHeader(json));
  const ByteView data = bytes.subspan(reader.position());

  TensorFile file;
  for (const HeaderEntry& entry : header.entries) {
    ASSIGN_OR_RETURN(const Shape shape, CheckedShape(entry));
    file.tensors.push_back({entry.name, shape, {}});
  }
  RETURN_IF_ERROR(CheckCoverage(header.entries, data.size()));
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    const HeaderEntry& entry = header.entries[i];
    std::vector<float>& values = file.tensors[i].values;
    values.resize((entry.offsets[1] - entry.offsets[0]) / sizeof(float));
    if (!values.empty()) {
      std::memcpy(values.data(), data.data() + entry.offsets[0], values.size() * sizeof(float));
    }
  }
  file.metadata = std::move(header.metadata);
  return file;
}

}  // namespace weft::model
