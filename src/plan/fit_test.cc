#include "plan/fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace weft::plan {
namespace {

using testing::HasSubstr;
using testing::Not;

class Fit : public testing::Test {
 protected:
  Result<BatchPlan> Plan(size_t budget, const std::string& preset = "resnet20",
                         Mode mode = Mode::kTrainStreaming) {
    const auto graph = model::LoadPreset(preset, {});
    CHECK(graph.ok());
    FitOptions options;
    options.compile.mode = mode;
    options.compile.batch = 10;
    options.budget_bytes = budget;
    options.state_vectors = 1;
    return FitMemory(*graph, backend_.get(), options);
  }

  std::unique_ptr<kernel::Backend> backend_ = std::move(kernel::MakeBackend("auto", {})).value();
};

TEST_F(Fit, GivesUpNothingWithoutNeed) {
  const auto whole = Plan(0);
  ASSERT_TRUE(whole.ok());
  const auto exact = Plan(whole->bytes);
  ASSERT_TRUE(exact.ok());
  EXPECT_EQ(exact->given_up, "");
  EXPECT_EQ(exact->bytes, whole->bytes);
  EXPECT_EQ(exact->Flops(), exact->programs[0].Flops());
}

TEST_F(Fit, PrefersEqualBitsWithBatchnorm) {
  const auto whole = Plan(0);
  ASSERT_TRUE(whole.ok());
  const auto lean = Plan(whole->bytes * 6 / 10);
  ASSERT_TRUE(lean.ok()) << lean.status().ToString();
  EXPECT_FALSE(lean->divided());
  EXPECT_THAT(lean->given_up, HasSubstr("recomputes "));
  EXPECT_THAT(lean->given_up, Not(HasSubstr("batchnorm")));
  EXPECT_EQ(lean->Flops(), whole->Flops());
  EXPECT_LT(lean->programs[0].RecomputedFlops(), 0.2 * whole->Flops());
}

TEST_F(Fit, DividesWhatIsLeftAndSaysWhatThatMeans) {
  const auto whole = Plan(0);
  ASSERT_TRUE(whole.ok());
  const auto lean = Plan(whole->bytes * 3 / 10);
  ASSERT_TRUE(lean.ok()) << lean.status().ToString();
  EXPECT_TRUE(lean->divided());
  EXPECT_EQ(std::accumulate(lean->parts.begin(), lean->parts.end(), int64_t{0}), 10);
  for (size_t i = 0; i < lean->parts.size(); ++i) {
    const Program& program = lean->programs[lean->program_of(i)];
    EXPECT_EQ(program.batch, lean->parts[i]);
    EXPECT_EQ(program.mode, Mode::kTrainStreaming);
  }
  EXPECT_THAT(lean->given_up, HasSubstr("each normalised by its own statistics (batchnorm)"));
}

TEST_F(Fit, SameBudgetSamePlan) {
  const auto whole = Plan(0);
  ASSERT_TRUE(whole.ok());
  const auto a = Plan(whole->bytes / 3);
  const auto b = Plan(whole->bytes / 3);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->given_up, b->given_up);
  EXPECT_EQ(a->parts, b->parts);
  EXPECT_EQ(a->programs[0].ToString(), b->programs[0].ToString());
}

TEST_F(Fit, RefusesNamingWhatItGotAndWants) {
  const auto refused = Plan(100 << 10);
  EXPECT_EQ(refused.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(refused.status().message(),
              HasSubstr("memory budget: got 100 KiB (102400 bytes), want at least"));
  EXPECT_THAT(refused.status().message(), HasSubstr("for resnet20"));
}

TEST_F(Fit, OnlyTrainingIsLimited) {
  const auto predict = Plan(1, "lenet5", Mode::kPredict);
  ASSERT_TRUE(predict.ok());
  EXPECT_FALSE(predict->divided());
}

}  // namespace
}  // namespace weft::plan
