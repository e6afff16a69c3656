#include "app/progress_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <variant>

#include "app/terminal.h"
#include "base/text.h"

namespace weft::app {
namespace {

using namespace std::chrono_literals;

constexpr Duration kSpeedWindow = 5s;
constexpr Duration kSightEvery = 100ms;
constexpr Duration kShortestSpan = 300ms;

}  // namespace

ProgressState::ProgressState(const ProgressFacts& facts)
    : facts_(facts), epoch_started_(facts.started) {}

std::string ProgressState::EpochName(int64_t epoch) const {
  return fmt::format("epoch {}/{}", epoch + 1, facts_.epochs);
}

std::vector<std::string> ProgressState::Handle(TimePoint now, const cluster::Event& event) {
  std::vector<std::string> lines;
  if (const auto* step = std::get_if<cluster::StepDone>(&event)) {
    lines = Finish();
    OnStep(now, *step);
  } else if (const auto* epoch = std::get_if<cluster::EpochDone>(&event)) {
    std::string line = fmt::format("{}  loss {:.4f}  accuracy {:.1f}%", EpochName(epoch->epoch),
                                   epoch->loss, 100 * epoch->accuracy);
    if (epoch->lost > 0) line += fmt::format("  LOST {} samples", epoch->lost);
    if (epoch->duplicated > 0) line += fmt::format("  {} samples TWICE", epoch->duplicated);
    if (epoch->absent > 0) line += fmt::format("  {} samples of absent devices", epoch->absent);
    line += "  " + base::HumanDuration(base::Seconds(now - epoch_started_));
    held_ = {line};
    PauseClock(now);
  } else if (const auto* joined = std::get_if<cluster::DeviceJoined>(&event)) {
    workers_[joined->device] = {Printable(joined->name), "joined", 0, 0};
    if (has_steps()) {
      lines.push_back(cluster::Describe(event));
    } else {
      epoch_started_ = now;  // still gathering: neither news nor training
    }
  } else if (const auto* left = std::get_if<cluster::DeviceLeft>(&event)) {
    workers_.erase(left->device);
    lines.push_back(cluster::Describe(event));
  } else if (const auto* progress = std::get_if<cluster::DeviceProgress>(&event)) {
    const auto worker = workers_.find(progress->device);
    if (worker != workers_.end()) worker->second.samples_per_second = progress->samples_per_second;
  } else if (const auto* waiting = std::get_if<cluster::WaitingForWorkers>(&event)) {
    waiting_ = *waiting;
  } else if (std::holds_alternative<cluster::DeviceSilent>(event) ||
             std::holds_alternative<cluster::DeviceHeard>(event) ||
             std::holds_alternative<cluster::LeaseRedealt>(event) ||
             std::holds_alternative<cluster::LeadersChanged>(event) ||
             std::holds_alternative<cluster::SaturationChanged>(event) ||
             std::holds_alternative<cluster::SitesChanged>(event) ||
             std::holds_alternative<cluster::ModeChanged>(event) ||
             std::holds_alternative<cluster::LinksChanged>(event) ||
             std::holds_alternative<cluster::Joined>(event) ||
             std::holds_alternative<cluster::CoordinatorLost>(event)) {
    lines.push_back(cluster::Describe(event));
  } else if (const auto* warning = std::get_if<cluster::Warning>(&event)) {
    lines.push_back("warning: " + warning->text);
  }
  for (std::string& line : lines) line = Printable(line);
  return lines;
}

std::vector<std::string> ProgressState::Handle(TimePoint now, const Evaluated& test) {
  PauseClock(now);
  const std::string figures =
      fmt::format("test loss {:.4f}  test accuracy {:.2f}%", test.loss, 100 * test.accuracy);
  std::vector<std::string> lines = Finish();
  if (lines.empty()) return {EpochName(test.epoch) + "  " + figures};
  lines.back() += "  " + figures;
  return lines;
}

std::vector<std::string> ProgressState::Finish() { return std::exchange(held_, {}); }

void ProgressState::OnStep(TimePoint now, const cluster::StepDone& step) {
  waiting_.reset();
  if (step.epoch != epoch_) {
    epoch_ = step.epoch;
    epoch_samples_ = correct_ = 0;
    loss_sum_ = 0;
  }
  step_ = step.step;
  epoch_samples_ += step.samples;
  total_samples_ += step.samples;
  ++total_steps_;
  correct_ += step.correct;
  loss_sum_ += step.loss * static_cast<double>(step.samples);
  LookAtClock(now);
  for (auto& [device, worker] : workers_) {
    worker.share = 0;
    worker.state = "waiting";
  }
  for (const auto& part : step.parts) {
    const auto worker = workers_.find(part.device);
    if (worker == workers_.end() || step.samples == 0) continue;
    worker->second.state = "training";
    worker->second.share += static_cast<double>(part.samples) / static_cast<double>(step.samples);
  }
}

double ProgressState::epoch_share() const {
  if (facts_.steps_per_epoch <= 0) return 0;
  const int64_t done = step_ + 1 - epoch_ * facts_.steps_per_epoch;
  return std::clamp(static_cast<double>(done) / static_cast<double>(facts_.steps_per_epoch), 0.0,
                    1.0);
}

double ProgressState::loss() const {
  return epoch_samples_ == 0 ? 0 : loss_sum_ / static_cast<double>(epoch_samples_);
}

double ProgressState::accuracy() const {
  return epoch_samples_ == 0 ? 0
                             : static_cast<double>(correct_) / static_cast<double>(epoch_samples_);
}

void ProgressState::LookAtClock(TimePoint now) {
  if (!sights_.empty() && now - sights_.back().at < kSightEvery) return;
  sights_.push_back({now, total_steps_, total_samples_});
  while (sights_.size() > 2 && now - sights_.front().at > kSpeedWindow) sights_.pop_front();
  const Duration span = now - sights_.front().at;
  if (span < kShortestSpan) return;
  const double seconds = base::Seconds(span);
  samples_per_second_ = static_cast<double>(total_samples_ - sights_.front().samples) / seconds;
  steps_per_second_ = static_cast<double>(total_steps_ - sights_.front().steps) / seconds;
}

// Between epochs the model meets the test data: that time says nothing about the speed of training.
void ProgressState::PauseClock(TimePoint now) {
  sights_.clear();
  epoch_started_ = now;
}

std::optional<double> ProgressState::seconds_left() const {
  if (steps_per_second_ <= 0) return std::nullopt;
  const int64_t steps = facts_.epochs * facts_.steps_per_epoch - (step_ + 1);
  return std::max(0.0, static_cast<double>(steps) / steps_per_second_);
}

std::string GroupDigits(double number) {
  if (!std::isfinite(number)) return "-";
  std::string digits = fmt::format("{:.0f}", number);
  const int first = digits.starts_with('-') ? 1 : 0;
  for (int at = static_cast<int>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::string CountdownText(double seconds) {
  const auto whole = static_cast<int64_t>(std::min(seconds, 3.6e8) + 0.5);
  const int64_t hours = whole / 3600;
  const int64_t minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

}  // namespace weft::app
