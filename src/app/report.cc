#include "app/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "app/progress_state.h"
#include "app/report_chart.h"
#include "app/report_style.h"
#include "base/text.h"

namespace weft::app {
namespace {

std::string Percent(double share) { return fmt::format("{:.2f}%", 100 * share); }

std::string Count(int64_t number) { return GroupDigits(static_cast<double>(number)); }

// "82%" of a class, or a dash where there is nothing to divide by.
std::string ShareText(const std::optional<double>& share) {
  return share ? fmt::format("{:.0f}%", 100 * *share) : "–";
}

std::string Tile(const std::string& value, const std::string& name) {
  return fmt::format("<div><b>{}</b><span>{}</span></div>\n", EscapeHtml(value), EscapeHtml(name));
}

std::string Tiles(const RunResult& result) {
  std::string html = "<div class=\"tiles\">\n" + Tile(result.outcome, "outcome");
  if (result.test_accuracy >= 0) {
    html += Tile(Percent(result.test_accuracy), "test accuracy");
    html += Tile(fmt::format("{:.4f}", result.test_loss), "test loss");
  }
  html += Tile(fmt::format("{:.4f}", result.train_loss), "training loss, last epoch");
  html += Tile(Count(result.epochs), "epochs");
  html += Tile(Count(result.steps), "steps");
  html += Tile(base::HumanDuration(result.seconds), "time of this start");
  html += Tile(GroupDigits(result.samples_per_second), "samples a second");
  if (result.lost_samples > 0 || result.duplicated_samples > 0) {
    html += Tile(Count(result.lost_samples), "samples lost");
    html += Tile(Count(result.duplicated_samples), "samples counted twice");
  }
  return html + "</div>\n";
}

std::string ModelText(const ReportInput& input) {
  const config::ModelOptions& model = input.record.config.model;
  return fmt::format("{}, {} trained parameters", model.preset.empty() ? model.file : model.preset,
                     Count(input.parameters));
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}

std::string OptimizerText(const config::OptimizerOptions& optimizer) {
  return fmt::format("{}, rate {} ({}), weight decay {}", optimizer.name, optimizer.lr,
                     optimizer.schedule, optimizer.weight_decay);
}

std::string Facts(const ReportInput& input) {
  const config::RunConfig& config = input.record.config;
  std::vector<std::pair<std::string, std::string>> facts = {
      {"model", ModelText(input)},
      {"training data", input.train_data},
      {"test data", input.test_data.empty() ? "none" : input.test_data},
      {"batch", fmt::format("{} samples, over {} workers ({})", config.job.batch,
                            config.cluster.workers, config.cluster.aggregation)},
      {"optimizer", OptimizerText(config.optimizer)},
      {"link", fmt::format("{} up, {} down", config.link.codec, config.link.down_codec)},
      {"seed", fmt::format("{}", config.job.seed)},
      {"started", Joined(input.record.started)},
      {"ended", input.ended},
      {"program", input.record.program},
      {"weights, SHA-256", input.result.weights_sha256},
  };
  std::string html = "<h2>The run</h2>\n<div class=\"wide\"><table class=\"facts\">\n";
  for (const auto& [name, value] : facts) {
    html += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", name, EscapeHtml(value));
  }
  return html + "</table></div>\n";
}

std::string Curves(const ReportMetrics& metrics) {
  return "<h2>Curves</h2>\n<div class=\"charts\">\n" +
         Chart({.title = "Loss"},
               {{"training, each step", metrics.step_loss}, {"test", metrics.test_loss, true}}) +
         Chart({.title = "Accuracy", .share = true},
               {{"training, each epoch", metrics.train_accuracy},
                {"test", metrics.test_accuracy, true}}) +
         "</div>\n";
}

std::string Devices(const ReportInput& input) {
  int64_t total = 0;
  for (const auto& device : input.metrics.devices) total += device.samples;
  std::string html =
      "<h2>Devices</h2>\n<div class=\"wide\"><table "
      "class=\"numbers\">\n<tr><th>id</th><th>device</th>"
      "<th>samples</th><th>share</th><th>steps</th><th>times joined</th>"
      "<th>samples a second while computing</th></tr>\n";
  for (const auto& device : input.metrics.devices) {
    const auto speed = input.speeds.find(device.id);
    const double share =
        static_cast<double>(device.samples) / static_cast<double>(std::max<int64_t>(total, 1));
    html += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.1f}%</td><td>{}</td><td>{}</td><td>{}</td></"
        "tr>\n",
        device.id, EscapeHtml(device.name), Count(device.samples), 100 * share, Count(device.steps),
        Count(device.joined),
        speed == input.speeds.end() ? "not measured" : GroupDigits(speed->second));
  }
  return html + "</table></div>\n";
}

