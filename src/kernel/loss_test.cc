#include <gtest/gtest.h>

#include "kernel/test_runner.h"

namespace weft::kernel {
namespace {

struct Outcome {
  Floats diff_logits;
  LossStats stats;
};

Outcome Loss(const Shape& shape, const Floats& logits, const std::vector<int32_t>& labels,
             bool in_place = false) {
  const auto backend = TestBackend("auto");
  OpRunner runner(*backend, backend->SoftmaxCrossEntropy({shape[0], shape[1]}));
  if (in_place) runner.InPlace("diff_logits");
  runner.SetBytes("labels", labels.data(), labels.size() * sizeof(int32_t));
  runner.Set("logits", logits).Run();
  Outcome outcome{runner.Get("diff_logits"), {}};
  std::memcpy(&outcome.stats, runner.memory("stats")->data(), sizeof(LossStats));
  return outcome;
}

TEST(LossTest, EvenLogitsCostLogOfClasses) {
  const Outcome outcome = Loss({2, 4}, Floats(8, 3.0f), {0, 2});
  EXPECT_NEAR(outcome.stats.loss_sum, 2 * std::log(4.0), 1e-12);
  EXPECT_EQ(outcome.stats.correct, 1);  // the first of equals counts
  EXPECT_EQ(outcome.stats.bad_label, -1);
  const Floats want = {-0.375f, 0.125f, 0.125f, 0.125f, 0.125f, 0.125f, -0.375f, 0.125f};
  EXPECT_LT(WorstDeviation(outcome.diff_logits, want), 1e-7);
}

TEST(LossTest, HugeLogitsNeitherOverflowNorVanish) {
  const Outcome outcome = Loss({2, 3}, {1e30f, 0, -1e30f, -5000, -5001, -5002}, {0, 0});
  EXPECT_NEAR(outcome.stats.loss_sum, 0.40760596, 1e-6);
  EXPECT_EQ(outcome.stats.correct, 2);
}

TEST(LossTest, GradientIsTheSlopeOfTheMean) {
  const Shape shape{3, 5};
  const std::vector<int32_t> labels = {4, 0, 2};
  const Floats logits = RandomFloats(15, 1);
  const Outcome outcome = Loss(shape, logits, labels);
  constexpr float kStep = 1e-2f;
  for (size_t i = 0; i < logits.size(); ++i) {
    Floats up = logits, down = logits;
    up[i] += kStep;
    down[i] -= kStep;
    const double slope =
        (Loss(shape, up, labels).stats.loss_sum - Loss(shape, down, labels).stats.loss_sum) /
        (double{up[i]} - down[i]) / 3;
    EXPECT_NEAR(outcome.diff_logits[i], slope, 1e-5) << i;
  }
}

TEST(LossTest, InPlaceChangesNothing) {
  const Floats logits = RandomFloats(70, 2);
  const std::vector<int32_t> labels = {0, 1, 2, 3, 4, 5, 6};
  EXPECT_EQ(Loss({7, 10}, logits, labels, true).diff_logits,
            Loss({7, 10}, logits, labels).diff_logits);
}

TEST(LossTest, BadLabelIsNamedAndLeftOut) {
  const Floats logits = RandomFloats(12, 3);
  const Outcome outcome = Loss({4, 3}, logits, {1, 3, -1, 2});
  EXPECT_EQ(outcome.stats.bad_label, 1);
  const Outcome good = Loss({1, 3}, {logits.begin(), logits.begin() + 3}, {1});
  const Outcome last = Loss({1, 3}, {logits.begin() + 9, logits.end()}, {2});
  EXPECT_DOUBLE_EQ(outcome.stats.loss_sum, good.stats.loss_sum + last.stats.loss_sum);
  for (int i = 3; i < 9; ++i) EXPECT_EQ(outcome.diff_logits[i], 0.0f);
}

TEST(LossTest, NanLogitsGiveNanLoss) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Floats& logits : {Floats{nan, 1, 2}, Floats{1, nan, 2}, Floats{1, 2, nan}}) {
    EXPECT_TRUE(std::isnan(Loss({1, 3}, logits, {0}).stats.loss_sum));
  }
}

}  // namespace
}  // namespace weft::kernel
