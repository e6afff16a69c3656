#include "app/devices_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "app/progress_state.h"
#include "app/terminal.h"
#include "base/text.h"

namespace weft::app {
namespace {

// A run that is alive writes every 2 s.
constexpr int64_t kSilent = 10;  // seconds
constexpr int kWidestName = 24;

// Three digits: 0.123, 12.3, 1,234; nothing known: "-".
std::string Digits(double number) {
  if (!(number > 0)) return "-";
  if (number >= 99.95) return GroupDigits(number);
  return fmt::format("{:.{}f}", number, number >= 9.995 ? 1 : number >= 0.9995 ? 2 : 3);
}

std::string Mbits(double bytes_per_second) { return Digits(bytes_per_second * 8e-6); }

std::string Percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

struct Column {
  const char* heading;
  std::string (*text)(const DeviceRecord&);
};

constexpr Column kColumns[] = {
    {"name", [](const DeviceRecord& d) { return Printable(d.name); }},
    {"state", [](const DeviceRecord& d) { return Printable(d.state); }},
    {"samples/s", [](const DeviceRecord& d) { return Digits(d.Speed()); }},
    {"ms/lease", [](const DeviceRecord& d) { return Digits(1e3 * d.stats.lease_seconds); }},
    {"up Mbit/s", [](const DeviceRecord& d) { return Mbits(d.stats.up_bytes_per_second); }},
    {"down Mbit/s", [](const DeviceRecord& d) { return Mbits(d.stats.down_bytes_per_second); }},
    {"rtt ms", [](const DeviceRecord& d) { return Digits(1e3 * d.stats.round_trip_seconds); }},
    {"free",
     [](const DeviceRecord& d) {
       return d.stats.free_bytes > 0 ? base::HumanBytes(static_cast<double>(d.stats.free_bytes))
                                     : std::string("-");
     }},
    {"others",
     [](const DeviceRecord& d) {
       return d.stats.free_bytes > 0 ? Percent(d.stats.other_load) : std::string("-");
     }},
    {"deg C",
     [](const DeviceRecord& d) {
       return d.stats.temperature > 0 ? fmt::format("{:.0f}", d.stats.temperature)
                                      : std::string("-");
     }},
    {"changes", [](const DeviceRecord& d) { return std::to_string(d.stats.changes); }},
    {"samples", [](const DeviceRecord& d) { return GroupDigits(static_cast<double>(d.samples)); }},
};
constexpr size_t kTextColumns = 2;  // to the left; numbers stand to the right

std::string Cut(const std::string& text) {
  LineBuilder line(kWidestName, /*color=*/false);
  line.Add(text);
  return line.text();
}

std::string Line(const std::vector<std::string>& cells, const std::vector<int>& widths) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const int missing = widths[i] - Columns(cells[i]);
    const std::string space(static_cast<size_t>(std::max(0, missing)), ' ');
    line += i == 0 ? "" : "  ";
    line += i < kTextColumns ? cells[i] + space : space + cells[i];
  }
  return line + "\n";
}

std::string Heading(const DevicesOfRun& run, size_t devices, int64_t now) {
  std::string text = fmt::format("{} ({}): {}, {} device{}", Printable(run.run), run.folder,
                                 run.outcome, devices, devices == 1 ? "" : "s");
  const int64_t age = now - run.records.updated();
  if (run.outcome == "running" && age > kSilent) {
    text += fmt::format("; no news for {}", base::HumanDuration(static_cast<double>(age)));
  }
  return text + "\n";
}

}  // namespace

std::string DevicesTable(const DevicesOfRun& run, int64_t now) {
  const std::vector<DeviceRecord> devices = run.records.devices();
  std::vector<std::vector<std::string>> rows(1);
  for (const Column& column : kColumns) rows[0].push_back(column.heading);
  for (const DeviceRecord& device : devices) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const Column& column : kColumns) row.push_back(Cut(column.text(device)));
  }
  std::vector<int> widths(std::size(kColumns), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string text = Heading(run, devices.size(), now);
  if (devices.empty()) return text;
  for (const auto& row : rows) text += Line(row, widths);
  return text;
}

}  // namespace weft::app
