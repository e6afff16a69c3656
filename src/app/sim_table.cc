#include "app/sim_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "app/progress_state.h"
#include "base/text.h"

namespace weft::app {
namespace {

constexpr size_t kMostDevices = 12;

std::string Percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string Row(std::string_view name, const std::string& text) {
  return fmt::format("  {:<12} {}\n", name, text);
}

std::string EpochText(const sim::Result& result) {
  if (result.epochs.empty()) return "no epoch ended";
  std::vector<double> seconds;
  for (const sim::EpochResult& epoch : result.epochs) seconds.push_back(epoch.seconds);
  std::sort(seconds.begin(), seconds.end());
  return fmt::format(
      "{} epoch{} of {} ({} to {}), {} steps", seconds.size(), seconds.size() == 1 ? "" : "s",
      base::HumanDuration(seconds[seconds.size() / 2]), base::HumanDuration(seconds.front()),
      base::HumanDuration(seconds.back()), Grouped(result.steps));
}

// The eight most frequent, by versions.
std::string StalenessText(const sim::Result& result) {
  std::vector<std::pair<int64_t, int64_t>> all(result.staleness.begin(), result.staleness.end());
  constexpr size_t kMost = 8;
  std::string text;
  for (size_t i = 0; i < std::min(all.size(), kMost); ++i) {
    text += fmt::format("{}{}: {}", i == 0 ? "" : "   ", all[i].first, Grouped(all[i].second));
  }
  if (all.size() > kMost) text += fmt::format("   up to {}", all.back().first);
  return text.empty() ? "no update was applied" : text;
}

std::string LinkText(const sim::LinkUse& use) {
  return fmt::format("out {} ({} busy), in {} ({} busy)",
                     base::HumanBytes(static_cast<double>(use.up_bytes)), Percent(use.up_share),
                     base::HumanBytes(static_cast<double>(use.down_bytes)),
                     Percent(use.down_share));
}

int64_t Starts(const sim::Result& result) {
  int64_t starts = 0;
  for (const sim::DeviceResult& device : result.devices) starts += device.starts;
  return starts;
}

std::string DeviceTable(const sim::Result& result) {
  const std::vector<size_t> rows = TellingDevices(result, kMostDevices);
  std::string text =
      Row("devices", fmt::format("{}, {} starts; they computed {} of the time switched on",
                                 result.devices.size(), Grouped(Starts(result)),
                                 Percent(Utilisation(result))));
  if (rows.size() < result.devices.size()) {
    text += fmt::format("  {:<12} those that computed most and least:\n", "");
  }
  text += fmt::format("  {:<12} {:<18}{:>9}{:>12}{:>8}{:>12}{:>11}{:>11}{:>11}\n", "", "name",
                      "leases", "samples", "starts", "on", "computing", "out", "in");
  for (const size_t row : rows) {
    const sim::DeviceResult& d = result.devices[row];
    text += fmt::format("  {:<12} {:<18}{:>9}{:>12}{:>8}{:>12}{:>11}{:>11}{:>11}\n", "",
                        d.name.substr(0, 17), Grouped(d.leases), Grouped(d.samples),
                        Grouped(d.starts), base::HumanDuration(d.up_s), Percent(Utilisation(d)),
                        base::HumanBytes(static_cast<double>(d.link.up_bytes)),
                        base::HumanBytes(static_cast<double>(d.link.down_bytes)));
  }
  return text;
}

std::string FindingsText(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += Row(text.empty() ? "expected" : "",
                fmt::format("{:<7}{:<24}{:<22}got {}", finding.ok ? "ok" : "FAILED", finding.key,
                            finding.want, finding.got));
  }
  return text;
}

}  // namespace

std::string Grouped(int64_t number) { return GroupDigits(static_cast<double>(number)); }

