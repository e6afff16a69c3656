#include "app/sim_expect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/sim_table.h"

namespace weft::app {
namespace {

using config::Expectations;
using testing::ElementsAre;
using testing::HasSubstr;

sim::Result GoodResult() {
  sim::Result result;
  result.completed = true;
  result.outcome = "the run is complete";
  result.virtual_s = 100;
  result.training_s = 90;
  result.samples = 1000;
  result.recomputed = 50;
  result.samples_per_second = 11;
  result.epochs = {{0, 40, 1.5}, {1, 50, 0.9}};
  sim::DeviceResult busy{.name = "busy", .up_s = 100, .compute_s = 80};
  sim::DeviceResult lazy{.name = "lazy", .up_s = 60, .compute_s = 0};
  sim::DeviceResult off{.name = "off"};
  result.devices = {busy, lazy, off};
  result.accuracy = 0.8;
  result.test_loss = 0.5;
  return result;
}

// Keys of what does not hold.
std::vector<std::string> Broken(const Expectations& expect, const sim::Result& result) {
  std::vector<std::string> keys;
  for (const Finding& finding : CheckExpectations(expect, result)) {
    if (!finding.ok) keys.push_back(finding.key);
  }
  return keys;
}

TEST(SimExpect, GoodRunKeepsToAll) {
  using std::chrono::seconds;
  const Expectations expect{.max_virtual = seconds(100),
                            .max_training = seconds(90),
                            .max_epoch_seconds = 50,
                            .min_samples_per_second = 11,
                            .min_utilisation = 0.5,
                            .max_recomputed_share = 0.05,
                            .min_accuracy = 0.8,
                            .max_loss = 0.5};
  const auto findings = CheckExpectations(expect, GoodResult());
  EXPECT_EQ(findings.size(), 12U);
  EXPECT_TRUE(AllHold(findings));
}

TEST(SimExpect, EachCanFail) {
  using std::chrono::seconds;
  const sim::Result result = GoodResult();
  EXPECT_THAT(Broken({.max_virtual = seconds(99)}, result), ElementsAre("max_virtual"));
  EXPECT_THAT(Broken({.max_training = seconds(89)}, result), ElementsAre("max_training"));
  EXPECT_THAT(Broken({.max_epoch_seconds = 49}, result), ElementsAre("max_epoch_seconds"));
  EXPECT_THAT(Broken({.min_samples_per_second = 12}, result),
              ElementsAre("min_samples_per_second"));
  EXPECT_THAT(Broken({.min_utilisation = 0.51}, result), ElementsAre("min_utilisation"));
  EXPECT_THAT(Broken({.max_recomputed_share = 0.04}, result), ElementsAre("max_recomputed_share"));
  EXPECT_THAT(Broken({.min_accuracy = 0.81}, result), ElementsAre("min_accuracy"));
  EXPECT_THAT(Broken({.max_loss = 0.4}, result), ElementsAre("max_loss"));
}

TEST(SimExpect, PromisesAreExpectedUnasked) {
  sim::Result result = GoodResult();
  result.completed = false;
  result.outcome = "not over";
  result.lost = 1;
  result.duplicated = 2;
  result.violations = {"1 s: a lease was committed twice"};
  EXPECT_THAT(Broken({}, result), ElementsAre("completed", "lost", "duplicated", "max_violations"));
  EXPECT_THAT(Broken({.completed = false, .lost = 1, .duplicated = 2, .max_violations = 1}, result),
              ElementsAre());
}

TEST(SimExpect, FigureThatIsNotThereFails) {
  EXPECT_THAT(Broken({.completed = false, .max_epoch_seconds = 1, .min_accuracy = 0.1}, {}),
              ElementsAre("max_epoch_seconds", "min_accuracy"));
}

TEST(SimExpect, UtilisationIsOfTheTimeSwitchedOn) {
  EXPECT_DOUBLE_EQ(Utilisation(GoodResult()), 0.5);
  EXPECT_EQ(Utilisation(sim::Result()), 0);
  EXPECT_DOUBLE_EQ(Utilisation(GoodResult().devices[0]), 0.8);
}

TEST(SimTable, ShowsTheMostAndTheLeastOfMany) {
  sim::Result result;
  for (int i = 0; i < 20; ++i) {
    result.devices.push_back(
        {.name = "d", .up_s = 100, .compute_s = static_cast<double>((i * 7) % 20)});
  }
  // 7 i mod 20: most at 17 (19), 14 (18); least at 0 (0), 3 (1).
  EXPECT_THAT(TellingDevices(result, 4), ElementsAre(0, 3, 14, 17));
  EXPECT_EQ(TellingDevices(result, 20).size(), 20U);
}

TEST(SimTable, SpreadIsMinMedianMax) {
  std::vector<sim::Result> results(4, GoodResult());
  const double times[] = {40, 10, 30, 20};
  for (size_t i = 0; i < 4; ++i) results[i].virtual_s = times[i];
  const std::vector<Spread> spreads = Spreads(results);
  EXPECT_EQ(spreads[0].figure, "virtual_s");
  EXPECT_EQ(spreads[0].min, 10);
  EXPECT_EQ(spreads[0].median, 25);
  EXPECT_EQ(spreads[0].max, 40);
}

TEST(SimTable, SaysWhatFailed) {
  config::Scenario scenario;
  scenario.name = "ward";
  const sim::Result result = GoodResult();
  const auto findings = CheckExpectations({.min_accuracy = 0.9}, result);
  const std::string table = ResultTable(scenario, "lenet5, 61,706 parameters", result, findings);
  EXPECT_THAT(table, HasSubstr("ward: lenet5, 61,706 parameters"));
  EXPECT_THAT(table, HasSubstr("FAILED min_accuracy"));
  EXPECT_THAT(ResultLine(result, findings), HasSubstr("FAILED: min_accuracy"));
}

}  // namespace
}  // namespace weft::app
