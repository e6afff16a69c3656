#include "app/report_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft::app {
namespace {

using Point = ReportMetrics::Point;

constexpr size_t kMostPoints = 300;
constexpr double kWidth = 640, kHeight = 280;
constexpr double kLeft = 56, kRight = 24, kTop = 30, kBottom = 40;

// From data to the picture.
struct Frame {
  std::vector<double> x_ticks;
  std::vector<double> y_ticks;

  double X(double step) const {
    const double low = x_ticks.front(), high = x_ticks.back();
    return kLeft + (step - low) / (high - low) * (kWidth - kLeft - kRight);
  }
  double Y(double value) const {
    const double low = y_ticks.front(), high = y_ticks.back();
    return kHeight - kBottom - (value - low) / (high - low) * (kHeight - kTop - kBottom);
  }
};

Frame FrameOf(const ChartOptions& options, const std::vector<ChartSeries>& series) {
  double last = 1, low = HUGE_VAL, high = -HUGE_VAL;
  for (const ChartSeries& each : series) {
    for (const Point& point : each.points) {
      last = std::max(last, point.step);
      low = std::min(low, point.value);
      high = std::max(high, point.value);
    }
  }
  if (!options.share) low = std::min(low, 0.0);  // how far a loss still is from zero
  return {Ticks(0, last, 6), Ticks(low, high, 5)};
}

std::string NumberText(double number, bool share) {
  return share ? fmt::format("{:.4g}%", 100 * number) : fmt::format("{:.4g}", number);
}

std::string Axes(const Frame& frame, const ChartOptions& options) {
  std::string svg;
  for (const double tick : frame.y_ticks) {
    const double y = frame.Y(tick);
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" y1=\"{2:.1f}\" x2=\"{1}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        kLeft, kWidth - kRight, y, kLeft - 8, y + 4, NumberText(tick, options.share));
  }
  for (const double tick : frame.x_ticks) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                       frame.X(tick), kHeight - kBottom + 18, NumberText(tick, false));
  }
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}s</text>\n",
                     (kLeft + kWidth - kRight) / 2, kHeight - 6, options.x);
  return svg;
}

std::string Line(const Frame& frame, const ChartSeries& series, size_t colour,
                 const ChartOptions& options) {
  std::string path;
  std::string dots;
  const std::vector<Point> points = Thinned(series.points, kMostPoints);
  for (const Point& point : points) {
    const double x = frame.X(point.step), y = frame.Y(point.value);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x, y);
    if (!series.dots && points.size() > 1) continue;
    dots += fmt::format(
        "<circle class=\"dot{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"><title>{} {:.0f}: {}"
        "</title></circle>\n",
        colour, x, y, options.x, point.step, NumberText(point.value, options.share));
  }
  return fmt::format("<path class=\"line{}\" d=\"{}\"/>\n{}", colour, path, dots);
}

// Names beside short strokes, from the left.
std::string Legend(const std::vector<ChartSeries>& series) {
  std::string svg;
  double x = kLeft;
  for (size_t i = 0; i < series.size(); ++i) {
    if (series[i].points.empty()) continue;
    svg +=
        fmt::format("<path class=\"line{}\" d=\"M{} 14h18\"/><text x=\"{}\" y=\"18\">{}</text>\n",
                    i, x, x + 24, EscapeHtml(series[i].name));
    x += 44 + 7 * static_cast<double>(series[i].name.size());
  }
  return svg;
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::vector<double> Ticks(double low, double high, int count) {
  // One value: a stretch around it.
  if (!(high - low > 1e-12 * std::max(std::abs(low), std::abs(high)))) {
    const double around = low == 0 ? 1 : std::abs(low) / 2;
    low -= around;
    high += around;
  }
  const double rough = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double round : {5.0, 2.0, 1.0}) {
    if (round * power >= rough) step = round * power;
  }
  std::vector<double> ticks;
  const auto first = static_cast<int64_t>(std::floor(low / step + 1e-9));
  const auto last = static_cast<int64_t>(std::ceil(high / step - 1e-9));
  for (int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::vector<Point> Thinned(const std::vector<Point>& points, size_t most) {
  if (points.size() <= most) return points;
  std::vector<Point> thin;
  for (size_t i = 0; i < most; ++i) {
    const size_t begin = points.size() * i / most, end = points.size() * (i + 1) / most;
    Point mean;
    for (size_t at = begin; at < end; ++at) {
      mean.step += points[at].step;
      mean.value += points[at].value;
    }
    mean.step /= static_cast<double>(end - begin);
    mean.value /= static_cast<double>(end - begin);
    thin.push_back(mean);
  }
  return thin;
}

std::string Chart(const ChartOptions& options, const std::vector<ChartSeries>& series) {
  const bool any = std::any_of(series.begin(), series.end(),
                               [](const ChartSeries& each) { return !each.points.empty(); });
  const std::string title = EscapeHtml(options.title);
  if (!any) {
    return fmt::format("<figure><figcaption>{}</figcaption><p>No data.</p></figure>\n", title);
  }
  const Frame frame = FrameOf(options, series);
  std::string svg = Axes(frame, options);
  for (size_t i = 0; i < series.size(); ++i) {
    if (!series[i].points.empty()) svg += Line(frame, series[i], i, options);
  }
  return fmt::format(
      "<figure><figcaption>{0}</figcaption>\n<svg viewBox=\"0 0 {1} {2}\" role=\"img\" "
      "aria-label=\"{0}\">\n{3}{4}</svg></figure>\n",
      title, kWidth, kHeight, svg, Legend(series));
}

}  // namespace weft::app
