#pragma once
// TestFolder: a fresh folder for one test, gone with everything in it when the test ends.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/check.h"

namespace weft::base {

class TestFolder {
 public:
  TestFolder() {
    path_ = (std::filesystem::temp_directory_path() / "weft_test_XXXXXX").string();
    CHECK(::mkdtemp(path_.data()) != nullptr) << path_;
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace weft::base