// One count, shaded by its share of the true class.
std::string Cell(const Confusion& confusion, int64_t label, int64_t predicted) {
  const int64_t count = confusion.count(label, predicted);
  const std::string title =
      fmt::format("true {}, predicted {}: {}", EscapeHtml(confusion.name(label)),
                  EscapeHtml(confusion.name(predicted)), count);
  if (count == 0) return fmt::format("<td title=\"{}\"></td>", title);
  const double share = static_cast<double>(count) / static_cast<double>(confusion.samples(label));
  return fmt::format("<td class=\"{}{}\" style=\"--share:{:.3f}\" title=\"{}\">{}</td>",
                     label == predicted ? "hit" : "miss", share > 0.55 ? " strong" : "",
                     0.12 + 0.88 * share, title, count);
}

std::string ConfusionTable(const Confusion& confusion) {
  std::string html =
      "<div class=\"wide\"><table class=\"confusion\">\n<thead><tr><th>true \\ predicted</th>";
  for (int64_t i = 0; i < confusion.classes(); ++i) {
    html += fmt::format("<th><span>{}</span></th>", EscapeHtml(confusion.name(i)));
  }
  html += "<th class=\"sum\">samples</th><th class=\"sum\">recall</th></tr></thead>\n<tbody>\n";
  for (int64_t label = 0; label < confusion.classes(); ++label) {
    html += fmt::format("<tr><th>{}</th>", EscapeHtml(confusion.name(label)));
    for (int64_t i = 0; i < confusion.classes(); ++i) html += Cell(confusion, label, i);
    html += fmt::format("<td class=\"sum\">{}</td><td class=\"sum\">{}</td></tr>\n",
                        confusion.samples(label), ShareText(confusion.Recall(label)));
  }
  html += "<tr><th class=\"sum\">precision</th>";
  for (int64_t i = 0; i < confusion.classes(); ++i) {
    html += fmt::format("<td class=\"sum\">{}</td>", ShareText(confusion.Precision(i)));
  }
  return html + "<td class=\"sum\"></td><td class=\"sum\"></td></tr>\n</tbody></table></div>\n";
}

std::string ConfusionSection(const ReportInput& input) {
  std::string html = "<h2>Confusion matrix</h2>\n";
  if (input.confusion) {
    return html +
           "<p class=\"faint\">Of the test data, by the final weights: a row a true class, a "
           "column "
           "a predicted one.</p>\n" +
           ConfusionTable(*input.confusion);
  }
  if (input.test_data.empty()) return html + "<p>The job names no test data.</p>\n";
  if (input.test_classes > kMostConfusionClasses) {
    return html + fmt::format("<p>Left out: {} classes, more than the {} that can be read.</p>\n",
                              input.test_classes, kMostConfusionClasses);
  }
  return html + "<p>Left out: the run ended before it could be measured.</p>\n";
}

std::string Config(const config::RunConfig& config) {
  const std::string text = nlohmann::ordered_json::parse(config.ToJson()).dump(2);
  return fmt::format(
      "<h2>The job, with every default</h2>\n<details><summary>config {}</summary>\n"
      "<pre>{}</pre></details>\n",
      config.Digest(), EscapeHtml(text));
}

}  // namespace

std::string ReportPage(const ReportInput& input) {
  const std::string name = EscapeHtml(input.record.config.job.name);
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}: weft report</title>\n<style>{}</style>\n</head>\n<body>\n"
      "<h1>{}</h1>\n<p class=\"faint\">run {}</p>\n",
      name, kReportStyle, name, EscapeHtml(input.record.run));
  if (!input.result.problem.empty()) {
    html += fmt::format("<p class=\"problem\">{}</p>\n", EscapeHtml(input.result.problem));
  }
  html += Tiles(input.result);
  html += Curves(input.metrics);
  html += ConfusionSection(input);
  html += Devices(input);
  html += Facts(input);
  html += Config(input.record.config);
  return html + "</body>\n</html>\n";
}

}  // namespace weft::app
