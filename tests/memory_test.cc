// What saves memory changes nothing else: fused updates and recomputation to the bit, micro-batches
// to float rounding; and the engine holds what its budget says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine.h"
#include "kernel/update.h"
#include "tests/least_budget.h"
#include "tests/random_batch.h"
#include "tests/tiny_models.h"

namespace weft::engine {
namespace {

using plan::Mode;
using testing::HasSubstr;
using tests::LeastBudget;
using tests::RandomBatch;
using GraphPtr = std::shared_ptr<const model::Graph>;

// An add whose inputs have many readers, batchnorm before and after it, a pool of a kept value.
constexpr char kResidual[] = R"(
name = "residual"
input = [3, 8, 8]
classes = 4
[[layers]]
type = "conv"
out = 8
kernel = 3
pad = 1
bias = false
[[layers]]
type = "batchnorm"
[[layers]]
type = "relu"
[[layers]]
type = "conv"
out = 8
kernel = 3
pad = 1
bias = false
[[layers]]
type = "batchnorm"
[[layers]]
type = "relu"
[[layers]]
type = "conv"
out = 8
kernel = 3
pad = 1
bias = false
[[layers]]
type = "batchnorm"
[[layers]]
type = "add"
inputs = ["batchnorm3", "relu1"]
[[layers]]
type = "relu"
[[layers]]
type = "conv"
out = 16
kernel = 3
stride = 2
pad = 1
bias = false
[[layers]]
type = "batchnorm"
[[layers]]
type = "relu"
[[layers]]
type = "global_avgpool"
[[layers]]
type = "linear"
out = "classes"
)";

GraphPtr Preset(const std::string& name, const Shape& input) {
  auto graph = model::LoadPreset(name, {.input = input});
  CHECK(graph.ok()) << graph.status().ToString();
  return std::make_shared<const model::Graph>(std::move(graph).value());
}

// Small forms of every kind of network there is.
std::vector<GraphPtr> Graphs() {
  return {tests::ParseGraph(tests::kEveryLayer), tests::ParseGraph(tests::kNoBatchnorm),
          tests::ParseGraph(kResidual), Preset("resnet20", {3, 16, 16}),
          Preset("vgg11", {3, 32, 32})};
}

std::unique_ptr<Engine> MakeEngine(GraphPtr graph, EngineOptions options = {}) {
  options.seed = 5;
  auto engine = Engine::Create(std::move(graph), options);
  CHECK(engine.ok()) << engine.status().ToString();
  return std::move(engine).value();
}

std::vector<float> Parameters(const Engine& engine) {
  std::vector<float> flat(static_cast<size_t>(engine.graph().parameter_count()));
  engine.GetParameters(flat);
  return flat;
}

std::vector<float> Gradient(Engine* engine, const data::Batch& batch) {
  CHECK(engine->Prepare(Mode::kTrain, batch.size).ok());
  engine->SetParameters(engine->graph().InitialParameters(3));
  const auto result = engine->Train(batch);
  CHECK(result.ok()) << result.status().ToString();
  std::vector<float> flat(static_cast<size_t>(engine->graph().parameter_count()));
  engine->GetGradient(flat);
  return flat;
}

double RelativeDistance(std::span<const float> a, std::span<const float> b) {
  std::vector<float> difference(a.begin(), a.end());
  kernel::Axpy(-1, b, difference);
  return kernel::Norm(difference) / std::max(kernel::Norm(b), 1e-12);
}

TEST(FusedUpdate, EqualsTrainThenApply) {
  for (const GraphPtr& graph : Graphs()) {
    for (const OptimizerOptions& optimizer :
         {OptimizerOptions{.momentum = 0.9, .weight_decay = 0.01},
          OptimizerOptions{.kind = OptimizerOptions::Kind::kAdamw}}) {
      const auto apart = MakeEngine(graph);
      const auto fused = MakeEngine(graph);
      ASSERT_TRUE(apart->Prepare(Mode::kTrain, 6).ok());
      ASSERT_TRUE(fused->Prepare(Mode::kTrainStreaming, 6).ok());
      apart->SetParameters(graph->InitialParameters(1));
      fused->SetParameters(graph->InitialParameters(1));
      for (uint64_t step = 0; step < 3; ++step) {
        const data::Batch batch = RandomBatch(*graph, 6, step);
        const auto a = apart->Train(batch);
        apart->Apply(optimizer, 0.01);
        const auto b = fused->TrainAndApply(batch, optimizer, 0.01);
        ASSERT_TRUE(a.ok() && b.ok());
        EXPECT_EQ(a->loss_sum, b->loss_sum) << graph->name();
      }
      EXPECT_EQ(Parameters(*fused), Parameters(*apart)) << graph->name();
      EXPECT_LT(fused->memory_bytes(), apart->memory_bytes()) << graph->name();
    }
  }
}

TEST(FusedUpdate, NothingIsUpdatedForABadLabel) {
  const GraphPtr graph = tests::ParseGraph(tests::kNoBatchnorm);
  const size_t least = LeastBudget(graph, 8, {});
  for (const size_t budget : {size_t{0}, least}) {  // whole, and in parts
    const auto engine = MakeEngine(graph, {.memory_budget = budget});
    ASSERT_TRUE(engine->Prepare(Mode::kTrainStreaming, 8).ok());
    EXPECT_EQ(engine->plan(Mode::kTrainStreaming, 8).divided(), budget > 0);
    engine->SetParameters(graph->InitialParameters(1));
    data::Batch batch = RandomBatch(*graph, 8, 1);
    batch.labels[7] = 3;
    const auto result = engine->TrainAndApply(batch, {}, 0.1);
    ASSERT_FALSE(result.ok());
    EXPECT_THAT(result.status().message(),
                HasSubstr("label of sample 7 of the batch: got 3, want 0..2"));
    EXPECT_EQ(Parameters(*engine), graph->InitialParameters(1));
  }
}

// Runs one compiled program by hand; the gradients, or what else is alive at the end.
class Machine {
 public:
  explicit Machine(const plan::Program& program)
      : program_(program), arena_(program.arena_bytes), parameters_(program.parameter_bytes) {
    for (size_t i = 0; i < parameters_.size() / sizeof(float); ++i) {
      parameters_.floats(0)[i] = static_cast<float>(base::Uniform(7, i) - 0.4) * 0.3f;
    }
  }

