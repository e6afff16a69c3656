#pragma once
// EmbeddedFiles: the files of src/model/presets, built into the program by cmake/WeftEmbed.cmake.

#include <string_view>
#include <vector>

namespace weft::model {

struct EmbeddedFile {
  std::string_view name;  // without ending: "lenet5"
  std::string_view text;
};

// In alphabetical order.
const std::vector<EmbeddedFile>& EmbeddedFiles();

}  // namespace weft::model
