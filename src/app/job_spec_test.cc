#include "app/job_spec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/local_steps.h"

namespace weft::app {
namespace {

config::RunConfig Config(const std::string& cluster) {
  const auto config = config::FromJson(
      R"({"job": {"epochs": 2, "batch": 16, "name": "tiny"}, "model": {"preset": "resnet20"},
          "data": {"train": "synthetic:shapes?n=100"},
          "optimizer": {"schedule": "step", "step_epochs": [1]}, "cluster": {)" +
          cluster + "}}",
      "job");
  CHECK(config.ok()) << config.status().ToString();
  return *config;
}

cluster::JobSpec SpecOf(const std::string& cluster) {
  const auto job = OpenJob(Config(cluster), {.test_data = false});
  CHECK(job.ok()) << job.status().ToString();
  cluster::JobSpec spec = JobSpecOf(**job, {.run = "r"});
  EXPECT_TRUE(cluster::Validate(spec).ok());
  return spec;
}

TEST(JobSpec, TakesOverEveryKeyOfAggregation) {
  aggregate::Options want;
  EXPECT_EQ(SpecOf("").aggregation, want);
  want.mode = aggregate::Mode::kBuffered;
  want.combine = aggregate::Combine::kTrimmedMean;
  want.trim = 0.25;
  want.max_staleness = 5;
  want.staleness_exponent = 1;
  want.delay_compensation = 0.5;
  want.buffer = 3;
  EXPECT_EQ(SpecOf(R"("workers": 8, "aggregation": "buffered", "combine": "trimmed-mean",
                      "trim": 0.25, "max_staleness": 5, "staleness_exponent": 1,
                      "delay_compensation": 0.5, "buffer": 3)")
                .aggregation,
            want);
  want = {.combine = aggregate::Combine::kMedian,
          .quorum = 0.75,
          .over_selection = 0.5,
          .local_steps = 3,
          .outer_lr = 1,
          .outer_momentum = 0};
  EXPECT_EQ(SpecOf(R"("combine": "median", "quorum": 0.75, "over_selection": 0.5,
                      "local_steps": 3, "outer_lr": 1, "outer_momentum": 0)")
                .aggregation,
            want);
  EXPECT_EQ(SpecOf(R"("aggregation": "async")").aggregation.mode, aggregate::Mode::kAsync);
  EXPECT_EQ(SpecOf(R"("aggregation": "ssp", "max_staleness": 1)").aggregation.mode,
            aggregate::Mode::kSsp);
}

TEST(JobSpec, TakesOverWhoLeadsAndHowMuch) {
  const cluster::JobSpec plain = SpecOf("");
  EXPECT_EQ(plain.leaders, 1);
  EXPECT_TRUE(plain.share_by_speed);
  const cluster::JobSpec other = SpecOf(R"("leaders": 0, "share_by_speed": false)");
  EXPECT_EQ(other.leaders, 0);
  EXPECT_FALSE(other.share_by_speed);
}

// The layers of resnet20, from the front: the first gradients to be final are the last ones.
TEST(JobSpec, TellsStretchesApartWhereSeveralMayLead) {
  EXPECT_TRUE(SpecOf("").stretch_begins.empty());
  EXPECT_TRUE(SpecOf(R"("leaders": 0, "local_steps": 3)").stretch_begins.empty());
  const cluster::JobSpec spec = SpecOf(R"("leaders": 2)");
  const std::vector<int64_t>& begins = spec.stretch_begins;
  // Twenty layers with weights, of which each convolution is the last step of its own.
  EXPECT_GE(begins.size(), 18u);
  EXPECT_TRUE(std::ranges::is_sorted(begins));
  EXPECT_GT(begins.front(), 0);
  EXPECT_LT(begins.back(), spec.parameter_count());
  // Every one is where a parameter begins, and the last layer's are final together.
  const auto job = OpenJob(Config(""), {.test_data = false});
  std::set<int64_t> offsets;
  for (const model::Parameter& parameter : (*job)->graph->parameters()) {
    offsets.insert(parameter.offset);
  }
  for (const int64_t begin : begins) EXPECT_TRUE(offsets.contains(begin)) << begin;
  EXPECT_EQ(SpecOf(R"("leaders": 0)").stretch_begins, begins);
}

// 100 samples are 7 steps of 16, or 3 of 3 * 16.
TEST(JobSpec, LocalStepsMakeStepsLonger) {
  const cluster::JobSpec plain = SpecOf(""), local = SpecOf(R"("local_steps": 3)");
  EXPECT_EQ(plain.schedule.decay_steps, std::vector<int64_t>{7});
  EXPECT_EQ(local.schedule.decay_steps, std::vector<int64_t>{3});
  EXPECT_EQ(local.batch, 16);
  ASSERT_FALSE(plain.statistics.empty());
  ASSERT_EQ(plain.statistics.size(), local.statistics.size());
  EXPECT_DOUBLE_EQ(local.statistics[0].momentum,
                   engine::StatisticWeight(plain.statistics[0].momentum, 3));
  EXPECT_GT(local.statistics[0].momentum, plain.statistics[0].momentum);
}

}  // namespace
}  // namespace weft::app
