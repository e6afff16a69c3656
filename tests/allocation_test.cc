// A training step allocates nothing once its batch size was prepared. Counts every operator new and
// every malloc that weft's own code makes; oneDNN's dnnl_primitive_execute makes a few of its own,
// which are counted apart.

#include <dlfcn.h>
#include <execinfo.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "base/rng.h"
#include "engine/engine.h"
#include "model/graph.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int> ours{0};
std::atomic<int> of_libraries{0};
thread_local bool inside = false;

// The nearest frame that is not of the C or C++ runtime decides whose allocation it is.
void Count() {
  if (!counting.load(std::memory_order_relaxed) || inside) return;
  inside = true;
  void* frames[12];
  const int n = backtrace(frames, 12);
  for (int i = 2; i < n; ++i) {
    Dl_info info{};
    if (dladdr(frames[i], &info) == 0 || info.dli_fname == nullptr) continue;
    const std::string_view file = info.dli_fname;
    if (file.find("libc.so") != file.npos || file.find("libstdc++") != file.npos) continue;
    const bool library = file.find("libdnnl") != file.npos || file.find("libgomp") != file.npos;
    ++(library ? of_libraries : ours);
    break;
  }
  inside = false;
}

}  // namespace

extern "C" void* __libc_malloc(size_t size);
extern "C" void* malloc(size_t size) {
  Count();
  return __libc_malloc(size);
}

namespace weft::engine {
namespace {

class Allocation : public testing::TestWithParam<std::string> {};

TEST_P(Allocation, NoneInAStep) {
  const auto loaded = model::LoadPreset(GetParam(), {});
  ASSERT_TRUE(loaded.ok());
  // The largest maps are left to the bench: what allocates does so at any size.
  const bool huge = loaded->input().elements() > 100000;
  const auto preset =
      huge ? model::LoadPreset(GetParam(), {.input = {3, 64, 64}, .classes = 5}) : loaded;
  ASSERT_TRUE(preset.ok());
  const auto graph = std::make_shared<const model::Graph>(*preset);
  const auto engine = Engine::Create(graph, {});
  ASSERT_TRUE(engine.ok());
  constexpr int64_t kBatch = 2;
  ASSERT_TRUE((*engine)->Prepare(plan::Mode::kTrain, kBatch).ok());
  std::vector<float> flat = graph->InitialParameters(1);
  (*engine)->SetParameters(flat);
  base::Rng rng(1);
  data::Batch batch;
  batch.size = kBatch;
  batch.samples.resize(static_cast<size_t>(kBatch * graph->input().elements()));
  for (float& value : batch.samples) value = static_cast<float>(rng.NextUniform(-1, 1));
  batch.labels = {0, 1};
  batch.keys = {1, 2};
  OptimizerOptions optimizer;
  optimizer.momentum = 0.9;
  const auto step = [&] {
    const auto result = (*engine)->Train(batch);
    ASSERT_TRUE(result.ok());
    (*engine)->GetGradient(flat);
    (*engine)->Apply(optimizer, 1e-6);
    (*engine)->GetParameters(flat);
    (*engine)->SetParameters(flat);
  };
  step();  // the optimizer's state is made here
  void* frames[2];
  backtrace(frames, 2);  // loads what it needs
  ours = of_libraries = 0;
  counting = true;
  for (int i = 0; i < 3; ++i) step();
  counting = false;
  EXPECT_EQ(ours.load(), 0);
  RecordProperty("of_libraries", of_libraries.load());
}

TEST(AllocationCount, SeesWhatIsAllocated) {
  ours = 0;
  counting = true;
  void* memory = std::malloc(100);
  counting = false;
  std::free(memory);
  EXPECT_EQ(ours.load(), 1);
}

INSTANTIATE_TEST_SUITE_P(Presets, Allocation, testing::ValuesIn(model::PresetNames()),
                         [](const auto& preset) {
                           std::string name = preset.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace weft::engine
