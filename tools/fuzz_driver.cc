// Runs a fuzz target without clang's libFuzzer: every file of the given corpus folders, then a
// bounded number of seeded mutations of each. A crash, a sanitizer report or a hang is the failure.
// Usage: x_fuzz [--mutations N] FOLDER|FILE...

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/rng.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::vector<uint8_t> Mutate(std::vector<uint8_t> input, weft::base::Rng& rng) {
  const int edits = 1 + static_cast<int>(rng.NextBelow(4));
  for (int edit = 0; edit < edits; ++edit) {
    const uint64_t choice = rng.NextBelow(5);
    if (input.empty() || choice == 0) {
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(rng.NextBelow(input.size() + 1)),
                   static_cast<uint8_t>(rng.Next()));
      continue;
    }
    const size_t at = rng.NextBelow(input.size());
    if (choice == 1) input[at] ^= static_cast<uint8_t>(1u << rng.NextBelow(8));
    if (choice == 2) input[at] = static_cast<uint8_t>(rng.NextBelow(2) ? 0xFF : rng.Next());
    if (choice == 3) input.resize(at);
    if (choice == 4) input.erase(input.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t mutations = 1000;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--mutations") == 0 && i + 1 < argc) {
      mutations = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
        files.push_back(entry.path());
      }
    } else {
      files.emplace_back(argv[i]);
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "usage: %s [--mutations N] FOLDER|FILE...; got no corpus file\n", argv[0]);
    return 2;
  }
  uint64_t runs = 0;
  for (const auto& path : files) {
    std::ifstream stream(path, std::ios::binary);
    std::vector<uint8_t> input{std::istreambuf_iterator<char>(stream), {}};
    LLVMFuzzerTestOneInput(input.data(), input.size());
    weft::base::Rng rng(input.size());
    for (uint64_t i = 0; i < mutations; ++i, ++runs) {
      const std::vector<uint8_t> mutated = Mutate(input, rng);
      LLVMFuzzerTestOneInput(mutated.data(), mutated.size());
    }
  }
  std::printf("%zu files, %llu mutations\n", files.size(), static_cast<unsigned long long>(runs));
  return 0;
}