  std::vector<std::vector<float>> Gradients(const data::Batch& batch) {
    Fill(program_.samples, batch.samples);
    Fill(program_.labels, batch.labels);
    if (program_.keys >= 0) Fill(program_.keys, batch.keys);
    for (const plan::Step& step : program_.steps) {
      std::vector<void*> args;
      for (const int arg : step.args) args.push_back(At(arg));
      step.op->Bind(args, arena_.data() + step.scratch_offset)->Run();
    }
    std::vector<std::vector<float>> gradients;
    for (const plan::ParameterValues& parameter : program_.parameters) {
      const auto* const from = static_cast<const float*>(At(parameter.gradient));
      gradients.emplace_back(from, from + ValueOf(parameter.gradient).bytes / sizeof(float));
    }
    return gradients;
  }

 private:
  const plan::Value& ValueOf(int value) const {
    return program_.values[static_cast<size_t>(value)];
  }
  void* At(int value) const {
    const plan::Value& v = ValueOf(value);
    return (v.place == plan::Place::kArena ? arena_ : parameters_).data() + v.offset;
  }
  template <class T>
  void Fill(int value, const std::vector<T>& from) {
    CHECK_EQ(ValueOf(value).bytes, from.size() * sizeof(T));
    std::copy(from.begin(), from.end(), static_cast<T*>(At(value)));
  }

  const plan::Program& program_;
  tensor::Arena arena_;
  tensor::Arena parameters_;
};

class Recomputation : public testing::Test {
 protected:
  plan::Program Compile(const model::Graph& graph, const std::vector<int>& recompute) {
    plan::CompileOptions options;
    options.batch = 5;
    options.seed = 9;
    options.recompute = recompute;
    auto program = plan::Compile(graph, backend_.get(), options);
    CHECK(program.ok()) << program.status().ToString();
    return std::move(program).value();
  }

