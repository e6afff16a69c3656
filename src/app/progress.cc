#include "app/progress.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "app/event_log.h"
#include "base/text.h"

namespace weft::app {
namespace {

class JsonLines : public ProgressView {
 public:
  JsonLines(TimePoint started, std::function<void(const nlohmann::ordered_json&)> put_json)
      : started_(started), put_json_(std::move(put_json)) {}

  void OnEvent(const cluster::Event& event, TimePoint now) override {
    put_json_(ToJson(event, base::Seconds(now - started_)));
  }
  void OnTest(const Evaluated& test, TimePoint now) override {
    put_json_(ToJson(test, base::Seconds(now - started_)));
  }
  void OnTick(TimePoint) override {}
  void Finish(const RunResult& result) override { put_json_(ToJson(result)); }

 private:
  TimePoint started_;
  std::function<void(const nlohmann::ordered_json&)> put_json_;
};

class Quiet : public ProgressView {
 public:
  void OnEvent(const cluster::Event&, TimePoint) override {}
  void OnTest(const Evaluated&, TimePoint) override {}
  void OnTick(TimePoint) override {}
  void Finish(const RunResult&) override {}
};

}  // namespace

ProgressStyle ChooseStyle(bool json, bool quiet, const Terminal& terminal) {
  if (json) return ProgressStyle::kJson;
  if (quiet) return ProgressStyle::kQuiet;
  return terminal.interactive ? ProgressStyle::kBars : ProgressStyle::kPlain;
}

std::unique_ptr<ProgressView> MakeProgress(ProgressOptions options) {
  switch (options.style) {
    case ProgressStyle::kBars:
      return MakeBars(options.facts, std::move(options.terminal));
    case ProgressStyle::kPlain:
      return MakePlainLines(options.facts, std::move(options.terminal));
    case ProgressStyle::kJson:
      return MakeJsonLines(options.facts.started, std::move(options.put_json));
    case ProgressStyle::kQuiet:
      return std::make_unique<Quiet>();
  }
  return std::make_unique<Quiet>();
}

std::unique_ptr<ProgressView> MakeJsonLines(
    TimePoint started, std::function<void(const nlohmann::ordered_json&)> put_json) {
  return std::make_unique<JsonLines>(started, std::move(put_json));
}

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
  if (!result.folder.empty()) text += fmt::format("  run folder    {}\n", result.folder);
  return text;
}

}  // namespace weft::app
