// A training step allocates nothing once its batch size was prepared. Counts every operator new and
// every malloc that weft's own code makes; oneDNN's dnnl_primitive_execute makes a few of its own,
// which are counted apart.

#include <dlfcn.h>
#include <execinfo.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "engine/engine.h"
#include "model/graph.h"
#include "tests/least_budget.h"
#include "tests/random_batch.h"

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

class Allocation : public testing::TestWithParam<std::string> {
 protected:
  static std::shared_ptr<const model::Graph> Graph() {
    auto preset = model::LoadPreset(GetParam(), {});
    CHECK(preset.ok());
    // The largest maps are left to the bench: what allocates does so at any size.
    if (preset->input().elements() > 100000) {
      preset = model::LoadPreset(GetParam(), {.input = {3, 64, 64}, .classes = 5});
    }
    CHECK(preset.ok());
    return std::make_shared<const model::Graph>(std::move(preset).value());
  }
};

// Enough to fill vectors with samples, where the network is small enough for that.
int64_t BatchFor(const model::Graph& graph) { return graph.ForwardFlops() < 1e7 ? 16 : 2; }

// Runs a step, which may still make the optimizer's state, then some that may allocate nothing.
template <class Step>
void ExpectNoAllocation(Step step) {
  step();
  void* frames[2];
  backtrace(frames, 2);  // loads what it needs
  ours = of_libraries = 0;
  counting = true;
  for (int i = 0; i < 3; ++i) step();
  counting = false;
  EXPECT_EQ(ours.load(), 0);
  testing::Test::RecordProperty("of_libraries", of_libraries.load());
}

// With all kernels of weft's own.
TEST_P(Allocation, NoneInAStep) {
  const auto graph = Graph();
  const int64_t batch_size = BatchFor(*graph);
  EngineOptions options;
  options.kernels = "winograd";
  const auto engine = Engine::Create(graph, options);
  ASSERT_TRUE(engine.ok());
  ASSERT_TRUE((*engine)->Prepare(plan::Mode::kTrain, batch_size).ok());
  std::vector<float> flat = graph->InitialParameters(1);
  (*engine)->SetParameters(flat);
  const data::Batch batch = tests::RandomBatch(*graph, batch_size, 1);
  OptimizerOptions optimizer;
  optimizer.momentum = 0.9;
  ExpectNoAllocation([&] {
    const auto result = (*engine)->Train(batch);
    ASSERT_TRUE(result.ok());
    (*engine)->GetGradient(flat);
    (*engine)->Apply(optimizer, 1e-6);
    (*engine)->GetParameters(flat);
    (*engine)->SetParameters(flat);
  });
}

// With direct convolutions and fused updates: whole, and with all that the least budget takes.
TEST_P(Allocation, NoneInAFusedStep) {
  const auto graph = Graph();
  const int64_t batch_size = BatchFor(*graph);
  const OptimizerOptions optimizer{.momentum = 0.9};
  const data::Batch batch = tests::RandomBatch(*graph, batch_size, 1);
  size_t whole_bytes = 0;
  for (const bool limited : {false, true}) {
    EngineOptions options;
    options.state_vectors = 1;
    if (limited) options.memory_budget = tests::LeastBudget(graph, batch_size, options);
    const auto engine = Engine::Create(graph, options);
    ASSERT_TRUE(engine.ok());
    ASSERT_TRUE((*engine)->Prepare(plan::Mode::kTrainStreaming, batch_size).ok());
    const plan::BatchPlan& plan = (*engine)->plan(plan::Mode::kTrainStreaming, batch_size);
    if (!limited) whole_bytes = plan.bytes;
    EXPECT_EQ(plan.given_up.empty(), plan.bytes == whole_bytes);
    (*engine)->SetParameters(graph->InitialParameters(1));
    ExpectNoAllocation([&] {
      const auto result = (*engine)->TrainAndApply(batch, optimizer, 1e-6);
      ASSERT_TRUE(result.ok());
    });
  }
}

// Takes and gives all that a step lets it.
class Everything : public ParameterGate, public GradientSink {
 public:
  Everything(Engine* engine, std::vector<float>* flat) : engine_(engine), flat_(*flat) {}
  bool Await(int64_t begin, int64_t count) override {
    engine_->SetParameterStretch(begin, Stretch(begin, count));
    return true;
  }
  void OnLoss(const StepResult&) override {}
  void OnStretch(int64_t begin, int64_t count) override {
    engine_->GetGradientStretch(begin, Stretch(begin, count));
  }

 private:
  std::span<float> Stretch(int64_t begin, int64_t count) {
    return flat_.subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
  }
  Engine* engine_;
  std::span<float> flat_;
};

// With parameters that come and gradients that leave while it runs: whole, and in parts.
TEST_P(Allocation, NoneInAStepThatStreams) {
  const auto graph = Graph();
  const int64_t batch_size = BatchFor(*graph);
  const data::Batch batch = tests::RandomBatch(*graph, batch_size, 1);
  for (const bool limited : {false, true}) {
    EngineOptions options;
    if (limited) {
      options.memory_budget = tests::LeastBudget(graph, batch_size, options, plan::Mode::kTrain);
    }
    const auto engine = Engine::Create(graph, options);
    ASSERT_TRUE(engine.ok());
    ASSERT_TRUE((*engine)->Prepare(plan::Mode::kTrain, batch_size).ok());
    std::vector<float> flat = graph->InitialParameters(1);
    Everything everything(engine->get(), &flat);
    ExpectNoAllocation([&] {
      const auto result = (*engine)->Train(batch, {.gate = &everything, .sink = &everything});
      ASSERT_TRUE(result.ok());
    });
  }
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
