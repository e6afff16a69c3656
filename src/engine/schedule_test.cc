#include "engine/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::engine {
namespace {

using Kind = ScheduleOptions::Kind;

TEST(Schedule, ConstantStaysAfterAWarmUpInEqualParts) {
  const ScheduleOptions options{.kind = Kind::kConstant, .lr = 0.4, .warmup_steps = 4};
  EXPECT_DOUBLE_EQ(LearningRate(options, 0, 100), 0.1);
  EXPECT_DOUBLE_EQ(LearningRate(options, 3, 100), 0.4);
  EXPECT_DOUBLE_EQ(LearningRate(options, 4, 100), 0.4);
  EXPECT_DOUBLE_EQ(LearningRate(options, 99, 100), 0.4);
}

TEST(Schedule, StepDecaysAtEachOfItsSteps) {
  const ScheduleOptions options{
      .kind = Kind::kStep, .lr = 1.0, .warmup_steps = 10, .decay_steps = {30, 50}, .decay = 0.5};
  EXPECT_DOUBLE_EQ(LearningRate(options, 29, 90), 1.0);
  EXPECT_DOUBLE_EQ(LearningRate(options, 30, 90), 0.5);
  EXPECT_DOUBLE_EQ(LearningRate(options, 49, 90), 0.5);
  EXPECT_DOUBLE_EQ(LearningRate(options, 50, 90), 0.25);
}

TEST(Schedule, CosineFallsFromThePeakToTheFloor) {
  const ScheduleOptions options{
      .kind = Kind::kCosine, .lr = 1.0, .warmup_steps = 10, .final_lr = 0.2};
  EXPECT_DOUBLE_EQ(LearningRate(options, 10, 110), 1.0);
  EXPECT_DOUBLE_EQ(LearningRate(options, 60, 110), 0.6);
  EXPECT_NEAR(LearningRate(options, 109, 110), 0.2, 1e-3);
  EXPECT_DOUBLE_EQ(LearningRate(options, 200, 110), 0.2);
  for (int64_t step = 11; step < 110; ++step) {
    EXPECT_LT(LearningRate(options, step, 110), LearningRate(options, step - 1, 110));
  }
}

TEST(Schedule, WarmUpLongerThanTheRunOnlyRises) {
  const ScheduleOptions options{.kind = Kind::kCosine, .lr = 1.0, .warmup_steps = 50};
  EXPECT_DOUBLE_EQ(LearningRate(options, 19, 20), 0.4);
}

TEST(Schedule, Names) {
  for (const std::string& name : ScheduleNames()) EXPECT_TRUE(ScheduleFromName(name).ok());
  EXPECT_THAT(ScheduleFromName("cosin").status().message(),
              testing::HasSubstr("did you mean \"cosine\""));
}

}  // namespace
}  // namespace weft::engine
