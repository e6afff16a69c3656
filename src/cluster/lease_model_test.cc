#include "cluster/lease_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace weft::cluster {
namespace {

// A device that takes a second for 1000 samples and, for each lease, as long as for `fixed` more.
struct Device {
  base::Rng rng;
  double fixed = 0;
  double noise = 0;  // standard deviation, relative
  double slowness = 1;

  double Expected(int64_t samples) const {
    return slowness * 1e-3 * (fixed + static_cast<double>(samples));
  }
  double Take(int64_t samples) {
    return Expected(samples) * std::max(0.1, 1 + noise * rng.NextNormal());
  }
};

double RelativeError(const LeaseModel& model, const Device& device, int64_t samples) {
  return std::abs(model.Predict(samples) / device.Expected(samples) - 1);
}

void Compute(LeaseModel* model, Device* device, int leases, int64_t least, int64_t most) {
  for (int i = 0; i < leases; ++i) {
    const auto span = static_cast<uint64_t>(most - least + 1);
    const int64_t samples = least + static_cast<int64_t>(device->rng.NextBelow(span));
    model->Add(samples, device->Take(samples));
  }
}

TEST(LeaseModel, KnowsNothingAtFirst) {
  LeaseModel model;
  model.Add(0, 1);
  model.Add(10, 0);
  model.Add(10, NAN);
  EXPECT_EQ(model.Predict(10), 0);
  EXPECT_EQ(model.lease_seconds(), 0);
  EXPECT_EQ(model.sample_seconds(), 0);
  model.Add(10, 2);
  EXPECT_DOUBLE_EQ(model.Predict(10), 2);
  EXPECT_DOUBLE_EQ(model.sample_seconds(), 0.2) << "in proportion, until sizes tell more";
}

TEST(LeaseModel, ForgetsTheFirstLeaseOfAProcess) {
  LeaseModel model;
  model.Add(10, 30);
  model.Add(10, 2);
  EXPECT_DOUBLE_EQ(model.Predict(10), 2);
  for (int i = 0; i < 10; ++i) model.Add(10, 2);
  EXPECT_EQ(model.changes(), 0);
}

TEST(LeaseModel, FindsBothCostsFromLeasesOfSeveralSizes) {
  for (const double fixed : {0.0, 10.0, 50.0, 200.0}) {
    std::vector<double> errors;
    for (uint64_t seed = 1; seed <= 50; ++seed) {
      Device device{.rng = base::Rng(seed), .fixed = fixed, .noise = 0.03};
      LeaseModel model;
      Compute(&model, &device, 11, 8, 128);
      for (const int64_t samples : {16, 64, 128}) {
        errors.push_back(RelativeError(model, device, samples));
      }
      EXPECT_EQ(model.changes(), 0);
    }
    std::sort(errors.begin(), errors.end());
    EXPECT_LT(errors[errors.size() / 2], 0.02) << fixed;
    EXPECT_LT(errors[errors.size() * 9 / 10], 0.05) << fixed;
  }
}

TEST(LeaseModel, LeasesOfOneSizeKeepTheLastRatio) {
  Device device{.rng = base::Rng(3), .fixed = 50};
  LeaseModel model;
  Compute(&model, &device, 20, 20, 80);
  const double ratio = model.lease_seconds() / model.sample_seconds();
  EXPECT_NEAR(ratio, 50, 1);
  device.slowness = 3;
  Compute(&model, &device, 200, 40, 40);
  EXPECT_NEAR(model.lease_seconds() / model.sample_seconds(), ratio, 1e-6);
  EXPECT_LT(RelativeError(model, device, 40), 1e-6);
  EXPECT_LT(RelativeError(model, device, 80), 0.02);
}

TEST(LeaseModel, CostsAreNeverNegative) {
  // Larger leases that take less time, and times that grow faster than the lease.
  for (const double power : {-0.5, 2.0}) {
    LeaseModel model;
    for (const int64_t samples : {10, 20, 40, 10, 20, 40, 10, 20, 40}) {
      model.Add(samples, std::pow(static_cast<double>(samples), power));
      EXPECT_GE(model.lease_seconds(), 0);
      EXPECT_GE(model.sample_seconds(), 0);
      EXPECT_GT(model.Predict(20), 0);
    }
  }
}

TEST(LeaseModel, OneOutlierHardlyMatters) {
  Device device{.rng = base::Rng(4), .noise = 0.05};
  LeaseModel model;
  Compute(&model, &device, 20, 64, 64);
  const double before = model.Predict(64);
  model.Add(64, 10 * device.Expected(64));
  EXPECT_NEAR(model.Predict(64), before, 0.03 * before);
  Compute(&model, &device, 20, 64, 64);
  EXPECT_EQ(model.changes(), 0);
  EXPECT_LT(RelativeError(model, device, 64), 0.05);
}

// Leases until it counts a change; 0: not within 12.
int LeasesToNotice(uint64_t seed, double noise, double slowness, double* error) {
  Device device{.rng = base::Rng(seed), .fixed = 10, .noise = noise};
  LeaseModel model;
  Compute(&model, &device, 40, 32, 96);
  const int64_t before = model.changes();
  device.slowness = slowness;
  for (int leases = 1; leases <= 12; ++leases) {
    Compute(&model, &device, 1, 32, 96);
    if (model.changes() == before) continue;
    *error = RelativeError(model, device, 64);
    return leases;
  }
  return 0;
}

TEST(LeaseModel, AStepIsNoticedWithinFourLeases) {
  for (const double slowness : {2.0, 5.0, 0.5, 0.2}) {
    for (uint64_t seed = 1; seed <= 100; ++seed) {
      double error = 1;
      const int leases = LeasesToNotice(seed, 0.05, slowness, &error);
      EXPECT_EQ(leases, 3) << "x" << slowness << ", seed " << seed;
      EXPECT_LT(error, 0.15) << "x" << slowness << ", seed " << seed;
    }
  }
}

TEST(LeaseModel, AStepIsNoticedInLoudNoiseToo) {
  int in_time = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    double error = 1;
    const int leases = LeasesToNotice(seed, 0.2, 2, &error);
    if (leases >= 1 && leases <= 4) ++in_time;
  }
  EXPECT_GT(in_time, 160);
}

