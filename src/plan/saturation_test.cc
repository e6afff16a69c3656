#include "plan/saturation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace weft::plan {
namespace {

constexpr double kBytes = 1e6;         // of an update and of parameters together
constexpr double kBandwidth = 12.5e6;  // bytes a second

// Each worker has a batch of its own, and exchanges while it computes: full with 12.5 workers.
double StepSeconds(int64_t workers) {
  return std::max(1.0, static_cast<double>(workers) * kBytes / kBandwidth);
}

void Took(SaturationWatch* watch, int64_t workers, double seconds) {
  watch->Took({.workers = workers, .samples = static_cast<double>(workers), .seconds = seconds});
}

void Feed(SaturationWatch* watch, int64_t workers, int steps, base::Rng* rng) {
  for (int i = 0; i < steps; ++i)
    Took(watch, workers, StepSeconds(workers) * rng->NextUniform(0.97, 1.03));
}

// One leader, and a batch that n workers share.
constexpr double kBatchSeconds = 16;  // of one worker
double SharedStep(double workers) {
  return kBatchSeconds / workers + workers * kBytes / kBandwidth;
}
StepCosts CostsOf(int64_t workers) {
  const auto n = static_cast<double>(workers);
  return {.workers = workers,
          .compute_s = kBatchSeconds / n,
          .exchange_s = n * kBytes / kBandwidth,
          .one_more_s = kBytes / kBandwidth};
}

TEST(PredictSaturation, IsTheSlopeOfTheThroughput) {
  for (const int64_t workers : {1, 4, 10, 14, 20}) {
    const auto n = static_cast<double>(workers);
    const double up = std::log(SharedStep(n) / SharedStep(n * 1.001)) / std::log(1.001);
    EXPECT_NEAR(PredictSaturation(CostsOf(workers)).slope, up, 1e-3) << workers;
  }
  EXPECT_GT(PredictSaturation(CostsOf(10)).slope, kLeastSlope);
  EXPECT_LT(PredictSaturation(CostsOf(12)).slope, kLeastSlope);
  EXPECT_LT(PredictSaturation(CostsOf(16)).slope, 0);  // a worker more costs time
}

TEST(PredictSaturation, BandwidthOverBytesBoundsTheUpdates) {
  for (const int64_t workers : {4, 40}) {
    const double most = PredictSaturation(CostsOf(workers)).most_per_s;
    EXPECT_DOUBLE_EQ(most, kBandwidth / kBytes);
    EXPECT_LT(static_cast<double>(workers) / SharedStep(static_cast<double>(workers)), most);
  }
  EXPECT_EQ(PredictSaturation({.workers = 3, .compute_s = 1}).most_per_s, 0);
  EXPECT_DOUBLE_EQ(PredictSaturation({.workers = 3, .compute_s = 1}).slope, 1);
}

TEST(SaturationWatch, SaysWhenMoreWorkersBringNothing) {
  base::Rng rng(2);
  SaturationWatch watch;
  EXPECT_EQ(watch.SaturatedAt(), 0);
  for (int64_t workers : {2, 4, 8, 12}) {
    Feed(&watch, workers, 10, &rng);
    EXPECT_EQ(watch.SaturatedAt(), 0) << workers;
  }
  Feed(&watch, 24, 10, &rng);
  EXPECT_EQ(watch.SaturatedAt(), 12);
  EXPECT_NEAR(watch.throughput(), 12.5, 0.5);
  Feed(&watch, 8, 10, &rng);
  EXPECT_EQ(watch.SaturatedAt(), 0);
}

TEST(SaturationWatch, ForgetsWhatNoLongerHolds) {
  base::Rng rng(3);
  SaturationWatch watch;
  Feed(&watch, 12, 10, &rng);
  Feed(&watch, 24, 10, &rng);
  EXPECT_EQ(watch.SaturatedAt(), 12);
  for (int i = 0; i < 10; ++i) Took(&watch, 24, 1.0);  // the layout was split
  EXPECT_EQ(watch.SaturatedAt(), 0);
}

TEST(SaturationWatch, AFewTimesAreNotEnough) {
  SaturationWatch watch;
  for (int i = 0; i < 3; ++i) Took(&watch, 4, 1);
  Took(&watch, 8, 2);
  Took(&watch, 8, 2);
  EXPECT_EQ(watch.SaturatedAt(), 0);
  Took(&watch, 8, 2);
  EXPECT_EQ(watch.SaturatedAt(), 4);
}

TEST(SaturationWatch, RemembersABoundedNumber) {
  SaturationWatch watch;
  for (int64_t workers = 1; workers <= 100; ++workers)
    for (int i = 0; i < 4; ++i) Took(&watch, workers, 1);
  for (int i = 0; i < 5; ++i) Took(&watch, 100, 50);
  // Of 1 to 84 nothing is left, and 85 (85 a second against 100 / 50) did better.
  EXPECT_EQ(watch.SaturatedAt(), 85);
}

}  // namespace
}  // namespace weft::plan
