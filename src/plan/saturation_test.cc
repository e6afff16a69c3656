#include "plan/saturation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace weft::plan {
namespace {

constexpr SaturationInput kInput = {
    .bytes_per_s = 12.5e6, .bytes_of_update = 1e6, .step_s = 1};  // full with 12.5 workers

double StepSeconds(int64_t workers) {
  return std::max(kInput.step_s,
                  static_cast<double>(workers) * kInput.bytes_of_update / kInput.bytes_per_s);
}

void Feed(SaturationWatch* watch, int64_t workers, int steps, base::Rng* rng) {
  for (int i = 0; i < steps; ++i)
    watch->Took(workers, StepSeconds(workers) * rng->NextUniform(0.97, 1.03));
}

TEST(PredictSaturation, IsWhereTheThroughputStopsGrowing) {
  const int64_t full = PredictSaturation(kInput);
  EXPECT_EQ(full, 12);
  const auto throughput = [](int64_t n) { return static_cast<double>(n) / StepSeconds(n); };
  EXPECT_GT(throughput(full), throughput(full - 1));
  EXPECT_DOUBLE_EQ(throughput(full + 1), throughput(full + 20));
  EXPECT_EQ(PredictSaturation({.bytes_per_s = 1, .bytes_of_update = 9, .step_s = 1}), 1);
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
  for (int i = 0; i < 10; ++i) watch.Took(24, 1.0);  // the layout was split
  EXPECT_EQ(watch.SaturatedAt(), 0);
}

TEST(SaturationWatch, AFewTimesAreNotEnough) {
  SaturationWatch watch;
  for (int i = 0; i < 3; ++i) watch.Took(4, 1);
  watch.Took(8, 2);
  watch.Took(8, 2);
  EXPECT_EQ(watch.SaturatedAt(), 0);
  watch.Took(8, 2);
  EXPECT_EQ(watch.SaturatedAt(), 4);
}

TEST(SaturationWatch, RemembersABoundedNumber) {
  SaturationWatch watch;
  for (int64_t workers = 1; workers <= 100; ++workers)
    for (int i = 0; i < 4; ++i) watch.Took(workers, 1);
  for (int i = 0; i < 4; ++i) watch.Took(100, 50);
  // Of 1 to 84 nothing is left, and 85 (85 a second against 100 / 50) did better.
  EXPECT_EQ(watch.SaturatedAt(), 85);
}

}  // namespace
}  // namespace weft::plan
