// What leaves a training step before its end and what comes after its begin changes no bit of it;
// and the engine keeps the plans that are in use.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/engine.h"
#include "tests/least_budget.h"
#include "tests/random_batch.h"
#include "tests/tiny_models.h"

namespace weft::engine {
namespace {

using plan::Mode;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using tests::RandomBatch;
using GraphPtr = std::shared_ptr<const model::Graph>;

GraphPtr Resnet() {
  auto graph = model::LoadPreset("resnet20", {.input = {3, 16, 16}});
  CHECK(graph.ok());
  return std::make_shared<const model::Graph>(std::move(graph).value());
}

std::unique_ptr<Engine> MakeEngine(GraphPtr graph, size_t memory_budget = 0) {
  EngineOptions options;
  options.seed = 5;
  options.memory_budget = memory_budget;
  auto engine = Engine::Create(std::move(graph), options);
  CHECK(engine.ok()) << engine.status().ToString();
  return std::move(engine).value();
}

std::vector<float> Gradient(const Engine& engine) {
  std::vector<float> flat(static_cast<size_t>(engine.graph().parameter_count()));
  engine.GetGradient(flat);
  return flat;
}

// Copies each stretch as it is told of.
class Collector : public GradientSink {
 public:
  explicit Collector(const Engine* engine)
      : engine_(engine), gradient(static_cast<size_t>(engine->graph().parameter_count()), NAN) {}
  void OnLoss(const StepResult& result) override {
    EXPECT_THAT(begins, IsEmpty());
    losses.push_back(result.loss_sum);
    samples = result.samples;
  }
  void OnStretch(int64_t begin, int64_t count) override {
    EXPECT_THAT(losses, SizeIs(1));
    const auto stretch =
        std::span(gradient).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
    EXPECT_TRUE(std::ranges::all_of(stretch, [](float x) { return std::isnan(x); })) << "twice";
    engine_->GetGradientStretch(begin, stretch);
    begins.push_back(begin);
  }

 private:
  const Engine* engine_;

 public:
  std::vector<float> gradient;
  std::vector<int64_t> begins;
  std::vector<double> losses;
  int64_t samples = 0;
};

// Sets each stretch from `flat` when it is asked for.
class Feeder : public ParameterGate {
 public:
  Feeder(Engine* engine, std::span<const float> flat) : engine_(engine), flat_(flat) {}
  bool Await(int64_t begin, int64_t count) override {
    if (begins.size() == give_up_after) return false;
    begins.push_back(begin);
    values += count;
    engine_->SetParameterStretch(
        begin, flat_.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)));
    return true;
  }

 private:
  Engine* engine_;
  std::span<const float> flat_;

 public:
  std::vector<int64_t> begins;
  int64_t values = 0;
  size_t give_up_after = SIZE_MAX;
};

TEST(GradientSink, GetsTheGradientToTheBitBeforeTheStepEnds) {
  for (const GraphPtr& graph :
       {tests::ParseGraph(tests::kEveryLayer), tests::ParseGraph(tests::kNoBatchnorm), Resnet()}) {
    const auto engine = MakeEngine(graph);
    ASSERT_TRUE(engine->Prepare(Mode::kTrain, 6).ok());
    engine->SetParameters(graph->InitialParameters(1));
    const data::Batch batch = RandomBatch(*graph, 6, 2);
    const auto wanted = engine->Train(batch);
    ASSERT_TRUE(wanted.ok());
    const std::vector<float> whole = Gradient(*engine);
    Collector collector(engine.get());
    const auto result = engine->Train(batch, {.sink = &collector});
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(collector.gradient, whole) << graph->name();
    EXPECT_EQ(Gradient(*engine), whole) << graph->name();
    EXPECT_EQ(collector.losses.at(0), wanted->loss_sum);
    EXPECT_EQ(collector.samples, 6);
    // Statistics, then the last layer; the first layer at last.
    ASSERT_GE(collector.begins.size(), 2u);
    if (graph->parameter_count() > graph->trainable_count()) {
      EXPECT_EQ(collector.begins.front(), graph->trainable_count());
    }
    EXPECT_EQ(collector.begins.back(), 0);
    EXPECT_TRUE(std::is_sorted(collector.begins.rbegin(), collector.begins.rend()))
        << graph->name();
  }
}

TEST(GradientSink, OfADividedBatchIsToldInTheLastPart) {
  const GraphPtr graph = tests::ParseGraph(tests::kNoBatchnorm);
  const auto engine = MakeEngine(graph, tests::LeastBudget(graph, 11, {.seed = 5}, Mode::kTrain));
  ASSERT_TRUE(engine->Prepare(Mode::kTrain, 11).ok());
  ASSERT_TRUE(engine->plan(Mode::kTrain, 11).divided());
  engine->SetParameters(graph->InitialParameters(1));
  const data::Batch batch = RandomBatch(*graph, 11, 2);
  const auto wanted = engine->Train(batch);
  ASSERT_TRUE(wanted.ok());
  const std::vector<float> whole = Gradient(*engine);
  Collector collector(engine.get());
  ASSERT_TRUE(engine->Train(batch, {.sink = &collector}).ok());
  EXPECT_EQ(collector.gradient, whole);
  EXPECT_THAT(collector.losses, ElementsAre(wanted->loss_sum));
  EXPECT_EQ(collector.samples, 11);
}

