#include "app/report_timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "app/report_chart.h"

namespace weft::app {
namespace {

using Bin = Timeline::Bin;
using Row = Timeline::Row;

constexpr double kWidth = 1040, kLeft = 130, kRight = 20;
constexpr double kTop = 8, kChart = 64, kGap = 14, kRowHeight = 15, kRowStep = 18, kBottom = 40;
constexpr double kPlot = kWidth - kLeft - kRight;
constexpr size_t kMostColumns = 450;
constexpr int kLevels = 6;  // shades of a share

// A bin of the picture: so many of the timeline's.
struct Columns {
  explicit Columns(const Timeline& timeline)
      : used(timeline.bins_used()),
        each((used + kMostColumns - 1) / kMostColumns),
        count((used + each - 1) / each),
        end_s(std::max(timeline.end_s(), 1e-9)),
        bin_s(timeline.bin_s()) {}

  size_t used, each, count;
  double end_s, bin_s;

  double BeginSeconds(size_t column) const {
    return std::min(end_s, static_cast<double>(column * each) * bin_s);
  }
  double Seconds(size_t column) const { return BeginSeconds(column + 1) - BeginSeconds(column); }
  double X(double seconds) const { return kLeft + seconds / end_s * kPlot; }
  double X(size_t column) const { return X(BeginSeconds(column)); }
  size_t First(size_t column) const { return column * each; }
  size_t Last(size_t column) const { return std::min(used, (column + 1) * each); }
};

// 0 .. kLevels of a share; anything at all is at least 1.
int Level(double seconds, double whole) {
  if (!(seconds > 0) || !(whole > 0)) return 0;
  return std::clamp(static_cast<int>(std::lround(seconds / whole * kLevels)), 1, kLevels);
}

std::vector<int> Levels(const Columns& columns, const std::vector<Bin>& bins, float Bin::*what) {
  std::vector<int> levels(columns.count);
  for (size_t i = 0; i < columns.count && !bins.empty(); ++i) {
    double seconds = 0;
    for (size_t bin = columns.First(i); bin < columns.Last(i); ++bin) seconds += bins[bin].*what;
    levels[i] = Level(seconds, columns.Seconds(i));
  }
  return levels;
}

// One path a level: a rectangle for each stretch of that level.
std::string Bars(const Columns& columns, const std::vector<int>& levels, const char* style,
                 double y, double height) {
  std::array<std::string, kLevels + 1> paths;
  for (size_t i = 0; i < levels.size();) {
    size_t end = i + 1;
    while (end < levels.size() && levels[end] == levels[i]) ++end;
    if (levels[i] > 0) {
      paths[static_cast<size_t>(levels[i])] +=
          fmt::format("M{:.1f} {:.1f}H{:.1f}v{:.1f}H{:.1f}z", columns.X(i), y, columns.X(end),
                      height, columns.X(i));
    }
    i = end;
  }
  std::string svg;
  for (int level = 1; level <= kLevels; ++level) {
    const std::string& path = paths[static_cast<size_t>(level)];
    if (path.empty()) continue;
    svg += fmt::format("<path class=\"{}\" fill-opacity=\"{:.2f}\" d=\"{}\"/>\n", style,
                       static_cast<double>(level) / kLevels, path);
  }
  return svg;
}

// Where a column is off more than half of the time.
std::vector<int> Whole(std::vector<int> levels) {
  for (int& level : levels) level = 2 * level > kLevels ? kLevels : 0;
  return levels;
}

std::string Marks(const Columns& columns, const Row& row, double y) {
  std::string joins, ends;
  const double middle = y + kRowHeight / 2;
  for (size_t i = 0; i < columns.count && !row.bins.empty(); ++i) {
    bool joined = false, ended = false;
    for (size_t bin = columns.First(i); bin < columns.Last(i); ++bin) {
      joined |= row.bins[bin].joins != 0;
      ended |= row.bins[bin].ends != 0;
    }
    const double x = (columns.X(i) + columns.X(i + 1)) / 2;
    if (joined) joins += fmt::format("M{:.1f} {:.1f}l5 3.5l-5 3.5z", x, middle - 3.5);
    if (ended) ends += fmt::format("M{:.1f} {:.1f}l6 6m0 -6l-6 6", x - 3, middle - 3);
  }
  std::string svg;
  if (!joins.empty()) svg += fmt::format("<path class=\"join\" d=\"{}\"/>\n", joins);
  if (!ends.empty()) svg += fmt::format("<path class=\"end\" d=\"{}\"/>\n", ends);
  return svg;
}

std::string Background(double y) {
  return fmt::format("<rect class=\"idle\" x=\"{}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\"/>\n",
                     kLeft, y, kPlot, kRowHeight);
}

std::string Name(std::string_view name, double y) {
  constexpr size_t kMostLetters = 18;
  std::string text(name.substr(0, kMostLetters));
  if (name.size() > kMostLetters) text += "…";
  return fmt::format("<text class=\"name\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                     kLeft - 8, y + kRowHeight - 4, EscapeHtml(text));
}

std::string DeviceRow(const Columns& columns, const Row& row, double y) {
  const double on_s = std::max(1e-9, columns.end_s - row.off_s);
  std::string svg = fmt::format(
      "<g><title>{}: off {:.1f} % of the time; of the rest it computed {:.1f} %; its process "
      "ended {} times</title>\n",
      EscapeHtml(row.name), 100 * row.off_s / columns.end_s, 100 * row.compute_s / on_s, row.ends);
  svg += Background(y);
  svg += Bars(columns, Whole(Levels(columns, row.bins, &Bin::off)), "off", y, kRowHeight);
  svg += Bars(columns, Levels(columns, row.bins, &Bin::compute), "compute", y + 3, kRowHeight - 6);
  svg += Bars(columns, Levels(columns, row.bins, &Bin::sending), "send", y, 2.5);
  svg += Bars(columns, Levels(columns, row.bins, &Bin::receiving), "receive", y + kRowHeight - 2.5,
              2.5);
  svg += Marks(columns, row, y);
  return svg + "</g>\n" + Name(row.name, y);
}

std::string HubRow(const Columns& columns, const Timeline& timeline, double y) {
  std::vector<int> off(columns.count);
  std::string ends;
  for (size_t i = 0; i < columns.count; ++i) {
    double seconds = 0;
    int64_t ended = 0;
    for (size_t bin = columns.First(i); bin < columns.Last(i); ++bin) {
      seconds += timeline.run()[bin].hub_off;
      ended += timeline.run()[bin].hub_ends;
    }
    off[i] = Level(seconds, columns.Seconds(i));
    const double x = (columns.X(i) + columns.X(i + 1)) / 2;
    if (ended > 0) ends += fmt::format("M{:.1f} {:.1f}l6 6m0 -6l-6 6", x - 3, y + 4.5);
  }
  std::string svg = Background(y) + Bars(columns, Whole(off), "off", y, kRowHeight);
  if (!ends.empty()) svg += fmt::format("<path class=\"end\" d=\"{}\"/>\n", ends);
  return svg + Name("coordinator", y);
}

// Samples a second, as an area over the columns.
std::string SamplesChart(const Columns& columns, const Timeline& timeline) {
  std::vector<double> rates(columns.count);
  for (size_t i = 0; i < columns.count; ++i) {
    for (size_t bin = columns.First(i); bin < columns.Last(i); ++bin) {
      rates[i] += timeline.run()[bin].samples;
    }
    // The last column may be a sliver, of which a step would make a peak.
    rates[i] /= std::max({columns.Seconds(i), columns.Seconds(0) / 2, 1e-9});
  }
  const double most = *std::max_element(rates.begin(), rates.end());
  const double floor = kTop + kChart;
  std::string path = fmt::format("M{:.1f} {:.1f}", kLeft, floor);
  for (size_t i = 0; i < columns.count; ++i) {
    const double y = floor - (most > 0 ? rates[i] / most : 0) * (kChart - 6);
    path += fmt::format("V{:.1f}H{:.1f}", y, columns.X(i + 1));
  }
  return fmt::format(
      "<path class=\"samples\" d=\"{}V{:.1f}z\"/>\n"
      "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">samples/s</text>\n"
      "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.4g} at most</text>\n",
      path, floor, kLeft - 8, floor - kChart / 2, kLeft - 8, floor - kChart / 2 + 15, most);
}

// A line at the end of each epoch, of many epochs of some.
std::string EpochLines(const Columns& columns, const Timeline& timeline, double bottom) {
  constexpr int64_t kMostLines = 60;
  int64_t all = 0;
  for (const Timeline::RunBin& bin : timeline.run()) all += bin.epochs;
  const int64_t each = (all + kMostLines - 1) / std::max<int64_t>(1, kMostLines);
  std::string path;
  int64_t seen = 0;
  for (size_t bin = 0; bin < columns.used; ++bin) {
    const int64_t before = seen;
    seen += timeline.run()[bin].epochs;
    if (each == 0 || before / each == seen / each) continue;
    const double at = std::min(columns.end_s, (static_cast<double>(bin) + 0.5) * columns.bin_s);
    path += fmt::format("M{:.1f} {}V{:.1f}", columns.X(at), kTop, bottom);
  }
  return path.empty() ? "" : fmt::format("<path class=\"epoch\" fill=\"none\" d=\"{}\"/>\n", path);
}

struct TimeUnit {
  double seconds;
  const char* name;
};

TimeUnit UnitFor(double end_s) {
  static constexpr TimeUnit kUnits[] = {
      {86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}, {1e-3, "milliseconds"}};
  for (const TimeUnit& unit : kUnits) {
    if (end_s >= 3 * unit.seconds) return unit;
  }
  return {1e-6, "microseconds"};
}

std::string TimeAxis(const Columns& columns, double bottom) {
  const TimeUnit unit = UnitFor(columns.end_s);
  std::string svg;
  for (const double tick : Ticks(0, columns.end_s / unit.seconds, 8)) {
    if (tick * unit.seconds > columns.end_s * 1.0001) break;
    const double x = columns.X(tick * unit.seconds);
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4:.4g}</text>\n",
        x, bottom, bottom + 5, bottom + 18, tick);
  }
  return svg + fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                           kLeft + kPlot / 2, bottom + 33, unit.name);
}

