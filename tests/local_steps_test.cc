// Local steps against the engine's own steps.

#include "engine/local_steps.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/random_batch.h"
#include "tests/tiny_models.h"

namespace weft::engine {
namespace {

using plan::Mode;
using GraphPtr = std::shared_ptr<const model::Graph>;

class LocalSteps : public testing::Test {
 protected:
  std::unique_ptr<Engine> MakeEngine() const { return Engine::Create(graph_, {.seed = 5}).value(); }
  std::vector<float> Update(Engine* engine, const data::Batch& batch, const LocalOptions& options,
                            StepResult* result = nullptr) const {
    std::vector<float> update(start_.size());
    const auto trained = TrainLocally(engine, batch, options, start_, update);
    CHECK(trained.ok()) << trained.status().ToString();
    if (result != nullptr) *result = *trained;
    return update;
  }
  static data::Batch Part(const data::Batch& whole, int64_t begin, int64_t count) {
    const auto each = static_cast<int64_t>(whole.samples.size()) / whole.size;
    const auto cut = [&](const auto& from, int64_t width) {
      return std::decay_t<decltype(from)>(from.begin() + begin * width,
                                          from.begin() + (begin + count) * width);
    };
    return {count, cut(whole.samples, each), cut(whole.labels, 1), cut(whole.keys, 1)};
  }

  const GraphPtr graph_ = tests::ParseGraph(tests::kEveryLayer);
  const std::vector<float> start_ = graph_->InitialParameters(1);
  const size_t trainable_ = static_cast<size_t>(graph_->trainable_count());
};

TEST_F(LocalSteps, OneOfPlainSgdIsTheGradientTimesTheRate) {
  const data::Batch batch = tests::RandomBatch(*graph_, 8, 3);
  const double lr = 0.05;
  const std::vector<float> update = Update(MakeEngine().get(), batch, {.steps = 1, .lr = lr});
  const auto engine = MakeEngine();
  ASSERT_TRUE(engine->Prepare(Mode::kTrain, 8).ok());
  engine->SetParameters(start_);
  ASSERT_TRUE(engine->Train(batch).ok());
  std::vector<float> gradient(start_.size());
  engine->GetGradient(gradient);
  for (size_t i = 0; i < start_.size(); ++i) {
    const bool trained = i < trainable_;
    // A weight's last place, or a running statistic's, which stands for 1 / momentum as much.
    const double rounding = std::max(1.0, std::abs(static_cast<double>(start_[i]))) * 2e-7;
    if (trained) {
      EXPECT_NEAR(update[i], lr * gradient[i], rounding) << i;
    } else {
      EXPECT_NEAR(update[i], gradient[i], 20 * rounding) << i;
    }
  }
}

TEST_F(LocalSteps, TwoAreTwoStepsOfTheEngine) {
  const data::Batch batch = tests::RandomBatch(*graph_, 11, 3);
  for (const OptimizerOptions& optimizer :
       {OptimizerOptions{}, OptimizerOptions{.momentum = 0.9, .weight_decay = 0.01},
        OptimizerOptions{.kind = OptimizerOptions::Kind::kAdamw}}) {
    StepResult together;
    const std::vector<float> update = Update(
        MakeEngine().get(), batch, {.steps = 2, .optimizer = optimizer, .lr = 0.02}, &together);
    const auto engine = MakeEngine();
    ASSERT_TRUE(engine->Prepare(Mode::kTrainStreaming, 6).ok());
    engine->SetParameters(start_);
    const auto first = engine->TrainAndApply(Part(batch, 0, 6), optimizer, 0.02);
    const auto second = engine->TrainAndApply(Part(batch, 6, 5), optimizer, 0.02);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(together.loss_sum, first->loss_sum + second->loss_sum);
    EXPECT_EQ(together.correct, first->correct + second->correct);
    EXPECT_EQ(together.samples, 11);
    std::vector<float> end(start_.size());
    engine->GetParameters(end);
    EXPECT_NE(end, start_);
    for (size_t i = 0; i < trainable_; ++i) EXPECT_EQ(update[i], start_[i] - end[i]) << i;
    for (const model::Parameter& parameter : graph_->parameters()) {
      if (parameter.trainable()) continue;
      const double weight = StatisticWeight(parameter.momentum, 2);
      const auto i = static_cast<size_t>(parameter.offset);
      EXPECT_NEAR((1 - weight) * start_[i] + weight * update[i], end[i],
                  1e-6 * std::max(1.0f, std::abs(end[i])))
          << parameter.name;
    }
  }
}

TEST_F(LocalSteps, KeepTheOptimizersStateUntilItIsReset) {
  const data::Batch batch = tests::RandomBatch(*graph_, 8, 3);
  const LocalOptions options = {.steps = 2, .optimizer = {.momentum = 0.9}, .lr = 0.02};
  const auto engine = MakeEngine();
  const std::vector<float> first = Update(engine.get(), batch, options);
  EXPECT_NE(Update(engine.get(), batch, options), first) << "the velocity goes on";
  engine->ResetOptimizer();
  EXPECT_EQ(Update(engine.get(), batch, options), first);
}

TEST_F(LocalSteps, AreNoMoreThanThereAreSamples) {
  const data::Batch batch = tests::RandomBatch(*graph_, 3, 3);
  const LocalOptions many = {.steps = 8, .lr = 0.02}, three = {.steps = 3, .lr = 0.02};
  EXPECT_EQ(Update(MakeEngine().get(), batch, many), Update(MakeEngine().get(), batch, three));
}

TEST(LocalStepsOf, HaveTheLeastSamplesEachAsFarAsThatGoes) {
  const LocalOptions options = {.steps = 8, .least = 10};
  EXPECT_EQ(LocalStepsOf(options, 1), 1);
  EXPECT_EQ(LocalStepsOf(options, 10), 1);
  EXPECT_EQ(LocalStepsOf(options, 31), 4);
  EXPECT_EQ(LocalStepsOf(options, 80), 8);
  EXPECT_EQ(LocalStepsOf(options, 8000), 8);
}

TEST_F(LocalSteps, OfASmallBatchAreFewer) {
  const data::Batch batch = tests::RandomBatch(*graph_, 6, 3);
  const LocalOptions least = {.steps = 8, .least = 3, .lr = 0.02}, two = {.steps = 2, .lr = 0.02};
  EXPECT_EQ(Update(MakeEngine().get(), batch, least), Update(MakeEngine().get(), batch, two));
}

TEST(StatisticWeight, IsWhatSoManyStepsReplace) {
  EXPECT_DOUBLE_EQ(StatisticWeight(0.1, 1), 0.1);
  EXPECT_DOUBLE_EQ(StatisticWeight(0.1, 2), 0.19);
  EXPECT_DOUBLE_EQ(StatisticWeight(0, 5), 0);
  EXPECT_DOUBLE_EQ(StatisticWeight(1, 5), 1);
}

}  // namespace
}  // namespace weft::engine
