#include "app/report_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace weft::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pointwise;

TEST(Chart, TicksAreRoundAndHoldTheRange) {
  EXPECT_THAT(Ticks(0, 2.4, 5),
              Pointwise(testing::DoubleNear(1e-9), {0.0, 0.5, 1.0, 1.5, 2.0, 2.5}));
  EXPECT_THAT(Ticks(0.12, 0.91, 5),
              Pointwise(testing::DoubleNear(1e-9), {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}));
  EXPECT_THAT(Ticks(0, 37, 6), Pointwise(testing::DoubleNear(1e-9), {0.0, 10.0, 20.0, 30.0, 40.0}));
  for (const auto& [low, high] : {std::pair{3.0, 3.0}, {0.0, 0.0}, {-5.0, -5.0}, {1e-9, 1e9}}) {
    const std::vector<double> ticks = Ticks(low, high, 5);
    ASSERT_GE(ticks.size(), 2u);
    EXPECT_LE(ticks.size(), 12u);
    EXPECT_LE(ticks.front(), low);
    EXPECT_GE(ticks.back(), high);
  }
}

TEST(Chart, ThinsLongSeriesToMeans) {
  std::vector<ReportMetrics::Point> points;
  for (int i = 0; i < 10; ++i) points.push_back({double(i), double(i * i)});
  const auto thin = Thinned(points, 5);
  ASSERT_EQ(thin.size(), 5u);
  EXPECT_EQ(thin[1].step, 2.5);
  EXPECT_EQ(thin[1].value, (4 + 9) / 2.0);
  EXPECT_EQ(Thinned(points, 10).size(), 10u);
}

TEST(Chart, DrawsEachPointInItsPlace) {
  const std::string svg =
      Chart({.title = "Loss"}, {{"training", {{0, 0}, {10, 2}}}, {"test", {{5, 1}}, true}});
  // The plot is from x = 56 to 616 and from y = 240 (0) up to 30 (2).
  EXPECT_THAT(svg, HasSubstr("class=\"line0\" d=\"M56.0 240.0L616.0 30.0\""));
  EXPECT_THAT(svg, HasSubstr("cx=\"336.0\" cy=\"135.0\""));
  EXPECT_THAT(svg, HasSubstr(">training</text>"));
  EXPECT_THAT(svg, HasSubstr("<title>step 5: 1</title>"));
}

TEST(Chart, SaysWhenThereIsNothing) {
  const std::string html = Chart({.title = "Loss"}, {{"training", {}}});
  EXPECT_THAT(html, HasSubstr("No data."));
  EXPECT_THAT(html, Not(HasSubstr("<svg")));
}

TEST(Chart, EscapesNames) {
  EXPECT_EQ(EscapeHtml("<a href=\"x\">&'</a>"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;");
  const std::string svg = Chart({.title = "<b>"}, {{"<i>", {{0, 1}, {1, 2}}}});
  EXPECT_THAT(svg, Not(HasSubstr("<b>")));
  EXPECT_THAT(svg, Not(HasSubstr("<i>")));
}

}  // namespace
}  // namespace weft::app