constexpr char kLegend[] =
    "<div class=\"legend timeline\">"
    "<span><svg><rect class=\"compute\" width=\"18\" height=\"12\"/></svg>computes</span>"
    "<span><svg><rect class=\"idle\" width=\"18\" height=\"12\"/></svg>waits</span>"
    "<span><svg><rect class=\"idle\" width=\"18\" height=\"12\"/><rect class=\"off\" width=\"18\" "
    "height=\"12\"/></svg>off</span>"
    "<span><svg><rect class=\"send\" y=\"4\" width=\"18\" height=\"4\"/></svg>sends its "
    "update</span>"
    "<span><svg><rect class=\"receive\" y=\"4\" width=\"18\" height=\"4\"/></svg>receives "
    "parameters</span>"
    "<span><svg><path class=\"join\" d=\"M7 2l6 4l-6 4z\"/></svg>joins</span>"
    "<span><svg><path class=\"end\" d=\"M5 2l8 8m0 -8l-8 8\"/></svg>its process ends</span>"
    "<span><svg><path class=\"epoch\" d=\"M9 0V12\"/></svg>an epoch ends</span></div>\n";

std::string Chosen(const Timeline& timeline, size_t shown) {
  if (static_cast<int64_t>(shown) == timeline.devices()) return "";
  std::string text = fmt::format(
      "<p class=\"faint\">{} of {} devices: those whose processes ended most often, those that "
      "computed most and least, and others evenly spread.",
      shown, timeline.devices());
  if (static_cast<int64_t>(timeline.rows().size()) < timeline.devices()) {
    text += fmt::format(" Chosen of the first {}, which were recorded.", timeline.rows().size());
  }
  return text + "</p>\n";
}

}  // namespace