std::vector<size_t> TellingDevices(const sim::Result& result, size_t most) {
  std::vector<size_t> rows(result.devices.size());
  std::iota(rows.begin(), rows.end(), size_t{0});
  if (rows.size() <= most) return rows;
  std::stable_sort(rows.begin(), rows.end(), [&](size_t a, size_t b) {
    return Utilisation(result.devices[a]) > Utilisation(result.devices[b]);
  });
  const auto half = static_cast<std::ptrdiff_t>(most / 2);
  rows.erase(rows.begin() + half, rows.end() - half);
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::string ResultTable(const config::Scenario& scenario, const std::string& model,
                        const sim::Result& result, const std::vector<Finding>& findings) {
  std::string text = fmt::format("{}: {}, {} devices, mode {}, seed {}\n", scenario.name, model,
                                 scenario.device_count(), scenario.mode, result.seed);
  if (!scenario.title.empty()) text += fmt::format("  {}\n", scenario.title);
  text += Row("outcome", fmt::format("{} after {} of virtual time, {} of it training; simulated "
                                     "in {:.2f} s",
                                     result.outcome, base::HumanDuration(result.virtual_s),
                                     base::HumanDuration(result.training_s), result.wall_s));
  text += Row("throughput",
              fmt::format("{:.5g} samples/s; {}", result.samples_per_second, EpochText(result)));
  text += Row("samples", fmt::format("{} applied, {} lost, {} duplicated, {} computed for nothing",
                                     Grouped(result.samples), Grouped(result.lost),
                                     Grouped(result.duplicated), Grouped(result.recomputed)));
  if (result.accuracy) {
    text += Row("accuracy", fmt::format("{}, loss {:.4f} on the test data",
                                        Percent(*result.accuracy), result.test_loss.value_or(0)));
  }
  text += DeviceTable(result);
  text += Row("coordinator", LinkText(result.hub));
  for (const auto& [name, use] : result.segments) {
    text += Row("segment", name + ": " + LinkText(use));
  }
  text += Row("staleness", StalenessText(result));
  text += Row("messages",
              fmt::format("{} in {} events", Grouped(result.messages), Grouped(result.events)));
  text += Row("trace", fmt::format("{:016x}", result.trace_hash));
  for (const std::string& violation : result.violations) text += Row("VIOLATION", violation);
  return text + FindingsText(findings);
}

std::string ResultLine(const sim::Result& result, const std::vector<Finding>& findings) {
  std::string failed;
  for (const Finding& finding : findings) {
    if (!finding.ok) failed += fmt::format("{}{}", failed.empty() ? "" : ", ", finding.key);
  }
  return fmt::format(
      "seed {:<6} {:>12} {:>10.5g} samples/s {:>7} computing {:>10} for nothing{}  "
      "{:016x}  {}\n",
      result.seed, base::HumanDuration(result.virtual_s), result.samples_per_second,
      Percent(Utilisation(result)), Grouped(result.recomputed),
      result.accuracy ? fmt::format("  {} right", Percent(*result.accuracy)) : "",
      result.trace_hash, failed.empty() ? "ok" : "FAILED: " + failed);
}

std::vector<Spread> Spreads(const std::vector<sim::Result>& results) {
  std::vector<Spread> spreads;
  const auto add = [&](const char* figure, auto value) {
    std::vector<double> values;
    for (const sim::Result& result : results) {
      if (const std::optional<double> v = value(result)) values.push_back(*v);
    }
    if (values.empty()) return;
    std::sort(values.begin(), values.end());
    const size_t n = values.size();
    const double median = (values[(n - 1) / 2] + values[n / 2]) / 2;
    spreads.push_back({figure, values.front(), median, values.back()});
  };
  using R = const sim::Result&;
  using Value = std::optional<double>;
  add("virtual_s", [](R r) -> Value { return r.virtual_s; });
  add("training_s", [](R r) -> Value { return r.training_s; });
  add("wall_s", [](R r) -> Value { return r.wall_s; });
  add("samples_per_second", [](R r) -> Value { return r.samples_per_second; });
  add("utilisation", [](R r) -> Value { return Utilisation(r); });
  add("recomputed", [](R r) -> Value { return static_cast<double>(r.recomputed); });
  add("accuracy", [](R r) { return r.accuracy; });
  add("test_loss", [](R r) { return r.test_loss; });
  return spreads;
}

std::string SpreadTable(const std::vector<Spread>& spreads) {
  std::string text = fmt::format("{:<20}{:>12}{:>12}{:>12}\n", "", "min", "median", "max");
  for (const Spread& spread : spreads) {
    text += fmt::format("{:<20}{:>12.5g}{:>12.5g}{:>12.5g}\n", spread.figure, spread.min,
                        spread.median, spread.max);
  }
  return text;
}

}  // namespace weft::app
