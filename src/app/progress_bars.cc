// Bars: a few lines at the bottom of the terminal that redraw themselves; lines worth keeping
// scroll by above them.
//
//   epoch 2/5  ██████████▍               41%  5,120 samples/s  loss 0.4321  accuracy 87.1%  ETA
//   0:42
//     worker-1  training  1,280 samples/s  25%  ██████
//     worker-2  waiting       0 samples/s   0%

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

#include "app/progress.h"
#include "base/log.h"

namespace weft::app {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFrameEvery = 100ms;
constexpr int kWidestBar = 40;
constexpr int kNarrowestBar = 8;
constexpr int kShareBar = 10;
constexpr int kWidestName = 24;
constexpr int kMostWorkers = 16;  // lines

Style StyleOf(base::LogLevel level) {
  switch (level) {
    case base::LogLevel::kDebug:
      return Style::kDim;
    case base::LogLevel::kInfo:
      return Style::kPlain;
    case base::LogLevel::kWarning:
      return Style::kWarning;
    case base::LogLevel::kError:
      return Style::kError;
  }
  return Style::kPlain;
}

std::string_view NameOf(base::LogLevel level) {
  switch (level) {
    case base::LogLevel::kDebug:
      return "debug: ";
    case base::LogLevel::kInfo:
      return "info: ";
    case base::LogLevel::kWarning:
      return "warning: ";
    case base::LogLevel::kError:
      return "error: ";
  }
  return "";
}

class Bars : public ProgressView {
 public:
  Bars(const ProgressFacts& facts, Terminal terminal)
      : state_(facts), terminal_(std::move(terminal)), last_frame_(facts.started - kFrameEvery) {
    base::SetLogSink([this](base::LogLevel level, std::string_view message) {
      const std::lock_guard lock(mutex_);
      Print(Styled(NameOf(level), StyleOf(level), terminal_.color) + std::string(message));
    });
  }
  ~Bars() override {
    base::SetLogSink({});
    terminal_.write(EraseFrame());
  }

  void Show(TimePoint now, const cluster::Event& event) override {
    const std::lock_guard lock(mutex_);
    const bool alarm = std::holds_alternative<cluster::Warning>(event) ||
                       std::holds_alternative<cluster::CoordinatorLost>(event);
    for (const std::string& line : state_.Handle(now, event)) {
      Print(Styled(line, alarm ? Style::kWarning : Style::kPlain, terminal_.color));
    }
    if (std::holds_alternative<cluster::RunDone>(event)) {
      over_ = true;
      terminal_.write(EraseFrame());
    }
    MaybeDraw(now);
  }
  void Show(TimePoint now, const Evaluated& test) override {
    const std::lock_guard lock(mutex_);
    for (const std::string& line : state_.Handle(now, test)) Print(line);
    MaybeDraw(now);
  }
  void Tick(TimePoint now) override {
    const std::lock_guard lock(mutex_);
    MaybeDraw(now);
  }
  void Finish(TimePoint, const RunResult& result) override {
    const std::lock_guard lock(mutex_);
    over_ = true;
    terminal_.write(EraseFrame());
    for (const std::string& line : state_.Finish()) Print(line);
    terminal_.write(SummaryText(result));
  }

 private:
  void MaybeDraw(TimePoint now) {
    if (over_ || now - last_frame_ < kFrameEvery) return;
    last_frame_ = now;
    const TerminalSize size = terminal_.size();
    frame_ = Frame(size);
    std::string text = EraseFrame();
    text += DrawFrame();
    terminal_.write(text);
  }

  // A line that stays, above the frame.
  void Print(const std::string& line) {
    std::string text = EraseFrame() + line + "\n";
    if (!over_) text += DrawFrame();
    terminal_.write(text);
  }

  // The cursor stands at the end of the frame's last line, or at the start of an empty one.
  std::string EraseFrame() {
    if (drawn_ == 0) return "";
    const std::string up = drawn_ > 1 ? fmt::format("\x1b[{}A", drawn_ - 1) : "";
    drawn_ = 0;
    return "\r" + up + "\x1b[J";
  }
  std::string DrawFrame() {
    std::string text;
    for (const std::string& line : frame_) text += (text.empty() ? "" : "\n") + line;
    drawn_ = static_cast<int>(frame_.size());
    return text;
  }

