#include "aggregate/learning_rate.h"

#include <gtest/gtest.h>

#include "aggregate/aggregator.h"

namespace weft::aggregate {
namespace {

// Rule 1: the same batch cut among 1, 2 or 8 workers gives the same combined gradient, so the rate
// stays what it is.
TEST(LearningRate, DoesNotDependOnTheNumberOfWorkers) {
  for (const int64_t workers : {1, 2, 8}) {
    const auto aggregator = MakeAggregator({.count = 1});
    aggregator->Begin(workers, 64);
    const int64_t samples = 64 / workers;
    for (int64_t worker = 0; worker < workers; ++worker) {
      // Sample i has gradient i; the mean over a worker's own.
      const double first = static_cast<double>(worker * samples);
      const std::vector<float> mean = {static_cast<float>(first + (samples - 1) / 2.0)};
      ASSERT_TRUE(aggregator->Add({worker, samples, mean}).ok());
    }
    EXPECT_NEAR(aggregator->Finish()[0], 31.5, 1e-5);
  }
}

TEST(LearningRate, AGrownBatchScalesItAfterAWarmUp) {
  const GrownBatch eightfold{.growth = 8, .warmup_steps = 4};
  EXPECT_EQ(RateForGrownBatch(0.1, eightfold, 0), 0.1);
  EXPECT_NEAR(RateForGrownBatch(0.1, eightfold, 2), 0.45, 1e-12);
  EXPECT_NEAR(RateForGrownBatch(0.1, eightfold, 4), 0.8, 1e-12);
  EXPECT_NEAR(RateForGrownBatch(0.1, eightfold, 400), 0.8, 1e-12);
  EXPECT_NEAR(RateForGrownBatch(0.1, {.growth = 4, .square_root = true}, 0), 0.2, 1e-12);
  EXPECT_NEAR(RateForGrownBatch(0.1, {.growth = 0.5}, 0), 0.05, 1e-12);
}

}  // namespace
}  // namespace weft::aggregate
