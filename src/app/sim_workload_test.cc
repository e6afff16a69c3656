#include "app/sim_workload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "config/run_config.h"

namespace weft::app {
namespace {

config::RunConfig Config(const std::string& preset) {
  const auto config = config::FromJson(
      R"({"job": {"epochs": 1, "batch": 16, "name": "tiny"}, "model": {"preset": ")" + preset +
          R"("}, "data": {"train": "synthetic:shapes?n=64"}})",
      "job");
  CHECK(config.ok()) << config.status().ToString();
  return *config;
}

std::shared_ptr<TrainingWorkload> Open(const config::RunConfig& config) {
  const auto job = OpenJob(config, {.test_data = false});
  CHECK(job.ok()) << job.status().ToString();
  return TrainingWorkload::Make(*job).value();
}

TEST(TrainingWorkload, SameLeaseSameBits) {
  const auto workload = Open(Config("lenet5"));
  const cluster::Snapshot start = workload->Start();
  const cluster::Compute lease{.lease = {.id = 1, .count = 16}};
  const cluster::Compute other{.lease = {.id = 2, .slot = 1, .begin = 16, .count = 5}};
  const auto first = workload->Compute(start.parameters, lease, 0);
  const auto between = workload->Compute(start.parameters, other, 1);
  const auto again = workload->Compute(start.parameters, lease, 0);
  ASSERT_TRUE(first.ok() && between.ok() && again.ok());
  EXPECT_EQ(first->gradient.size(), start.parameters.size());
  EXPECT_EQ(first->gradient, again->gradient);
  EXPECT_EQ(first->loss_sum, again->loss_sum);
  EXPECT_EQ(first->correct, again->correct);
  EXPECT_NE(first->gradient, between->gradient);
  EXPECT_GT(first->loss_sum, between->loss_sum);
}

TEST(TrainingWorkload, LossThatIsNotFiniteEndsTheRun) {
  const auto workload = Open(Config("lenet5"));
  std::vector<float> parameters = workload->Start().parameters;
  parameters.back() = NAN;  // a bias of the logits
  const auto computed =
      workload->Compute(parameters, {.lease = {.id = 1, .step = 7, .count = 4}}, 0);
  EXPECT_EQ(computed.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(computed.status().message().find("step 7: "), 0U) << computed.status().message();
}

// One local step is a step of the optimizer: what the parameters lose is lr * gradient.
TEST(TrainingWorkload, LocalStepsGiveWhatTheParametersLost) {
  config::RunConfig config = Config("lenet5");
  config.cluster.local_steps = 4;
  config.optimizer.momentum = 0.5;
  const auto local = Open(config), plain = Open(Config("lenet5"));
  const cluster::Snapshot start = plain->Start();
  constexpr float kRate = 0.125;
  const cluster::Compute four{.lease = {.id = 1, .count = 16}, .lr = kRate};
  const auto update = local->Compute(start.parameters, four, 0);
  ASSERT_TRUE(update.ok());
  EXPECT_EQ(local->Compute(start.parameters, four, 0)->gradient, update->gradient) << "not pure";

  // The same by plain gradients of the four parts.
  std::vector<float> parameters = start.parameters, momentum(parameters.size());
  for (int64_t part = 0; part < 4; ++part) {
    const auto gradient =
        plain->Compute(parameters, {.lease = {.id = 1, .begin = 4 * part, .count = 4}}, 0);
    ASSERT_TRUE(gradient.ok());
    for (size_t i = 0; i < parameters.size(); ++i) {
      momentum[i] = 0.5F * momentum[i] + gradient->gradient[i];
      parameters[i] -= kRate * momentum[i];
    }
  }
  double worst = 0, norm = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const double lost = start.parameters[i] - parameters[i];
    worst = std::max(worst, std::abs(lost - update->gradient[i]));
    norm = std::max(norm, std::abs(lost));
  }
  EXPECT_GT(norm, 1e-3);
  EXPECT_LT(worst, 1e-4 * norm + 1e-6);
}

// Of local data a lease is of the samples of a shard.
TEST(TrainingWorkload, ReadsTheOrderOfTheJob) {
  config::RunConfig config = Config("lenet5");
  config.cluster.workers = 4;
  config.data.placement = "local";
  config.data.partition = "classes:3";
  const auto sharded = Open(config), whole = Open(Config("lenet5"));
  const cluster::Snapshot start = whole->Start();
  const cluster::Compute lease{.lease = {.id = 1, .count = 16}};
  EXPECT_NE(sharded->Compute(start.parameters, lease, 0)->loss_sum,
            whole->Compute(start.parameters, lease, 0)->loss_sum);
}

}  // namespace
}  // namespace weft::app