  std::vector<std::string> Frame(TerminalSize size) const {
    const int columns = std::max(10, size.columns - 1);  // the last column would wrap
    std::vector<std::string> lines = {state_.waiting() ? WaitingLine(columns) : EpochLine(columns)};
    const int room = std::clamp(size.rows - 3, 0, kMostWorkers);
    const int all = static_cast<int>(state_.workers().size());
    const int shown = all <= room ? all : std::max(0, room - 1);
    int name_width = 0;
    for (const auto& [device, worker] : state_.workers()) {
      name_width = std::min(kWidestName, std::max(name_width, Columns(worker.name)));
    }
    for (const auto& [device, worker] : state_.workers()) {
      if (static_cast<int>(lines.size()) > shown) break;
      lines.push_back(WorkerLine(worker, name_width, columns));
    }
    if (shown < all && room > 0) {
      LineBuilder line(columns, terminal_.color);
      line.Add(fmt::format("  and {} more", all - shown), Style::kDim);
      lines.push_back(line.text());
    }
    return lines;
  }

  std::string WaitingLine(int columns) const {
    LineBuilder line(columns, terminal_.color);
    line.Add(fmt::format("waiting for workers: {} of {} are here", state_.waiting()->have,
                         state_.waiting()->want));
    return line.text();
  }

  // A figure of the epoch's line; on a narrow terminal those of a high rank give way first.
  struct Figure {
    int rank;
    std::string text;
  };
  std::vector<Figure> Figures() const {
    if (!state_.has_steps()) return {};
    std::vector<Figure> figures;
    const auto left = state_.seconds_left();
    if (left) figures.push_back({2, GroupDigits(state_.samples_per_second()) + " samples/s"});
    figures.push_back({0, fmt::format("loss {:.4f}", state_.loss())});
    figures.push_back({3, fmt::format("accuracy {:.1f}%", 100 * state_.accuracy())});
    if (left) figures.push_back({1, "ETA " + CountdownText(*left)});
    return figures;
  }

  std::string EpochLine(int columns) const {
    const std::string name = fmt::format("epoch {}/{}  ", state_.epoch() + 1, state_.epochs());
    const std::string percent = fmt::format("{:5.0f}%", 100 * state_.epoch_share());
    std::vector<Figure> figures = Figures();
    const auto used = [&] {
      int sum = Columns(name) + Columns(percent);
      for (const Figure& figure : figures) sum += 2 + Columns(figure.text);
      return sum;
    };
    while (!figures.empty() && used() + kNarrowestBar > columns) {
      figures.erase(std::max_element(figures.begin(), figures.end(),
                                     [](const auto& a, const auto& b) { return a.rank < b.rank; }));
    }
    LineBuilder line(columns, terminal_.color);
    line.Add(name);
    line.Add(Bar(state_.epoch_share(), std::clamp(columns - used(), 0, kWidestBar), terminal_.utf8),
             Style::kGood);
    line.Add(percent);
    for (const Figure& figure : figures) line.Add("  " + figure.text);
    return line.text();
  }

  std::string WorkerLine(const ProgressState::Worker& worker, int name_width, int columns) const {
    LineBuilder line(columns, terminal_.color);
    line.Add("  ");
    line.AddPadded(worker.name, name_width);
    line.Add("  ");
    line.AddPadded(worker.state, 8, worker.state == "training" ? Style::kPlain : Style::kDim);
    if (worker.state == "joined") return line.text();
    const double speed = worker.samples_per_second;
    line.AddPadded(speed > 0 ? GroupDigits(speed) : "-", -9);
    line.Add(" samples/s");
    line.Add(fmt::format("{:5.0f}%  ", 100 * worker.share));
    line.Add(Bar(worker.share, kShareBar, terminal_.utf8), Style::kDim);
    return line.text();
  }

  std::mutex mutex_;
  ProgressState state_;
  Terminal terminal_;
  TimePoint last_frame_;
  std::vector<std::string> frame_;
  int drawn_ = 0;  // lines of the frame on the screen
  bool over_ = false;
};

}  // namespace

std::unique_ptr<ProgressView> MakeBars(const ProgressFacts& facts, Terminal terminal) {
  return std::make_unique<Bars>(facts, std::move(terminal));
}

}  // namespace weft::app
