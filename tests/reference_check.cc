// reference_check [--kernels NAME] FILE...: replays reference training runs on the engine, by
// default with every kernel backend. Exit code 1 and the worst deviation if one strays further than
// its tolerance; 2 for wrong usage.

#include <cstdio>
#include <string>
#include <vector>

#include "kernel/backend.h"
#include "tests/reference_run.h"

int main(int argc, char** argv) {
  std::vector<std::string> backends;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--kernels" && i + 1 < argc) {
      backends.emplace_back(argv[++i]);
    } else {
      files.push_back(arg);
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "usage: reference_check [--kernels NAME] FILE...\n");
    return 2;
  }
  if (backends.empty()) backends = weft::kernel::BackendNames();
  bool passed = true;
  for (const std::string& file : files) {
    const auto run = weft::tests::LoadReferenceRun(file);
    if (!run.ok()) {
      std::fprintf(stderr, "%s\n", run.status().ToString().c_str());
      passed = false;
      continue;
    }
    for (const std::string& kernels : backends) {
      const auto worst = weft::tests::ReplayReferenceRun(*run, kernels);
      const bool ok = worst.ok() && worst->ratio <= 1;
      std::printf("%s %s %s: %s\n", ok ? "pass" : "FAIL", run->graph.name().c_str(),
                  kernels.c_str(),
                  worst.ok() ? worst->where.c_str() : worst.status().ToString().c_str());
      passed = passed && ok;
    }
  }
  return passed ? 0 : 1;
}
