#include "app/progress.h"

#include <errno.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "app/command.h"
#include "app/event_log.h"
#include "base/file_system.h"
#include "base/text.h"

namespace weft::app {
namespace {

class JsonLines : public ProgressView {
 public:
  JsonLines(TimePoint started, std::function<void(const nlohmann::ordered_json&)> put_json)
      : started_(started), put_json_(std::move(put_json)) {}

  void Show(TimePoint now, const cluster::Event& event) override {
    put_json_(ToJson(event, base::Seconds(now - started_)));
  }
  void Show(TimePoint now, const Evaluated& test) override {
    put_json_(ToJson(test, base::Seconds(now - started_)));
  }
  void Tick(TimePoint) override {}
  void Finish(TimePoint, const RunResult& result) override { put_json_(ToJson(result)); }

 private:
  TimePoint started_;
  std::function<void(const nlohmann::ordered_json&)> put_json_;
};

class Quiet : public ProgressView {
 public:
  void Show(TimePoint, const cluster::Event&) override {}
  void Show(TimePoint, const Evaluated&) override {}
  void Tick(TimePoint) override {}
  void Finish(TimePoint, const RunResult&) override {}
};

}  // namespace

ProgressStyle ChooseStyle(bool json, bool quiet, const Terminal& terminal) {
  if (json) return ProgressStyle::kJson;
  if (quiet) return ProgressStyle::kQuiet;
  return terminal.interactive ? ProgressStyle::kBars : ProgressStyle::kPlain;
}

std::unique_ptr<ProgressView> MakeProgressView(const ProgressOptions& options) {
  Terminal terminal = StderrTerminal();
  const ProgressFacts facts = {options.epochs, options.steps_per_epoch, base::SystemClock().Now()};
  switch (ChooseStyle(options.json, options.quiet, terminal)) {
    case ProgressStyle::kBars:
      return MakeBars(facts, std::move(terminal));
    case ProgressStyle::kPlain:
      return MakePlainLines(facts, std::move(terminal));
    case ProgressStyle::kJson:
      return MakeJsonLines(facts.started, PrintJsonLine);
    case ProgressStyle::kQuiet:
      return MakeQuiet();
  }
  return MakeQuiet();
}

std::unique_ptr<ProgressView> MakeQuiet() { return std::make_unique<Quiet>(); }

std::unique_ptr<ProgressView> MakeJsonLines(
    TimePoint started, std::function<void(const nlohmann::ordered_json&)> put_json) {
  return std::make_unique<JsonLines>(started, std::move(put_json));
}

namespace {

// What to try next, ready to be copied.
std::string NextText(const RunResult& result) {
  const std::string weft = program_invocation_name;
  if (result.outcome == "stopped") {
    return fmt::format("  go on with    {} train --resume {}\n", weft, result.folder);
  }
  if (result.model.empty()) return "";
  return fmt::format("  try next      {} predict {} --count 5\n                {} eval {}\n", weft,
                     result.folder, weft, result.folder);
}

}  // namespace

std::string SummaryText(const RunResult& result) {
  std::string text =
      fmt::format("{} after {} epochs, {} steps, {}, {} samples/s\n", result.outcome, result.epochs,
                  GroupDigits(static_cast<double>(result.steps)),
                  base::HumanDuration(result.seconds), GroupDigits(result.samples_per_second));
  if (!result.problem.empty()) text += fmt::format("  problem       {}\n", result.problem);
  if (result.test_accuracy >= 0) {
    text += fmt::format("  test          accuracy {:.2f}%, loss {:.4f}\n",
                        100 * result.test_accuracy, result.test_loss);
  }
  if (result.lost_samples > 0 || result.duplicated_samples > 0) {
    text += fmt::format("  samples       {} lost, {} counted twice\n", result.lost_samples,
                        result.duplicated_samples);
  }
  if (!result.model.empty()) text += fmt::format("  model         {}\n", result.model);
  if (result.folder.empty()) return text;
  text += fmt::format("  metrics       {}\n", base::JoinPath(result.folder, "metrics.jsonl"));
  if (!result.report.empty()) text += fmt::format("  report        {}\n", result.report);
  return text + NextText(result);
}

}  // namespace weft::app
