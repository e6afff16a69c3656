#include "app/progress.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"

namespace weft::app {
namespace {

using namespace std::chrono_literals;

// As much of a terminal as the bars use: text, '\r', '\n', cursor up, erase below; colours are
// dropped.
class Screen {
 public:
  void Write(std::string_view text) {
    ++writes_;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\x1b') {
        i = Escape(text, i + 2);
      } else if (text[i] == '\n') {
        ++row_;
        column_ = 0;
      } else if (text[i] == '\r') {
        column_ = 0;
      } else {
        Row().resize(std::max(Row().size(), column_ + 1), ' ');
        Row()[column_++] = text[i];
      }
    }
  }
  std::vector<std::string> Lines() const { return rows_; }
  std::string Line(size_t i) const { return i < rows_.size() ? rows_[i] : "(none)"; }
  int writes() const { return writes_; }

 private:
  std::string& Row() {
    if (rows_.size() <= row_) rows_.resize(row_ + 1);
    return rows_[row_];
  }
  size_t Escape(std::string_view text, size_t at) {
    size_t number = 0;
    while (text[at] >= '0' && text[at] <= '9') number = number * 10 + (text[at++] - '0');
    if (text[at] == 'A') {
      EXPECT_LE(number, row_) << "moved above the first line";
      row_ -= std::min(row_, number);
    } else if (text[at] == 'J') {
      Row().resize(column_);
      rows_.resize(row_ + 1);
    } else {
      EXPECT_EQ(text[at], 'm');
    }
    return at;
  }

  std::vector<std::string> rows_;
  size_t row_ = 0;
  size_t column_ = 0;
  int writes_ = 0;
};

class Progress : public testing::Test {
 protected:
  Terminal MakeTerminal(bool color = false) {
    return {[this](std::string_view text) { screen_.Write(text); }, [this] { return size_; }, true,
            color, false};
  }
  std::unique_ptr<ProgressView> View(ProgressStyle style, bool color = false) {
    const ProgressFacts facts = {.epochs = 2, .steps_per_epoch = 10};
    switch (style) {
      case ProgressStyle::kBars:
        return MakeBars(facts, MakeTerminal(color));
      case ProgressStyle::kPlain:
        return MakePlainLines(facts, MakeTerminal(color));
      case ProgressStyle::kJson:
        return MakeJsonLines(facts.started, [this](const auto& json) { json_.push_back(json); });
      case ProgressStyle::kQuiet:
        return MakeQuiet();
    }
    return nullptr;
  }
  // Time moves on by `after`, then one step of 10 samples is done.
  void Step(ProgressView* view, Duration after = 100ms) {
    now_ = now_ + after;
    const int64_t epoch = step_ / 10;
    view->Show(now_, cluster::StepDone{step_++, epoch, 10, 0.5, 8, 0.1, 1, {{1, 7}, {2, 3}}});
  }
  void Join(ProgressView* view) {
    view->Show(now_, cluster::DeviceJoined{1, "mini", false});
    view->Show(now_, cluster::DeviceJoined{2, "pi", false});
  }

  Screen screen_;
  TerminalSize size_{100, 24};
  std::vector<nlohmann::ordered_json> json_;
  TimePoint now_;
  int64_t step_ = 0;
};

TEST_F(Progress, BarsShowTheRunAndItsWorkers) {
  auto view = View(ProgressStyle::kBars, true);
  Join(view.get());
  view->Show(now_, cluster::DeviceProgress{1, 1280, 0.5});
  for (int i = 0; i < 5; ++i) Step(view.get());
  ASSERT_EQ(screen_.Lines().size(), 3u);
  EXPECT_EQ(screen_.Line(0),
            "epoch 1/2  ##############..............   50%  100 samples/s  loss 0.5000  accuracy "
            "80.0%  ETA 0:02");
  EXPECT_EQ(screen_.Line(1), "  mini  training    1,280 samples/s   70%  #######...");
  EXPECT_EQ(screen_.Line(2), "  pi    training        - samples/s   30%  ###.......");
}

TEST_F(Progress, BarsDrawAtMostTenTimesASecond) {
  auto view = View(ProgressStyle::kBars);
  Join(view.get());
  const int before = screen_.writes();
  for (int i = 0; i < 20; ++i) Step(view.get(), 10ms);
  EXPECT_EQ(screen_.writes() - before, 2);
  view->Tick(now_ + 50ms);
  EXPECT_EQ(screen_.writes() - before, 2);
  view->Tick(now_ + 100ms);
  EXPECT_EQ(screen_.writes() - before, 3);
}

