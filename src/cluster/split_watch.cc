#include "cluster/split_watch.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/check.h"

namespace weft::cluster {
namespace {

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

template <class Steps, class Of>
double MedianOf(const Steps& steps, Of of) {
  std::vector<double> values;
  for (const SplitWatch::Step& step : steps) values.push_back(of(step));
  return Median(std::move(values));
}

double Seconds(const SplitWatch::Step& step) { return step.seconds; }
double Computing(const SplitWatch::Step& step) { return step.compute_s; }
double Exchange(const SplitWatch::Step& step) {
  return std::max(0.0, step.seconds - step.compute_s);
}

bool Known(const SplitWatch::Step& step) { return step.compute_s > 0; }

}  // namespace

void SplitWatch::Took(const Step& step, bool flat) {
  if (!std::exchange(begun_, true)) first_is_here_ = true;
  steps_.push_back(step);
  if (steps_.size() > kSteps) {
    steps_.pop_front();
    first_is_here_ = false;
  }
  std::vector<Step> known;
  std::ranges::copy_if(steps_, std::back_inserter(known), Known);
  compute_s_ = known.empty() ? MedianOf(steps_, Seconds) : MedianOf(known, Computing);
  if (flat) trial_.reset();
  if (trial_) trial_->since.push_back(step);
}

std::optional<double> SplitWatch::exchange_s(bool first) const {
  size_t count = 0;
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = first_is_here_ && !first ? 1 : 0; i < steps_.size(); ++i) {
    if (!Known(steps_[i])) continue;
    ++count;
    least = std::min(least, Exchange(steps_[i]));
  }
  if (count < (first ? 1 : kFewestSteps)) return std::nullopt;
  return least;
}

void SplitWatch::Forget() {
  steps_.clear();
  first_is_here_ = false;
}

void SplitWatch::BeginTrial(int64_t step, double predicted_s) {
  CHECK(!steps_.empty());
  trial_ = Trial{
      .step_s = MedianOf(steps_, Seconds), .exchange_s = exchange_s(), .step = step, .since = {}};
  // Of the first step alone, no more than was to be expected.
  if (const auto first = exchange_s(true); first && !trial_->exchange_s) {
    trial_->exchange_s = std::min(*first, predicted_s);
  }
  Forget();
}

bool SplitWatch::Paid(const Trial& trial) const {
  const double since_s = MedianOf(trial.since, Seconds);
  if (!trial.exchange_s || !std::ranges::all_of(trial.since, Known))
    return since_s < kTrialWorth * trial.step_s;
  // Computing may have become faster or slower for reasons of its own.
  const double compute_s = MedianOf(trial.since, Computing);
  const double exchange_s = MedianOf(trial.since, Exchange);
  return compute_s + exchange_s < kTrialWorth * (compute_s + *trial.exchange_s);
}

bool SplitWatch::Failed() {
  if (!trial_ || trial_->since.size() < kTrialSteps) return false;
  const Trial trial = *std::exchange(trial_, std::nullopt);
  if (Paid(trial)) {
    between_ = kBetweenTrials;
    return false;
  }
  next_trial_ = trial.step + between_;
  between_ = std::min(2 * between_, kMostBetween);
  return true;
}

}  // namespace weft::cluster