TEST(GradientSink, IsToldNothingOfABadLabel) {
  const GraphPtr graph = tests::ParseGraph(tests::kNoBatchnorm);
  const auto engine = MakeEngine(graph);
  data::Batch batch = RandomBatch(*graph, 4, 1);
  batch.labels[2] = 3;
  Collector collector(engine.get());
  EXPECT_FALSE(engine->Train(batch, {.sink = &collector}).ok());
  EXPECT_THAT(collector.losses, IsEmpty());
  EXPECT_THAT(collector.begins, IsEmpty());
}

TEST(ParameterGate, FillsEachLayerBeforeItIsRead) {
  for (const GraphPtr& graph : {tests::ParseGraph(tests::kEveryLayer), Resnet()}) {
    const auto engine = MakeEngine(graph);
    ASSERT_TRUE(engine->Prepare(Mode::kTrain, 5).ok());
    const std::vector<float> parameters = graph->InitialParameters(1);
    const data::Batch batch = RandomBatch(*graph, 5, 2);
    engine->SetParameters(parameters);
    ASSERT_TRUE(engine->Train(batch).ok());
    const std::vector<float> whole = Gradient(*engine);
    engine->SetParameters(std::vector<float>(parameters.size(), NAN));
    Feeder feeder(engine.get(), parameters);
    ASSERT_TRUE(engine->Train(batch, {.gate = &feeder}).ok());
    EXPECT_EQ(Gradient(*engine), whole) << graph->name();
    EXPECT_EQ(feeder.values, graph->trainable_count()) << "the statistics are not read";
    EXPECT_EQ(feeder.begins.front(), 0);
    EXPECT_TRUE(std::is_sorted(feeder.begins.begin(), feeder.begins.end())) << graph->name();
  }
}

TEST(ParameterGate, IsAskedInTheFirstPartOnly) {
  const GraphPtr graph = tests::ParseGraph(tests::kNoBatchnorm);
  const auto engine = MakeEngine(graph, tests::LeastBudget(graph, 11, {.seed = 5}, Mode::kTrain));
  const std::vector<float> parameters = graph->InitialParameters(1);
  Feeder feeder(engine.get(), parameters);
  ASSERT_TRUE(engine->Train(RandomBatch(*graph, 11, 2), {.gate = &feeder}).ok());
  EXPECT_EQ(feeder.values, graph->trainable_count());
}

TEST(ParameterGate, CanGiveTheStepUp) {
  const GraphPtr graph = tests::ParseGraph(tests::kNoBatchnorm);
  const auto engine = MakeEngine(graph);
  const std::vector<float> parameters = graph->InitialParameters(1);
  const data::Batch batch = RandomBatch(*graph, 4, 1);
  Feeder feeder(engine.get(), parameters);
  feeder.give_up_after = 1;
  Collector collector(engine.get());
  const auto result = engine->Train(batch, {.gate = &feeder, .sink = &collector});
  EXPECT_EQ(result.status().code(), Code::kCancelled);
  EXPECT_THAT(feeder.begins, SizeIs(1));
  EXPECT_THAT(collector.losses, IsEmpty());
  EXPECT_TRUE(engine->Train(batch).ok()) << "the next step goes as ever";
}

TEST(Engine, KeepsThePlansUsedLast) {
  const GraphPtr graph = tests::ParseGraph(tests::kEveryLayer);
  const auto engine = MakeEngine(graph);
  ASSERT_TRUE(engine->Prepare(Mode::kTrain, 256).ok());
  ASSERT_TRUE(engine->Prepare(Mode::kEvaluate, 3).ok());
  const size_t large = engine->memory_bytes();
  const auto sizes = static_cast<int64_t>(kPreparedSizes);
  for (int64_t size = 1; size < sizes; ++size)
    ASSERT_TRUE(engine->Prepare(Mode::kTrain, size).ok());
  EXPECT_TRUE(engine->IsPrepared(Mode::kTrain, 256));
  EXPECT_EQ(engine->memory_bytes(), large);
  engine->SetParameters(graph->InitialParameters(1));
  const data::Batch batch = RandomBatch(*graph, 1, 1);
  ASSERT_TRUE(engine->Train(batch).ok());  // so 1 was used later than 2
  const std::vector<float> wanted = Gradient(*engine);
  ASSERT_TRUE(engine->Prepare(Mode::kTrain, 100).ok());
  EXPECT_FALSE(engine->IsPrepared(Mode::kTrain, 256)) << "used first";
  EXPECT_LT(engine->memory_bytes(), large * 3 / 4) << "its memory is given back";
  ASSERT_TRUE(engine->Prepare(Mode::kTrain, 101).ok());
  EXPECT_FALSE(engine->IsPrepared(Mode::kTrain, 2));
  EXPECT_TRUE(engine->IsPrepared(Mode::kTrain, 1));
  EXPECT_TRUE(engine->IsPrepared(Mode::kEvaluate, 3)) << "modes do not push each other out";
  // All that are left run where they lie now, and what went comes back.
  ASSERT_TRUE(engine->Train(batch).ok());
  EXPECT_EQ(Gradient(*engine), wanted);
  ASSERT_TRUE(engine->Train(RandomBatch(*graph, 256, 1)).ok());
  ASSERT_TRUE(engine->Train(batch).ok());
  EXPECT_EQ(Gradient(*engine), wanted);
}

}  // namespace
}  // namespace weft::engine
