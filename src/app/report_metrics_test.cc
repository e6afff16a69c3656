#include "app/report_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "app/event_log.h"

namespace weft::app {
namespace {

std::string Steps(const ReportMetrics& metrics) {
  std::string text;
  for (const auto& point : metrics.step_loss) text += std::to_string(int(point.step)) + " ";
  return text;
}

// The lines of a run, as the run folder writes them.
class Log {
 public:
  Log& Start(int64_t step) {
    text_ += "{\"event\":\"start\",\"step\":" + std::to_string(step) + ",\"time\":\"now\"}\n";
    return *this;
  }
  Log& Step(int64_t step, double loss) {
    return Add(cluster::StepDone{step, 0, 10, loss, 5, 0.1, 1, {{1, 7}, {2, 3}}});
  }
  Log& Epoch(int64_t epoch, int64_t next_step) {
    return Add(cluster::EpochDone{epoch, next_step, 0.5, 0.25, 0, 0});
  }
  Log& Test(int64_t epoch, double accuracy) {
    text_ += JsonLine(ToJson(Evaluated{epoch, 100, 0.75, accuracy}, 1));
    return *this;
  }
  Log& Add(const cluster::Event& event) {
    text_ += JsonLine(ToJson(event, 1));
    return *this;
  }
  ReportMetrics Read(const std::string& tail = "") const { return ReadReportMetrics(text_ + tail); }

 private:
  std::string text_;
};

TEST(ReportMetrics, ReadsWhatTheRunFolderWrites) {
  const ReportMetrics metrics = Log()
                                    .Start(0)
                                    .Add(cluster::DeviceJoined{1, "pi", false})
                                    .Add(cluster::DeviceJoined{2, "mini", false})
                                    .Step(0, 2.5)
                                    .Step(1, 1.5)
                                    .Epoch(0, 2)
                                    .Step(2, 1)
                                    .Test(0, 0.5)
                                    .Read();
  EXPECT_EQ(Steps(metrics), "1 2 3 ");
  EXPECT_EQ(metrics.step_loss[1].value, 1.5);
  ASSERT_EQ(metrics.train_accuracy.size(), 1u);
  EXPECT_EQ(metrics.train_accuracy[0].step, 2);
  EXPECT_EQ(metrics.train_accuracy[0].value, 0.25);
  // An evaluation stands where its epoch ended, not where the run was when it was done.
  ASSERT_EQ(metrics.test_accuracy.size(), 1u);
  EXPECT_EQ(metrics.test_accuracy[0].step, 2);
  EXPECT_EQ(metrics.test_accuracy[0].value, 0.5);
  EXPECT_EQ(metrics.test_loss[0].value, 0.75);
  ASSERT_EQ(metrics.devices.size(), 2u);
  EXPECT_EQ(metrics.devices[0].name, "pi");
  EXPECT_EQ(metrics.devices[0].samples, 21);
  EXPECT_EQ(metrics.devices[1].steps, 3);
  EXPECT_EQ(metrics.devices[1].joined, 1);
}

// A checkpoint is of step 2; what was done after it was done again.
TEST(ReportMetrics, WhatALaterStartTookBackDoesNotCount) {
  const ReportMetrics metrics = Log()
                                    .Start(0)
                                    .Step(0, 9)
                                    .Step(1, 9)
                                    .Epoch(0, 2)
                                    .Test(0, 0.1)
                                    .Step(2, 9)
                                    .Step(3, 9)
                                    .Epoch(1, 4)
                                    .Test(1, 0.2)
                                    .Start(2)
                                    .Step(2, 1)
                                    .Step(3, 1)
                                    .Epoch(1, 4)
                                    .Test(1, 0.3)
                                    .Read();
  EXPECT_EQ(Steps(metrics), "1 2 3 4 ");
  EXPECT_EQ(metrics.step_loss[2].value, 1);
  ASSERT_EQ(metrics.test_accuracy.size(), 2u);
  EXPECT_EQ(metrics.test_accuracy[0].value, 0.1);
  EXPECT_EQ(metrics.test_accuracy[1].value, 0.3);
  EXPECT_EQ(metrics.devices[0].samples, 28);
}

TEST(ReportMetrics, AnEvaluationInMidEpochStandsAtTheLastStep) {
  const ReportMetrics metrics =
      Log().Start(0).Step(0, 1).Epoch(0, 1).Test(0, 0.5).Step(1, 1).Step(2, 1).Test(0, 0.6).Read();
  ASSERT_EQ(metrics.test_accuracy.size(), 2u);
  EXPECT_EQ(metrics.test_accuracy[1].step, 3);
  EXPECT_EQ(Log().Start(0).Step(0, 1).Test(-1, 0.5).Read().test_accuracy[0].step, 1);
}

TEST(ReportMetrics, PassesOverWhatIsDamagedOrNoNumber) {
  const ReportMetrics metrics =
      Log().Start(0).Step(0, NAN).Step(1, 2).Read("[1]\n\n{\"event\":3}\n{\"event\":\"step\",\"st");
  EXPECT_EQ(Steps(metrics), "2 ");
  EXPECT_TRUE(ReadReportMetrics("").step_loss.empty());
}

}  // namespace
}  // namespace weft::app
