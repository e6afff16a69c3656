#include "app/sim_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/report_chart.h"
#include "app/report_style.h"
#include "app/report_timeline.h"
#include "app/sim_json.h"
#include "app/sim_table.h"
#include "base/text.h"

namespace weft::app {
namespace {

constexpr size_t kMostDevices = 100;
constexpr size_t kMostViolations = 50;

std::string Percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string Bytes(int64_t bytes) { return base::HumanBytes(static_cast<double>(bytes)); }

std::string Tile(const std::string& value, const char* name) {
  return fmt::format("<div><b>{}</b><span>{}</span></div>\n", EscapeHtml(value), name);
}

std::string Tiles(const sim::Result& result) {
  std::string html = "<div class=\"tiles\">\n";
  html += Tile(result.completed ? "completed" : "not completed", "outcome");
  html += Tile(base::HumanDuration(result.virtual_s), "virtual time");
  html += Tile(fmt::format("{:.4g}", result.samples_per_second), "samples a second");
  html += Tile(Percent(Utilisation(result)), "computing, of the time switched on");
  if (result.accuracy) html += Tile(Percent(*result.accuracy), "accuracy on the test data");
  html += Tile(Grouped(result.recomputed), "samples computed for nothing");
  html += Tile(Grouped(result.lost), "samples lost");
  html += Tile(Grouped(result.duplicated), "samples counted twice");
  return html + "</div>\n";
}

std::string Problems(const SimPageInput& input) {
  std::string html;
  for (const Finding& finding : input.findings) {
    if (finding.ok) continue;
    html += fmt::format("<p class=\"problem\">expected {} {}, got {}</p>\n",
                        EscapeHtml(finding.key), EscapeHtml(finding.want), EscapeHtml(finding.got));
  }
  const auto& violations = input.result.violations;
  for (size_t i = 0; i < std::min(violations.size(), kMostViolations); ++i) {
    html += fmt::format("<p class=\"problem\">{}</p>\n", EscapeHtml(violations[i]));
  }
  if (violations.size() > kMostViolations) {
    html += fmt::format("<p class=\"problem\">and {} more broken promises</p>\n",
                        violations.size() - kMostViolations);
  }
  return html;
}

std::string Expectations(const std::vector<Finding>& findings) {
  std::string html =
      "<h2>What was expected</h2>\n<div class=\"wide\"><table>\n"
      "<tr><th>figure</th><th>want</th><th>got</th><th></th></tr>\n";
  for (const Finding& finding : findings) {
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        EscapeHtml(finding.key), EscapeHtml(finding.want), EscapeHtml(finding.got),
                        finding.ok ? "ok" : "failed");
  }
  return html + "</table></div>\n";
}

// Over the epochs; the loss means something in mode math only.
std::string Epochs(const SimPageInput& input) {
  if (input.result.epochs.size() < 2) return "";
  ChartSeries seconds{.name = "seconds", .points = {}, .dots = true};
  ChartSeries loss{.name = "loss", .points = {}, .dots = true};
  for (const sim::EpochResult& epoch : input.result.epochs) {
    const auto number = static_cast<double>(epoch.epoch + 1);
    seconds.points.push_back({number, epoch.seconds});
    loss.points.push_back({number, epoch.loss});
  }
  std::string html = "<h2>Epochs</h2>\n<div class=\"charts\">\n" +
                     Chart({.title = "Virtual seconds of an epoch", .x = "epoch"}, {seconds});
  if (input.scenario.mode == "math") {
    html += Chart({.title = "Training loss", .x = "epoch"}, {loss});
  }
  return html + "</div>\n";
}

std::string UseCells(const sim::LinkUse& use) {
  return fmt::format("<td>{}</td><td>{}</td><td>{}</td><td>{}</td>", Bytes(use.up_bytes),
                     Percent(use.up_share), Bytes(use.down_bytes), Percent(use.down_share));
}

std::string Devices(const sim::Result& result) {
  const std::vector<size_t> rows = TellingDevices(result, kMostDevices);
  std::string html = "<h2>Devices and links</h2>\n";
  if (rows.size() < result.devices.size()) {
    html += fmt::format(
        "<p class=\"faint\">{} of {} devices: those that computed most and least of their "
        "time.</p>\n",
        rows.size(), result.devices.size());
  }
  html +=
      "<div class=\"wide\"><table class=\"numbers sim\">\n<tr><th>name</th><th>starts</th>"
      "<th>leases</th><th>samples</th><th>on</th><th>computing</th><th>out</th><th>busy</th>"
      "<th>in</th><th>busy</th></tr>\n";
  html +=
      fmt::format("<tr><td>coordinator</td><td></td><td></td><td></td><td></td><td></td>{}</tr>\n",
                  UseCells(result.hub));
  for (const auto& [name, use] : result.segments) {
    html +=
        fmt::format("<tr><td>segment {}</td><td></td><td></td><td></td><td></td><td></td>{}</tr>\n",
                    EscapeHtml(name), UseCells(use));
  }
  for (const size_t row : rows) {
    const sim::DeviceResult& device = result.devices[row];
    html += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}</tr>\n",
        EscapeHtml(device.name), Grouped(device.starts), Grouped(device.leases),
        Grouped(device.samples), base::HumanDuration(device.up_s), Percent(Utilisation(device)),
        UseCells(device.link));
  }
  return html + "</table></div>\n";
}

