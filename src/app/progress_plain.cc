// Plain lines: for logs and pipes. One line every few seconds, and every line worth keeping.

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <utility>

#include "app/progress.h"

namespace weft::app {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLineEvery = 5s;

class PlainLines : public ProgressView {
 public:
  PlainLines(const ProgressFacts& facts, Terminal terminal)
      : state_(facts), terminal_(std::move(terminal)), last_line_(facts.started) {}

  void Show(TimePoint now, const cluster::Event& event) override {
    Print(state_.Handle(now, event));
    if (std::holds_alternative<cluster::StepDone>(event)) MaybePrintStep(now);
    if (const auto* waiting = std::get_if<cluster::WaitingForWorkers>(&event)) {
      Print({fmt::format("waiting for workers: {} of {} are here", waiting->have, waiting->want)});
    }
  }
  void Show(TimePoint now, const Evaluated& test) override { Print(state_.Handle(now, test)); }
  void Tick(TimePoint) override {}
  void Finish(TimePoint, const RunResult& result) override {
    Print(state_.Finish());
    terminal_.write(SummaryText(result));
  }

 private:
  void MaybePrintStep(TimePoint now) {
    if (now - last_line_ < kLineEvery) return;
    last_line_ = now;
    std::string line =
        fmt::format("epoch {}/{}  step {}  {:.0f}%  loss {:.4f}  {} samples/s", state_.epoch() + 1,
                    state_.epochs(), state_.step() + 1, 100 * state_.epoch_share(), state_.loss(),
                    GroupDigits(state_.samples_per_second()));
    if (const auto left = state_.seconds_left()) line += "  ETA " + CountdownText(*left);
    Print({line});
  }

  void Print(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) terminal_.write(line + "\n");
  }

  ProgressState state_;
  Terminal terminal_;
  TimePoint last_line_;
};

}  // namespace

std::unique_ptr<ProgressView> MakePlainLines(const ProgressFacts& facts, Terminal terminal) {
  return std::make_unique<PlainLines>(facts, std::move(terminal));
}

}  // namespace weft::app