TEST_F(Progress, LinesWorthKeepingScrollByAboveTheBars) {
  auto view = View(ProgressStyle::kBars);
  Join(view.get());
  Step(view.get());
  base::LogWarning("the disk is full");
  for (int i = 1; i < 10; ++i) Step(view.get());
  view->Show(now_, cluster::EpochDone{0, 10, 0.25, 0.75, 0, 0});
  view->Show(now_ + 200ms, Evaluated{0, 50, 0.125, 0.875});
  EXPECT_EQ(screen_.Line(0), "warning: the disk is full");
  EXPECT_EQ(screen_.Line(1),
            "epoch 1/2  loss 0.2500  accuracy 75.0%  1.0 s  test loss 0.1250  test accuracy "
            "87.50%");
  EXPECT_TRUE(screen_.Line(2).starts_with("epoch 1/2  ####")) << screen_.Line(2);
  EXPECT_EQ(screen_.Lines().size(), 5u);
  const cluster::Event left = cluster::DeviceLeft{2, "pi", "silent"};
  view->Show(now_ + 500ms, left);
  EXPECT_EQ(screen_.Line(2), cluster::Describe(left));
  EXPECT_EQ(screen_.Lines().size(), 5u);  // one line more above, one worker less below
  EXPECT_TRUE(screen_.Line(4).starts_with("  mini")) << screen_.Line(4);
}

TEST_F(Progress, BarsLeaveACleanScreen) {
  auto view = View(ProgressStyle::kBars);
  Join(view.get());
  for (int i = 0; i < 20; ++i) Step(view.get());
  view->Show(now_, cluster::EpochDone{1, 20, 0.25, 0.75, 0, 0});
  RunResult result;
  result.outcome = "completed";
  result.epochs = 2;
  result.steps = 20;
  result.seconds = 2;
  result.samples_per_second = 100;
  result.model = "runs/x/model.safetensors";
  view->Finish(now_, result);
  view.reset();
  EXPECT_EQ(screen_.Lines(),
            (std::vector<std::string>{"epoch 2/2  loss 0.2500  accuracy 75.0%  2.0 s",
                                      "completed after 2 epochs, 20 steps, 2.0 s, 100 samples/s",
                                      "  model         runs/x/model.safetensors"}));
}

TEST_F(Progress, BarsEraseThemselvesIfTheRunIsGivenUp) {
  auto view = View(ProgressStyle::kBars);
  Join(view.get());
  Step(view.get());
  view.reset();
  EXPECT_EQ(screen_.Lines(), std::vector<std::string>{""});
}

TEST_F(Progress, NarrowTerminalsDropTheLeastWanted) {
  size_.columns = 60;
  auto view = View(ProgressStyle::kBars);
  for (int i = 0; i < 5; ++i) Step(view.get());
  EXPECT_EQ(screen_.Line(0), "epoch 1/2  #########..........   50%  loss 0.5000  ETA 0:02");
  size_.columns = 20;
  Step(view.get());
  EXPECT_EQ(screen_.Line(0), "epoch 1/2  #.   60%");
  for (size_.columns = 1; size_.columns < 130; ++size_.columns) {
    view->Tick(now_ = now_ + 100ms);
    EXPECT_LE(Columns(screen_.Line(0)), std::max(10, size_.columns - 1));
  }
}

TEST_F(Progress, ManyWorkersAreCutShort) {
  size_.rows = 8;
  auto view = View(ProgressStyle::kBars);
  for (uint32_t device = 1; device <= 40; ++device) {
    view->Show(now_, cluster::DeviceJoined{device, "d" + std::to_string(device), false});
  }
  view->Tick(now_ + 100ms);
  ASSERT_EQ(screen_.Lines().size(), 6u);
  EXPECT_EQ(screen_.Line(4), "  d4   joined  ");
  EXPECT_EQ(screen_.Line(5), "  and 36 more");
}

TEST_F(Progress, WaitingIsShown) {
  auto view = View(ProgressStyle::kBars);
  view->Show(now_, cluster::WaitingForWorkers{1, 4});
  EXPECT_EQ(screen_.Line(0), "waiting for workers: 1 of 4 are here");
  Step(view.get());
  EXPECT_TRUE(screen_.Line(0).starts_with("epoch 1/2")) << screen_.Line(0);
}