std::string Fact(const char* name, const std::string& value) {
  return fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", name, EscapeHtml(value));
}

std::string Facts(const SimPageInput& input) {
  const sim::Result& result = input.result;
  std::string staleness;
  for (const auto& [versions, updates] : result.staleness) {
    staleness += fmt::format("{}{}: {}", staleness.empty() ? "" : ", ", versions, updates);
  }
  std::string html = "<h2>The run</h2>\n<div class=\"wide\"><table class=\"facts\">\n";
  html += Fact("outcome", result.outcome);
  html += Fact("model", input.model);
  html += Fact("mode", input.scenario.mode);
  html += Fact("seed", std::to_string(result.seed));
  html += Fact("again", input.replay);
  html += Fact("time", fmt::format("{} virtual, {} of it training; simulated in {:.2f} s",
                                   base::HumanDuration(result.virtual_s),
                                   base::HumanDuration(result.training_s), result.wall_s));
  html += Fact("steps", Grouped(result.steps));
  html += Fact("samples applied", Grouped(result.samples));
  html += Fact("updates by staleness", staleness);
  html += Fact("messages", Grouped(result.messages));
  html += Fact("events", Grouped(result.events));
  html += Fact("trace", fmt::format("{:016x}", result.trace_hash));
  return html + "</table></div>\n";
}

std::string ScenarioText(const config::Scenario& scenario) {
  constexpr int64_t kMostExpanded = 200;
  if (scenario.device_count() > kMostExpanded) return "";
  return fmt::format(
      "<h2>The scenario, with every default</h2>\n<details><summary>{}</summary>\n"
      "<pre>{}</pre></details>\n",
      EscapeHtml(scenario.name), EscapeHtml(ScenarioJson(scenario).dump(2)));
}

}  // namespace

std::string SimPage(const SimPageInput& input) {
  const std::string name = EscapeHtml(input.scenario.name);
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}: weft simulation</title>\n<style>{}{}</style>\n</head>\n<body>\n<h1>{}</h1>\n",
      name, kReportStyle, kTimelineStyle, name);
  html += fmt::format("<p class=\"faint\">{}</p>\n<p class=\"faint\">{}, {} devices</p>\n",
                      EscapeHtml(input.scenario.title), EscapeHtml(input.model),
                      input.scenario.device_count());
  html += Problems(input);
  html += Tiles(input.result);
  html += "<h2>What each device did</h2>\n" + TimelinePicture(input.timeline);
  html += Epochs(input);
  html += Expectations(input.findings);
  html += Devices(input.result);
  html += Facts(input);
  html += ScenarioText(input.scenario);
  return html + "</body>\n</html>\n";
}

}  // namespace weft::app
