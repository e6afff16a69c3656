// What the compiler makes of whole networks: fusions, layouts, memory.

#include <gtest/gtest.h>

#include <string>

#include "model/graph.h"
#include "plan/program.h"
#include "tests/tiny_models.h"

namespace weft::plan {
namespace {

Program CompileWith(const model::Graph& graph, const std::string& kernels, Mode mode,
                    int64_t batch) {
  const auto backend = kernel::MakeBackend(kernels, {});
  CHECK(backend.ok());
  CompileOptions options;
  options.mode = mode;
  options.batch = batch;
  auto program = Compile(graph, backend->get(), options);
  CHECK(program.ok()) << program.status().ToString();
  return std::move(program).value();
}

// Reorders of feature maps and their gradients; those of weights are another matter. Maps of 2x2
// pixels do not count: oneDNN has no blocked kernel for their weight gradients, and they are small.
int MapReorders(const Program& program) {
  int count = 0;
  for (const Step& step : program.steps) {
    if (!step.name.starts_with("reorder") || step.name.find("weight") != std::string::npos)
      continue;
    const Shape& shape = program.values[static_cast<size_t>(step.args[0])].layout.shape();
    if (shape.rank() < 4 || shape[2] * shape[3] > 4) ++count;
  }
  return count;
}

bool HasStep(const Program& program, const std::string& name) {
  for (const Step& step : program.steps) {
    if (step.name == name) return true;
  }
  return false;
}

TEST(Compile, KeepsBlockedLayoutsInsideTheNet) {
  for (const std::string preset : {"vgg11", "resnet20", "lenet5", "alexnet-cifar"}) {
    const auto graph = model::LoadPreset(preset, {});
    ASSERT_TRUE(graph.ok());
    const Program program = CompileWith(*graph, "onednn", Mode::kTrain, 32);
    // lenet5: its samples, and there and back where the linear layers begin.
    EXPECT_LE(MapReorders(program), 3) << preset << "\n" << program.ToString();
    for (const Step& step : program.steps) {
      const bool slow = step.op->implementation().starts_with("reference") && step.name != "loss";
      EXPECT_FALSE(slow || step.op->implementation().find(":ref") != std::string::npos)
          << preset << " " << step.name << " " << step.op->implementation();
    }
  }
}

TEST(Compile, FusesActivationsWithOneReader) {
  const auto graph = tests::ParseGraph(tests::kEveryLayer);
  const Program program = CompileWith(*graph, "auto", Mode::kTrain, 4);
  EXPECT_FALSE(HasStep(program, "relu1 forward"));
  EXPECT_TRUE(HasStep(program, "conv1 activation backward"));
  EXPECT_FALSE(HasStep(program, "relu2 forward"));       // inside batchnorm2
  EXPECT_TRUE(HasStep(program, "leaky_relu1 forward"));  // after add: stands alone
  EXPECT_TRUE(HasStep(program, "relu3 forward"));        // after flatten: stands alone
  EXPECT_TRUE(HasStep(program, "relu1 sum of gradients"));
  EXPECT_FALSE(HasStep(program, "conv1 backward data"));  // nothing to train before it
}

TEST(Compile, PlansMemoryNearTheFloor) {
  for (const std::string preset : {"vgg11", "resnet20", "lenet5"}) {
    const auto graph = model::LoadPreset(preset, {});
    ASSERT_TRUE(graph.ok());
    const Program program = CompileWith(*graph, "auto", Mode::kTrain, 32);
    EXPECT_GE(program.arena_bytes, program.arena_floor_bytes);
    EXPECT_LE(static_cast<double>(program.arena_bytes),
              1.15 * static_cast<double>(program.arena_floor_bytes))
        << preset;
    const Program predict = CompileWith(*graph, "auto", Mode::kPredict, 32);
    EXPECT_LT(predict.arena_bytes, program.arena_bytes) << preset;
  }
}

TEST(Compile, CountsTheWorkOfAStep) {
  const auto graph = model::LoadPreset("vgg16", {});
  ASSERT_TRUE(graph.ok());
  const Program program = CompileWith(*graph, "auto", Mode::kTrain, 2);
  // Three passes, less the data gradient of the first layer.
  const double first = 2.0 * 64 * 3 * 9 * 32 * 32;
  EXPECT_NEAR(program.Flops(), 2 * (3 * graph->ForwardFlops() - first), 1e-6 * program.Flops());
}

TEST(Compile, EvaluationLeavesOutDropoutAndBackward) {
  const auto graph = tests::ParseGraph(tests::kEveryLayer);
  const Program program = CompileWith(*graph, "auto", Mode::kEvaluate, 4);
  for (const Step& step : program.steps) {
    EXPECT_EQ(step.name.find("backward"), std::string::npos) << step.name;
    EXPECT_EQ(step.name.find("dropout"), std::string::npos) << step.name;
  }
}

}  // namespace
}  // namespace weft::plan
