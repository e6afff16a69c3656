#pragma once
// The JSON header of a safetensors file, read strictly: only the keys and kinds of value that the
// format knows, each once.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace weft::model {

struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> dims;
  std::vector<uint64_t> offsets;  // first byte and one past the last, of the data
};

struct Header {
  std::vector<HeaderEntry> entries;  // as they stand in the file
  std::map<std::string, std::string> metadata;
};

// Errors: kDataLoss saying what stands where it should not. Each entry of the result has a dtype, a
// shape and two offsets; what they say is not checked here.
Result<Header> ParseTensorHeader(ByteView json);

}  // namespace weft::model
