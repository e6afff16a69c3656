#include "cluster/loss_trend.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace weft::cluster {
namespace {

TEST(LossTrend, FindsTheLine) {
  LossTrend trend;
  EXPECT_FALSE(trend.Now());
  for (int i = 1; i <= 20; ++i) {
    trend.Measured(1000.0 * i, 3 - 0.25 * std::log(1000.0 * i));
    EXPECT_EQ(trend.Fall().has_value(), i >= LossTrend::kFewest) << i;
  }
  EXPECT_NEAR(trend.Fall()->fall, 0.25, 1e-9);
  EXPECT_NEAR(*trend.Now(), 3 - 0.25 * std::log(20'000), 1e-9);
}

TEST(LossTrend, FindsItUnderNoise) {
  base::Rng rng(1);
  LossTrend trend;
  for (int i = 1; i <= 60; ++i)
    trend.Measured(1000.0 * i, 3 - 0.25 * std::log(1000.0 * i) + 0.02 * rng.NextNormal());
  const LossFall found = *trend.Fall();
  EXPECT_NEAR(found.fall, 0.25, 2 * found.error);
  EXPECT_LT(found.error, 0.03);
}

TEST(LossTrend, NoFallIsNone) {
  base::Rng rng(1);
  LossTrend flat;
  LossTrend rising;
  int found = 0;
  for (int i = 1; i <= 400; ++i) {
    flat.Measured(1000.0 * i, 1 + 0.1 * rng.NextNormal());
    rising.Measured(1000.0 * i, 1 + 0.1 * std::log(1000.0 * i));
    found += flat.Fall().has_value() ? 1 : 0;
    EXPECT_FALSE(rising.Fall());
  }
  EXPECT_LT(found, 60);  // twice the standard error: one time in forty each, in runs
}

TEST(LossTrend, LaterMeasurementsWeighMore) {
  LossTrend trend;
  for (int i = 1; i <= 400; ++i) {
    const double x = std::log(1000.0 * i);
    const double bend = std::log(200e3);
    trend.Measured(1000.0 * i, x < bend ? 9 - x : 9 - bend - 0.1 * (x - bend));
  }
  EXPECT_NEAR(trend.Fall()->fall, 0.1, 0.05);  // a line through all would fall by 0.7
}

TEST(LossTrend, ALossThatIsNoNumberIsPassedOver) {
  LossTrend trend;
  trend.Measured(1, std::nan(""));
  EXPECT_EQ(trend.count(), 0);
}

}  // namespace
}  // namespace weft::cluster