// Ten devices of 10,000 leases each: the rate in lease_model.h gives three alarms.
TEST(LeaseModel, SteadyDevicesRaiseNoAlarm) {
  for (const double noise : {0.05, 0.1, 0.2}) {
    int64_t alarms = 0;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      Device device{.rng = base::Rng(seed), .fixed = 10, .noise = noise};
      LeaseModel model;
      const bool one_size = seed % 2 == 0;
      Compute(&model, &device, 10'000, one_size ? 48 : 16, one_size ? 48 : 80);
      alarms += model.changes();
    }
    EXPECT_LE(alarms, noise < 0.2 ? 0 : 6) << noise;
  }
}

TEST(LeaseModel, AnotherSizeIsNoChange) {
  LeaseModel model;
  Device device{.rng = base::Rng(5), .fixed = 100, .noise = 0.05};
  Compute(&model, &device, 50, 100, 100);
  // In proportion these would take 40 % less than they do.
  Compute(&model, &device, 50, 25, 25);
  EXPECT_EQ(model.changes(), 0);
  EXPECT_LT(RelativeError(model, device, 25), 0.05);
}

TEST(LeaseModel, SlowDriftIsFollowed) {
  Device device{.rng = base::Rng(6), .noise = 0.05};
  LeaseModel model;
  for (int i = 0; i < 200; ++i) {
    device.slowness = 1 + 0.005 * i;
    Compute(&model, &device, 1, 32, 96);
  }
  EXPECT_LT(RelativeError(model, device, 64), 0.12);
}

}  // namespace
}  // namespace weft::cluster
