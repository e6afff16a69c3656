// The engine against itself: kernels against kernels, gradients against differences, parts against
// the whole.

#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "kernel/update.h"
#include "tests/random_batch.h"
#include "tests/tiny_models.h"

namespace weft::engine {
namespace {

using plan::Mode;
using tests::RandomBatch;

data::Batch Part(const data::Batch& whole, int64_t begin, int64_t count) {
  const auto each = static_cast<int64_t>(whole.samples.size()) / whole.size;
  data::Batch part;
  part.size = count;
  part.samples.assign(whole.samples.begin() + begin * each,
                      whole.samples.begin() + (begin + count) * each);
  part.labels.assign(whole.labels.begin() + begin, whole.labels.begin() + begin + count);
  part.keys.assign(whole.keys.begin() + begin, whole.keys.begin() + begin + count);
  return part;
}

std::unique_ptr<Engine> MakeEngine(std::shared_ptr<const model::Graph> graph,
                                   const std::string& kernels, int threads = 1) {
  EngineOptions options;
  options.kernels = kernels;
  options.threads = threads;
  options.seed = 5;
  auto engine = Engine::Create(std::move(graph), options);
  CHECK(engine.ok()) << engine.status().ToString();
  return std::move(engine).value();
}

std::vector<float> Gradient(Engine* engine, const std::vector<float>& parameters,
                            const data::Batch& batch, double* loss = nullptr) {
  CHECK(engine->Prepare(Mode::kTrain, batch.size).ok());
  engine->SetParameters(parameters);
  const auto result = engine->Train(batch);
  CHECK(result.ok()) << result.status().ToString();
  if (loss != nullptr) *loss = result->loss();
  std::vector<float> flat(parameters.size());
  engine->GetGradient(flat);
  return flat;
}

double RelativeDistance(std::span<const float> a, std::span<const float> b) {
  std::vector<float> difference(a.begin(), a.end());
  kernel::Axpy(-1, b, difference);
  return kernel::Norm(difference) / std::max(kernel::Norm(b), 1e-12);
}

// A batch that leaves three lanes of the last block empty.
TEST(Engine, SamplesAsLanesAgreeWithReference) {
  const auto graph = model::LoadPreset("lenet5", {});
  ASSERT_TRUE(graph.ok());
  const auto shared = std::make_shared<const model::Graph>(*graph);
  const data::Batch batch = RandomBatch(*graph, 29, 3);
  const std::vector<float> parameters = graph->InitialParameters(1);
  const auto fast = MakeEngine(shared, "onednn", 2);
  const auto slow = MakeEngine(shared, "reference");
  const std::vector<float> got = Gradient(fast.get(), parameters, batch);
  EXPECT_LT(RelativeDistance(got, Gradient(slow.get(), parameters, batch)), 2e-6);
  int lanes = 0;
  for (const plan::Step& step : fast->plan(Mode::kTrain, 29).programs[0].steps) {
    lanes += step.op->implementation().starts_with("lanes") && step.flops > 0;
  }
  EXPECT_EQ(lanes, 5);  // both convolutions in all passes, but for the data gradient of the first
}

TEST(Engine, TellsAnObserverOfEachStep) {
  struct Names : StepObserver {
    void BeforeSteps() override { got.push_back("begin"); }
    void AfterStep(const plan::Step& step) override { got.push_back(step.name); }
    std::vector<std::string> got;
  };
  const auto graph = tests::ParseGraph(tests::kEveryLayer);
  const data::Batch batch = RandomBatch(*graph, 3, 4);
  const auto engine = MakeEngine(graph, "onednn");
  ASSERT_TRUE(engine->Train(batch).ok());
  Names names;
  engine->Observe(&names);
  ASSERT_TRUE(engine->Train(batch).ok());
  engine->Observe(nullptr);
  ASSERT_TRUE(engine->Train(batch).ok());
  std::vector<std::string> want = {"begin"};
  for (const plan::Step& step : engine->plan(Mode::kTrain, 3).programs[0].steps)
    want.push_back(step.name);
  EXPECT_EQ(names.got, want);
}

TEST(Engine, FastAndReferenceKernelsAgreeOnEveryLayer) {
  const auto graph = tests::ParseGraph(tests::kEveryLayer);
  const auto parameters = graph->InitialParameters(1);
  const auto fast = MakeEngine(graph, "onednn");
  const auto plain = MakeEngine(graph, "reference");
  for (const int64_t size : {1, 3, 8, 17}) {
    const data::Batch batch = RandomBatch(*graph, size, static_cast<uint64_t>(size));
    double fast_loss = 0;
    double plain_loss = 0;
    const auto a = Gradient(fast.get(), parameters, batch, &fast_loss);
    const auto b = Gradient(plain.get(), parameters, batch, &plain_loss);
    EXPECT_NEAR(fast_loss, plain_loss, 1e-5 * plain_loss) << size;
    EXPECT_LT(RelativeDistance(a, b), 1e-4) << size;
    const auto fast_eval = fast->Evaluate(batch);
    const auto plain_eval = plain->Evaluate(batch);
    ASSERT_TRUE(fast_eval.ok() && plain_eval.ok());
    EXPECT_NEAR(fast_eval->loss(), plain_eval->loss(), 1e-4 * plain_eval->loss());
    EXPECT_EQ(fast_eval->correct, plain_eval->correct);
  }
}

TEST(Engine, GradientMatchesFiniteDifferences) {
  const auto graph = tests::ParseGraph(tests::kEveryLayer);
  const auto parameters = graph->InitialParameters(2);
  const auto engine = MakeEngine(graph, "reference");
  const data::Batch batch = RandomBatch(*graph, 6, 3);
  const auto gradient = Gradient(engine.get(), parameters, batch);
  // Along random directions: (L(w + h d) - L(w - h d)) / 2h against g . d.
  base::Rng rng(11);
  double worst = 0;
  for (int round = 0; round < 12; ++round) {
    std::vector<float> direction(parameters.size(), 0.0f);
    for (int64_t i = 0; i < graph->trainable_count(); ++i) {
      direction[static_cast<size_t>(i)] = static_cast<float>(rng.NextNormal());
    }
    kernel::Scale(static_cast<float>(1 / kernel::Norm(direction)), direction);
    double wanted = 0;
    for (size_t i = 0; i < direction.size(); ++i) {
      wanted += static_cast<double>(direction[i]) * gradient[i];
    }
    constexpr float kStep = 2e-3f;
    double up = 0;
    double down = 0;
    auto moved = parameters;
    kernel::Axpy(kStep, direction, moved);
    Gradient(engine.get(), moved, batch, &up);
    kernel::Axpy(-2 * kStep, direction, moved);
    Gradient(engine.get(), moved, batch, &down);
    worst = std::max(worst, std::abs((up - down) / (2 * kStep) - wanted));
  }
  EXPECT_LT(worst, 0.02 * kernel::Norm(gradient));
}

TEST(Engine, PartsAddUpToTheWholeBatch) {
  const auto graph = tests::ParseGraph(tests::kNoBatchnorm);
  const auto parameters = graph->InitialParameters(1);
  const auto engine = MakeEngine(graph, "auto");
  const data::Batch whole = RandomBatch(*graph, 32, 9);
  const auto wanted = Gradient(engine.get(), parameters, whole);
  std::vector<float> sum(parameters.size(), 0.0f);
  int64_t begin = 0;
  for (const int64_t count : {7, 1, 19, 5}) {
    const auto part = Gradient(engine.get(), parameters, Part(whole, begin, count));
    kernel::Axpy(static_cast<float>(count) / 32, part, sum);
    begin += count;
  }
  EXPECT_LT(RelativeDistance(sum, wanted), 1e-5);
}

TEST(Engine, ParametersSurviveTheTripThroughKernelLayouts) {
  const auto graph = tests::ParseGraph(tests::kEveryLayer);
  const auto engine = MakeEngine(graph, "auto");
  ASSERT_TRUE(engine->Prepare(Mode::kTrain, 4).ok());
  const auto parameters = graph->InitialParameters(8);
  engine->SetParameters(parameters);
  std::vector<float> back(parameters.size());
  engine->GetParameters(back);
  EXPECT_EQ(back, parameters);
  ASSERT_TRUE(engine->Prepare(Mode::kTrain, 64).ok());  // a larger arena moves every program
  engine->GetParameters(back);
  EXPECT_EQ(back, parameters);
}

TEST(Engine, SameSeedSameBits) {
  const auto graph = tests::ParseGraph(tests::kEveryLayer);
  const auto parameters = graph->InitialParameters(1);
  const data::Batch batch = RandomBatch(*graph, 8, 1);
  const auto a = Gradient(MakeEngine(graph, "auto").get(), parameters, batch);
  const auto b = Gradient(MakeEngine(graph, "auto").get(), parameters, batch);
  EXPECT_EQ(a, b);
}

TEST(Engine, LocalUpdatesLowerTheLoss) {
  const auto graph = tests::ParseGraph(tests::kEveryLayer);
  using Kind = OptimizerOptions::Kind;
  for (const Kind kind : {Kind::kSgd, Kind::kAdamw}) {
    const auto engine = MakeEngine(graph, "auto");
    ASSERT_TRUE(engine->Prepare(Mode::kTrain, 16).ok());
    engine->SetParameters(graph->InitialParameters(1));
    const data::Batch batch = RandomBatch(*graph, 16, 4);
    OptimizerOptions optimizer;
    optimizer.kind = kind;
    optimizer.momentum = 0.9;
    double first = 0;
    double last = 0;
    for (int step = 0; step < 60; ++step) {
      const auto result = engine->Train(batch);
      ASSERT_TRUE(result.ok());
      if (step == 0) first = result->loss();
      last = result->loss();
      engine->Apply(optimizer, kind == Kind::kSgd ? 0.02 : 0.005);
    }
    EXPECT_LT(last, 0.3 * first) << static_cast<int>(kind);
  }
}

TEST(Engine, LabelOutOfRangeNamesTheSample) {
  const auto graph = tests::ParseGraph(tests::kNoBatchnorm);
  const auto engine = MakeEngine(graph, "auto");
  data::Batch batch = RandomBatch(*graph, 4, 1);
  batch.labels[2] = 3;
  const auto result = engine->Train(batch);
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.status().message(),
              testing::HasSubstr("label of sample 2 of the batch: got 3, want 0..2"));
}

}  // namespace
}  // namespace weft::engine
