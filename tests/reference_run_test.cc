// The reference runs of ../shared/reference on every kernel backend; skipped where that folder is
// absent.

#include "tests/reference_run.h"

#include <gtest/gtest.h>

#include "base/file_system.h"
#include "kernel/backend.h"

namespace weft::tests {
namespace {

TEST(ReferenceRuns, StayWithinTheirTolerances) {
  const std::string folder = std::string(WEFT_SOURCE_DIR) + "/../shared/reference";
  const auto names = base::LocalFileSystem().List(folder);
  if (!names.ok()) GTEST_SKIP() << "no reference runs beside this checkout (" << folder << ")";
  int runs = 0;
  for (const std::string& name : *names) {
    if (!name.ends_with(".json")) continue;
    const auto run = LoadReferenceRun(base::JoinPath(folder, name));
    ASSERT_TRUE(run.ok()) << run.status().ToString();
    for (const std::string& kernels : kernel::BackendNames()) {
      const auto worst = ReplayReferenceRun(*run, kernels);
      ASSERT_TRUE(worst.ok()) << worst.status().ToString();
      EXPECT_LE(worst->ratio, 1) << name << " " << kernels << ": " << worst->where;
      ++runs;
    }
  }
  EXPECT_GT(runs, 0);
}

}  // namespace
}  // namespace weft::tests