std::vector<size_t> TellingRows(const Timeline& timeline, size_t most) {
  const std::vector<Row>& rows = timeline.rows();
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (rows.size() <= most) return order;
  std::set<size_t> chosen;
  const auto choose = [&](const auto& before) {
    std::vector<size_t> sorted = order;
    const size_t quarter = most / 4;
    std::partial_sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(quarter),
                      sorted.end(), [&](size_t a, size_t b) {
                        return before(rows[a], rows[b]) || (!before(rows[b], rows[a]) && a < b);
                      });
    chosen.insert(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(quarter));
  };
  choose([](const Row& a, const Row& b) { return a.ends > b.ends; });
  choose([](const Row& a, const Row& b) { return a.compute_s > b.compute_s; });
  choose([](const Row& a, const Row& b) { return a.compute_s < b.compute_s; });
  const size_t left = most - chosen.size();
  for (size_t i = 0; i < left; ++i) chosen.insert(i * rows.size() / left);
  for (size_t i = 0; chosen.size() < most; ++i) chosen.insert(i);
  return {chosen.begin(), chosen.end()};
}

std::string TimelinePicture(const Timeline& timeline) {
  const Columns columns(timeline);
  const std::vector<size_t> shown = TellingRows(timeline, kMostTimelineRows);
  double y = kTop + kChart + kGap;
  std::string rows = HubRow(columns, timeline, y);
  for (const size_t row : shown) {
    y += kRowStep;
    rows += DeviceRow(columns, timeline.rows()[row], y);
  }
  const double bottom = y + kRowStep;
  return Chosen(timeline, shown.size()) + kLegend +
         fmt::format(
             "<div class=\"timeline wide\"><svg viewBox=\"0 0 {} {:.0f}\" role=\"img\" "
             "aria-label=\"What each device did when\" style=\"min-width: 44rem\">\n"
             "<defs><pattern id=\"off\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" "
             "patternTransform=\"rotate(45)\"><path class=\"hatch\" d=\"M0 0V5\"/></pattern></defs>"
             "\n",
             kWidth, bottom + kBottom) +
         SamplesChart(columns, timeline) + rows + EpochLines(columns, timeline, bottom) +
         TimeAxis(columns, bottom) + "</svg></div>\n";
}

}  // namespace weft::app