TEST_F(Progress, PlainLinesComeEveryFewSeconds) {
  auto view = View(ProgressStyle::kPlain);
  Join(view.get());
  view->Show(now_, cluster::WaitingForWorkers{2, 2});
  for (int i = 0; i < 10; ++i) Step(view.get(), 1s);
  view->Show(now_, cluster::EpochDone{0, 10, 0.25, 0.75, 3, 1});
  view->Show(now_, cluster::Warning{"slow disk"});
  Step(view.get(), 1s);
  view->Show(now_, cluster::SaturationChanged{true, 16, 2.5, 4, 8});
  view->Show(now_, cluster::ModeChanged{"async", "pi is slow"});
  view->Show(now_, cluster::EpochDone{1, 20, 0.125, 0.75, 0, 0, 7});
  view->Show(now_, Evaluated{1, 50, 0.125, 0.875});
  EXPECT_EQ(screen_.Lines(),
            (std::vector<std::string>{
                "waiting for workers: 2 of 2 are here",
                "epoch 1/2  step 5  50%  loss 0.5000  10 samples/s  ETA 0:15",
                "epoch 1/2  step 10  100%  loss 0.5000  10 samples/s  ETA 0:10",
                "warning: slow disk",
                "epoch 1/2  loss 0.2500  accuracy 75.0%  LOST 3 samples  1 samples TWICE  10.0 s",
                "saturated: 16 devices make 2.5 updates/s (n / t_sync), bandwidth / bytes bears 4; "
                "8 devices did as much",
                "aggregation is async from now on: pi is slow",
                "epoch 2/2  loss 0.1250  accuracy 75.0%  7 samples of absent devices  1.0 s  test "
                "loss 0.1250  test accuracy 87.50%",
            }));
}

TEST_F(Progress, ResumedRunsBeginWhereTheyStood) {
  auto view = View(ProgressStyle::kPlain);
  step_ = 15;
  Step(view.get(), 1s);
  Step(view.get(), 5s);
  EXPECT_EQ(screen_.Line(0), "epoch 2/2  step 17  70%  loss 0.5000  2 samples/s  ETA 0:15");
}

TEST_F(Progress, JsonIsOneObjectAnEventAndAResultAtTheEnd) {
  auto view = View(ProgressStyle::kJson);
  Join(view.get());
  Step(view.get());
  view->Show(now_, Evaluated{0, 50, 0.125, 0.875});
  view->Finish(now_, {});
  ASSERT_EQ(json_.size(), 5u);
  EXPECT_EQ(json_[0]["event"], "device");
  EXPECT_EQ(json_[2]["event"], "step");
  EXPECT_EQ(json_[2]["seconds"], 0.1);
  EXPECT_EQ(json_[3]["event"], "test");
  EXPECT_EQ(json_[4]["event"], "result");
  EXPECT_EQ(screen_.writes(), 0);
}

TEST_F(Progress, QuietIsQuiet) {
  auto view = View(ProgressStyle::kQuiet);
  Join(view.get());
  Step(view.get());
  view->Finish(now_, {});
  EXPECT_EQ(screen_.writes(), 0);
  EXPECT_TRUE(json_.empty());
}

TEST(ProgressStyle, IsChosenByWhoLooks) {
  Terminal terminal;
  EXPECT_EQ(ChooseStyle(false, false, terminal), ProgressStyle::kPlain);
  terminal.interactive = true;
  EXPECT_EQ(ChooseStyle(false, false, terminal), ProgressStyle::kBars);
  EXPECT_EQ(ChooseStyle(false, true, terminal), ProgressStyle::kQuiet);
  EXPECT_EQ(ChooseStyle(true, true, terminal), ProgressStyle::kJson);
}

TEST(ProgressText, Numbers) {
  EXPECT_EQ(GroupDigits(0), "0");
  EXPECT_EQ(GroupDigits(999.4), "999");
  EXPECT_EQ(GroupDigits(1234567), "1,234,567");
  EXPECT_EQ(GroupDigits(-1234), "-1,234");
  EXPECT_EQ(CountdownText(0.4), "0:00");
  EXPECT_EQ(CountdownText(59.6), "1:00");
  EXPECT_EQ(CountdownText(3723), "1:02:03");
}

}  // namespace
}  // namespace weft::app
