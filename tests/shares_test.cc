// One worker against four with unequal shares: the same losses over 50 steps of lenet5. The real
// leader and coordinator's arithmetic (aggregate/, cluster/) with the real engine; only the wire is
// left out.

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "aggregate/aggregator.h"
#include "base/rng.h"
#include "data/batches.h"
#include "engine/engine.h"
#include "engine/optimizer.h"
#include "model/graph.h"

namespace weft {
namespace {

constexpr int kSteps = 50;
constexpr int64_t kBatch = 128;

// 28x28 grey images: a bright bar whose place is the label, under noise.
class Bars : public data::Dataset {
 public:
  int64_t size() const override { return kBatch * 10; }
  Shape sample_shape() const override { return {1, 28, 28}; }
  int64_t classes() const override { return 10; }
  std::string description() const override { return "bars"; }
  int32_t Read(int64_t index, const data::ReadContext&, std::span<float> sample) const override {
    const int32_t label = Label(index);
    for (size_t i = 0; i < sample.size(); ++i) {
      const bool bar = static_cast<int32_t>(i / 28 / 3) == label;
      sample[i] =
          static_cast<float>((bar ? 1 : 0) + base::Uniform(static_cast<uint64_t>(index), i) - 0.5);
    }
    return label;
  }
  int32_t Label(int64_t index) const override { return static_cast<int32_t>(index % 10); }
};

// Losses of each step, with the batch cut into `shares`.
std::vector<double> Train(const std::vector<int64_t>& shares) {
  const Bars bars;
  const auto graph = std::make_shared<const model::Graph>(*model::LoadPreset("lenet5", {}));
  const auto engine = *engine::Engine::Create(graph, {});
  engine::OptimizerOptions options;
  options.momentum = 0.9;
  options.weight_decay = 5e-4;
  engine::Optimizer optimizer(options, graph->trainable_count(), {});
  const auto aggregator = aggregate::MakeAggregator({.count = graph->parameter_count()});
  std::vector<float> parameters = graph->InitialParameters(1);
  std::vector<float> gradient(parameters.size());
  std::vector<double> losses;
  data::Batch batch;
  for (int step = 0; step < kSteps; ++step) {
    aggregator->Begin(static_cast<int64_t>(shares.size()), kBatch);
    double loss = 0;
    int64_t begin = step % 10 * kBatch;
    for (size_t slot = 0; slot < shares.size(); ++slot) {
      data::ReadBatch(bars, data::SampleOrder::Whole(1, bars.size()),
                      {.epoch = step / 10, .begin = begin, .count = shares[slot]}, &batch);
      begin += shares[slot];
      CHECK(engine->Prepare(plan::Mode::kTrain, batch.size).ok());
      engine->SetParameters(parameters);
      const auto result = engine->Train(batch);
      CHECK(result.ok()) << result.status().ToString();
      loss += result->loss_sum;
      engine->GetGradient(gradient);
      CHECK(aggregator
                ->Add({.slot = static_cast<int64_t>(slot),
                       .samples = shares[slot],
                       .gradient = gradient})
                .ok());
    }
    CHECK(aggregator->Ready());
    optimizer.Apply(0.01, aggregator->Finish(), parameters);
    losses.push_back(loss / kBatch);
  }
  return losses;
}

TEST(Shares, FourUnequalWorkersHaveTheLossesOfOne) {
  const std::vector<double> one = Train({128});
  const std::vector<double> four = Train({7, 40, 11, 70});
  ASSERT_EQ(one.size(), four.size());
  double worst = 0;
  for (size_t step = 0; step < one.size(); ++step) {
    worst = std::max(worst, std::abs(four[step] - one[step]) / one[step]);
  }
  EXPECT_LE(worst, 1e-5);
  EXPECT_LT(one.back(), 0.5 * one.front()) << "the comparison must cover real learning";
}

}  // namespace
}  // namespace weft
