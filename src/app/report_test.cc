#include "app/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ReportInput Input() {
  ReportInput input;
  input.record.run = "words-1";
  input.record.program = "weft 0.1.0";
  input.record.config.job.name = "words";
  input.record.config.job.batch = 8;
  input.record.config.model.preset = "dscnn";
  input.record.started = {"2026-01-31T12:00:00Z"};
  input.result.outcome = "completed";
  input.result.test_accuracy = 0.8125;
  input.result.test_loss = 0.5;
  input.result.steps = 1234;
  input.ended = "2026-01-31T12:01:00Z";
  input.parameters = 23180;
  input.train_data = "wav:words (train)";
  input.test_data = "wav:words (test)";
  input.test_classes = 2;
  input.metrics.step_loss = {{1, 2.5}, {2, 1.5}};
  input.metrics.test_accuracy = {{2, 0.8125}};
  input.metrics.devices = {{1, "pi", 30, 2, 1}, {2, "mini", 10, 2, 3}};
  input.speeds = {{1, 1500}};
  Confusion confusion(2, {"yes", "no"});
  for (int i = 0; i < 9; ++i) confusion.Add(0, 0);
  confusion.Add(0, 1);
  confusion.Add(1, 1);
  input.confusion = confusion;
  return input;
}

TEST(Report, SaysWhatTheRunWasAndHowItEnded) {
  const std::string page = ReportPage(Input());
  for (const char* text : {"<title>words: weft report</title>", "run words-1", "81.25%", "1,234",
                           "dscnn, 23,180 trained parameters", "wav:words (train)",
                           "2026-01-31T12:01:00Z", "&quot;preset&quot;: &quot;dscnn&quot;"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  EXPECT_THAT(page, HasSubstr("<td>pi</td><td>30</td><td>75.0%</td><td>2</td><td>1</td>"
                              "<td>1,500</td>"));
  EXPECT_THAT(page, HasSubstr("<td>mini</td><td>10</td><td>25.0%</td><td>2</td><td>3</td>"
                              "<td>not measured</td>"));
}

TEST(Report, HoldsTheConfusionMatrix) {
  const std::string page = ReportPage(Input());
  EXPECT_THAT(page, HasSubstr("title=\"true yes, predicted yes: 9\">9</td>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"miss\" style=\"--share:0.208\" "
                              "title=\"true yes, predicted no: 1\">1</td>"));
  EXPECT_THAT(page, HasSubstr("<td class=\"sum\">10</td><td class=\"sum\">90%</td>"));
  EXPECT_THAT(page, HasSubstr("precision</th><td class=\"sum\">100%</td><td class=\"sum\">50%"));
}

TEST(Report, NeedsNoOtherFile) {
  const std::string page = ReportPage(Input());
  for (const char* text : {"<script", "src=", "href=", "url(", "@import", "http"}) {
    EXPECT_THAT(page, Not(HasSubstr(text)));
  }
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
}

TEST(Report, EscapesWhatOthersNamed) {
  ReportInput input = Input();
  const std::string evil = "<script>&\"'";
  input.record.config.job.name = evil;
  input.record.config.model.preset = evil;
  input.record.config.data.train = evil;
  input.record.run = evil;
  input.record.started = {evil};
  input.result.problem = evil;
  input.result.outcome = evil;
  input.train_data = input.test_data = evil;
  input.metrics.devices[0].name = evil;
  input.confusion = Confusion(2, {evil, "no"});
  EXPECT_THAT(ReportPage(input), Not(HasSubstr("<script")));
  EXPECT_THAT(ReportPage(input), HasSubstr("<td>&lt;script&gt;&amp;&quot;&#39;</td>"));
}

TEST(Report, SaysWhyThereIsNoMatrix) {
  ReportInput input = Input();
  input.confusion.reset();
  EXPECT_THAT(ReportPage(input), HasSubstr("ended before it could be measured"));
  input.test_classes = 101;
  EXPECT_THAT(ReportPage(input), HasSubstr("101 classes, more than the 100"));
  input.test_data.clear();
  EXPECT_THAT(ReportPage(input), HasSubstr("names no test data"));
  EXPECT_THAT(ReportPage(input), Not(HasSubstr("<tbody>")));
}

}  // namespace
}  // namespace weft::app