  std::unique_ptr<kernel::Backend> backend_ = std::move(kernel::MakeBackend("auto", {})).value();
};

TEST_F(Recomputation, GradientsAreEqualToTheBit) {
  for (const GraphPtr& graph : Graphs()) {
    const int layers = static_cast<int>(graph->layers().size());
    const data::Batch batch = RandomBatch(*graph, 5, 2);
    const plan::Program plain = Compile(*graph, {});
    const auto wanted = Machine(plain).Gradients(batch);
    std::vector<std::vector<int>> sets;
    std::vector<int> all;
    const bool large = graph->parameter_count() > 1000000;
    for (int i = 0; i < layers; ++i) {
      if (!large) sets.push_back({i});
      all.push_back(i);
    }
    sets.push_back(all);
    base::Rng rng(3);
    for (int round = 0; round < 6; ++round) {
      std::vector<int> some;
      for (int i = 0; i < layers; ++i) {
        if (rng.NextBelow(2) == 0) some.push_back(i);
      }
      sets.push_back(some);
    }
    for (const std::vector<int>& set : sets) {
      const plan::Program program = Compile(*graph, set);
      EXPECT_EQ(Machine(program).Gradients(batch), wanted)
          << graph->name() << " without " << testing::PrintToString(set) << "\n"
          << program.ToString();
      // At worst the forward pass once more.
      EXPECT_LE(program.RecomputedFlops(), 5 * graph->ForwardFlops());
      EXPECT_EQ(program.Flops() - program.RecomputedFlops(), plain.Flops());
    }
  }
}

TEST_F(Recomputation, FreesWhatIsDropped) {
  const GraphPtr graph = Preset("resnet20", {3, 32, 32});
  std::vector<int> cheap;
  for (size_t i = 0; i < graph->layers().size(); ++i) {
    if (graph->layers()[i].type != model::LayerType::kConv) cheap.push_back(static_cast<int>(i));
  }
  const plan::Program plain = Compile(*graph, {});
  const plan::Program lean = Compile(*graph, cheap);
  EXPECT_EQ(lean.RecomputedFlops(), 0);  // convolutions are kept
  const size_t gradients = plain.parameter_bytes;
  EXPECT_LT(lean.arena_bytes - gradients, (plain.arena_bytes - gradients) * 65 / 100);
  int again = 0;
  for (const plan::Step& step : lean.steps) again += step.again ? 1 : 0;
  EXPECT_LT(again, static_cast<int>(cheap.size()));
}

// Budgets from all that the engine would like down to the least that it says would do.
TEST(MemoryBudget, IsKeptOrRefusedWithTheSmallest) {
  for (const GraphPtr& graph : Graphs()) {
    const OptimizerOptions optimizer = {.momentum = 0.9};
    const data::Batch batch = RandomBatch(*graph, 8, 4);
    const auto free = MakeEngine(graph);
    ASSERT_TRUE(free->Prepare(Mode::kTrainStreaming, 8).ok());
    ASSERT_TRUE(free->TrainAndApply(batch, optimizer, 0.01).ok());
    const plan::BatchPlan& whole = free->plan(Mode::kTrainStreaming, 8);
    EXPECT_EQ(whole.given_up, "");
    const size_t least = LeastBudget(graph, 8, {.state_vectors = 1});
    EXPECT_LT(least, free->memory_bytes()) << graph->name();
    for (int i = 0; i <= 6; ++i) {
      const size_t budget = least + (free->memory_bytes() - least) * static_cast<size_t>(i) / 6;
      const auto engine = MakeEngine(graph, {.memory_budget = budget, .state_vectors = 1});
      const Status status = engine->Prepare(Mode::kTrainStreaming, 8);
      ASSERT_TRUE(status.ok()) << status.ToString();
      engine->SetParameters(graph->InitialParameters(1));
      ASSERT_TRUE(engine->TrainAndApply(batch, optimizer, 0.01).ok());
      EXPECT_LE(engine->memory_bytes(), budget) << graph->name() << " " << i;
      const plan::BatchPlan& plan = engine->plan(Mode::kTrainStreaming, 8);
      EXPECT_EQ(plan.bytes, engine->memory_bytes()) << graph->name();
      EXPECT_EQ(plan.given_up.empty(), i == 6) << graph->name() << " " << plan.given_up;
    }
  }
}

TEST(MemoryBudget, HoldsForBatchesOfManySizes) {
  const GraphPtr graph = tests::ParseGraph(tests::kNoBatchnorm);
  const size_t budget = LeastBudget(graph, 16, {}, Mode::kTrain) * 5 / 4;
  const auto engine = MakeEngine(graph, {.memory_budget = budget});
  for (const int64_t size : {1, 16, 2, 5, 1, 16}) {
    const data::Batch batch = RandomBatch(*graph, size, 8);
    const auto wanted = Gradient(MakeEngine(graph).get(), batch);
    EXPECT_LT(RelativeDistance(Gradient(engine.get(), batch), wanted), 1e-5) << size;
    if (size == 1 || size == 16) {
      EXPECT_EQ(engine->plan(Mode::kTrain, size).divided(), size == 16) << size;
    }
    EXPECT_LE(engine->memory_bytes(), budget) << size;
  }
}

TEST(MicroBatches, AddUpToTheWhole) {
  const GraphPtr graph = tests::ParseGraph(tests::kNoBatchnorm);
  const auto whole = MakeEngine(graph);
  const data::Batch batch = RandomBatch(*graph, 11, 6);
  const auto wanted = Gradient(whole.get(), batch);
  const size_t least = LeastBudget(graph, 11, {}, Mode::kTrain);
  for (const size_t budget : {least, least * 5 / 4}) {
    const auto engine = MakeEngine(graph, {.memory_budget = budget});
    const auto gradient = Gradient(engine.get(), batch);
    const plan::BatchPlan& plan = engine->plan(Mode::kTrain, 11);
    EXPECT_TRUE(plan.divided()) << plan.bytes;
    EXPECT_LT(RelativeDistance(gradient, wanted), 1e-5);
    const auto again = Gradient(engine.get(), batch);  // the sum begins anew
    EXPECT_EQ(again, gradient);
    // The same from both ways of updating.
    engine->SetParameters(graph->InitialParameters(1));
    ASSERT_TRUE(engine->Train(batch).ok());
    engine->Apply({}, 0.1);
    const auto apart = Parameters(*engine);
    const auto fused = MakeEngine(graph, {.memory_budget = budget});
    ASSERT_TRUE(fused->Prepare(Mode::kTrainStreaming, 11).ok());
    fused->SetParameters(graph->InitialParameters(1));
    ASSERT_TRUE(fused->TrainAndApply(batch, {}, 0.1).ok());
    EXPECT_EQ(fused->plan(Mode::kTrainStreaming, 11).parts, plan.parts);
    EXPECT_EQ(Parameters(*fused), apart);
  }
}

}  // namespace
}  // namespace weft::engine
