#include "app/sim_workload.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/run_config.h"

namespace weft::app {
namespace {

std::shared_ptr<TrainingWorkload> Open(const std::string& preset) {
  const auto config = config::FromJson(
      R"({"job": {"epochs": 1, "batch": 16, "name": "tiny"}, "model": {"preset": ")" + preset +
          R"("}, "data": {"train": "synthetic:shapes?n=64"}})",
      "job");
  CHECK(config.ok()) << config.status().ToString();
  const auto job = OpenJob(*config, {.test_data = false});
  CHECK(job.ok()) << job.status().ToString();
  return TrainingWorkload::Make(*job).value();
}

TEST(TrainingWorkload, SameLeaseSameBits) {
  const auto workload = Open("lenet5");
  const cluster::Snapshot start = workload->Start();
  const cluster::Lease lease{.id = 1, .count = 16};
  const cluster::Lease other{.id = 2, .slot = 1, .begin = 16, .count = 5};
  const auto first = workload->Compute(start.parameters, lease);
  const auto between = workload->Compute(start.parameters, other);
  const auto again = workload->Compute(start.parameters, lease);
  ASSERT_TRUE(first.ok() && between.ok() && again.ok());
  EXPECT_EQ(first->gradient.size(), start.parameters.size());
  EXPECT_EQ(first->gradient, again->gradient);
  EXPECT_EQ(first->loss_sum, again->loss_sum);
  EXPECT_EQ(first->correct, again->correct);
  EXPECT_NE(first->gradient, between->gradient);
  EXPECT_GT(first->loss_sum, between->loss_sum);
}

TEST(TrainingWorkload, LossThatIsNotFiniteEndsTheRun) {
  const auto workload = Open("lenet5");
  std::vector<float> parameters = workload->Start().parameters;
  parameters.back() = NAN;  // a bias of the logits
  const auto computed = workload->Compute(parameters, {.id = 1, .step = 7, .count = 4});
  EXPECT_EQ(computed.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(computed.status().message().find("step 7: "), 0U) << computed.status().message();
}

}  // namespace
}  // namespace weft::app
