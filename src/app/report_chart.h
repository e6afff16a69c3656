#pragma once
// Chart: a line chart as SVG, to stand in an HTML page; colours come from the page's style
// (report.cc).

#include <string>
#include <string_view>
#include <vector>

#include "app/report_metrics.h"

namespace weft::app {

struct ChartSeries {
  std::string name;
  std::vector<ReportMetrics::Point> points;  // by step
  bool dots = false;                         // a mark at each point
};

struct ChartOptions {
  std::string title;
  bool share = false;      // values are 0..1, shown as percent
  std::string x = "step";  // what is counted along the picture
};

// At most two series have colours of their own. Long ones are drawn as the means of equal
// stretches. Without any point: a line that says so.
std::string Chart(const ChartOptions& options, const std::vector<ChartSeries>& series);

// The means of at most `most` stretches of equal length.
std::vector<ReportMetrics::Point> Thinned(const std::vector<ReportMetrics::Point>& points,
                                          size_t most);

// Round numbers, about `count` of them, that hold [low, high].
std::vector<double> Ticks(double low, double high, int count);

// Text for HTML: & < > " ' become entities.
std::string EscapeHtml(std::string_view text);

}  // namespace weft::app
