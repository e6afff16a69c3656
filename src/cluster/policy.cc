#include "cluster/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace weft::cluster {
namespace {

using aggregate::Mode;

constexpr double kSmoothing = 0.3;     // weight of the newest correction
constexpr double kMostCorrection = 4;  // times, either way
constexpr int64_t kTrial = 32;         // losses after a switch that are compared with those before
// Of ln(ratio of epochs): how far off the assumed ratio can be, and what a trial cannot know.
constexpr double kAssumedVariance = 0.3 * 0.3, kTrialVariance = 0.2 * 0.2;
constexpr double kLeastRatio = 0.5, kMostRatio = 4;  // of epochs, that a trial can find
constexpr double kFarthest = 3;  // a target further off, in ln(samples), is no target

Mode Other(Mode mode) { return mode == Mode::kSync ? Mode::kAsync : Mode::kSync; }

// What each mode takes for a round and to the target, and whom sync waits for.
std::string Why(const PolicyAnswer& answer, const RoundPrediction& rounds) {
  const std::string target = answer.target_loss > 0
                                 ? fmt::format("to loss {:.3g}", answer.target_loss)
                                 : std::string("to the end of the run");
  const double waiting_s =
      rounds.sync_s > 0 ? rounds.waiting_s * answer.sync_round_s / rounds.sync_s : 0;
  const std::string waiting =
      rounds.slowest.empty()
          ? ""
          : fmt::format(", waiting for {} {:.3g} s of it", rounds.slowest, waiting_s);
  return fmt::format(
      "{}: sync takes {:.3g} s a round{}, {:.3g} s {}; async takes {:.3g} s a round and {:.3g} "
      "times the epochs, {:.3g} s",
      answer.mode == Mode::kSync ? "sync" : "async", answer.sync_round_s, waiting, answer.sync_s,
      target, answer.async_round_s, answer.more_epochs, answer.async_s);
}

}  // namespace

Policy::Policy(Mode mode, PolicyOptions options) : options_(options), mode_(mode) {
  CHECK(mode == Mode::kSync || mode == Mode::kAsync);
}

Policy::Known& Policy::known(Mode mode) { return known_[mode == Mode::kSync ? 0 : 1]; }

void Policy::RoundTook(double seconds) {
  CHECK(seconds > 0);
  known(mode_).rounds_s += seconds;
  ++known(mode_).rounds;
  ++rounds_;
}

void Policy::LossMeasured(int64_t samples, double loss) {
  Known& present = known(mode_);
  present.trend.Measured(static_cast<double>(samples), loss);
  if (const std::optional<LossFall> fall = present.trend.Fall()) present.fall = fall;
  if (present.trend.count() <= kTrial) MeasureEpochs();
}

// The falls just before and just after a switch, at nearly the same loss, say how many more samples
// async needs than sync.
void Policy::MeasureEpochs() {
  const std::optional<LossFall>& sync = known(Mode::kSync).fall;
  const std::optional<LossFall>& async = known(Mode::kAsync).fall;
  if (!known(mode_).trend.Fall() || !sync || !async) return;
  const double sync_error = sync->error / sync->fall;
  const double async_error = async->error / async->fall;
  trial_ = {std::log(std::clamp(sync->fall / async->fall, kLeastRatio, kMostRatio)),
            1 / (sync_error * sync_error + async_error * async_error + kTrialVariance)};
}

// The geometric mean of what was assumed and what the trials found, weighted by how sure each is.
double Policy::MoreEpochs(size_t devices) const {
  if (devices <= 1) return 1;  // nothing is stale
  double weight = 1 / kAssumedVariance;
  double sum = weight * std::log(options_.more_epochs);
  for (const Trial& trial : {tried_, trial_}) {
    sum += trial.weight * trial.more;
    weight += trial.weight;
  }
  return std::exp(sum / weight);
}

void Policy::Correct(double predicted_s, Known* known) {
  if (known->rounds == 0 || predicted_s <= 0) return;
  const double measured_s = known->rounds_s / static_cast<double>(known->rounds);
  const double limit = std::log(kMostCorrection);
  const double newest = std::clamp(std::log(measured_s / predicted_s), -limit, limit);
  known->correction =
      known->correction ? *known->correction + kSmoothing * (newest - *known->correction) : newest;
  known->rounds_s = 0;
  known->rounds = 0;
}

// Of the present mode. Where the loss does not fall measurably, to the end of the run, for which
// async is charged as many more samples as well.
double Policy::SamplesToTarget(const PolicyInput& input, double more_epochs, PolicyAnswer* answer) {
  const Known& present = known(mode_);
  const std::optional<double> loss = present.trend.Now();
  if (present.fall && loss && *loss > 0) {
    const double further = (1 - options_.target) * *loss / present.fall->fall;  // in ln(samples)
    if (further <= kFarthest) {
      answer->target_loss = options_.target * *loss;
      return static_cast<double>(input.samples) * std::expm1(further);
    }
  }
  const auto left = static_cast<double>(input.samples_left);
  return mode_ == Mode::kSync ? left : left * more_epochs;
}

PolicyAnswer Policy::Evaluate(const PolicyInput& input) {
  const RoundPrediction rounds = times_.Predict(input.devices, input.communication);
  Correct(rounds.sync_s, &known(Mode::kSync));
  Correct(rounds.async_s, &known(Mode::kAsync));
  // What makes rounds longer than predicted in one mode does so in the other, until that is known.
  const double present = known(mode_).correction.value_or(0);
  PolicyAnswer answer;
  answer.sync_round_s = rounds.sync_s * std::exp(known(Mode::kSync).correction.value_or(present));
  answer.async_round_s =
      rounds.async_s * std::exp(known(Mode::kAsync).correction.value_or(present));
  int64_t batch = 0;
  size_t devices = 0;
  for (const RoundDevice& device : input.devices) {
    batch += device.share;
    devices += device.share > 0 ? 1 : 0;
  }
  answer.more_epochs = MoreEpochs(devices);
  if (batch > 0) {
    const double samples = SamplesToTarget(input, answer.more_epochs, &answer);
    const double sync = mode_ == Mode::kSync ? samples : samples / answer.more_epochs;
    const auto round = static_cast<double>(batch);
    answer.sync_s = sync / round * answer.sync_round_s;
    answer.async_s = sync * answer.more_epochs / round * answer.async_round_s;
  }
  Decide(&answer);
  answer.why = Why(answer, rounds);
  return answer;
}

void Policy::EndTrial() {
  const double weight = tried_.weight + trial_.weight;
  if (weight > 0)
    tried_ = {(tried_.weight * tried_.more + trial_.weight * trial_.more) / weight, weight};
  trial_ = {};
}

// Without a loss measured before a switch, nothing could be learnt from what comes after it.
bool Policy::MaySwitch() const {
  const LossTrend& trend = known_[mode_ == Mode::kSync ? 0 : 1].trend;
  return better_in_a_row_ >= options_.in_a_row && rounds_ >= options_.rounds_between &&
         (trend.count() >= LossTrend::kFewest || rounds_ >= 2 * LossTrend::kFewest);
}

void Policy::Decide(PolicyAnswer* answer) {
  const double present_s = mode_ == Mode::kSync ? answer->sync_s : answer->async_s;
  const double other_s = mode_ == Mode::kSync ? answer->async_s : answer->sync_s;
  better_in_a_row_ = other_s < (1 - options_.better) * present_s ? better_in_a_row_ + 1 : 0;
  if (MaySwitch()) {
    mode_ = Other(mode_);
    answer->switched = true;
    EndTrial();
    rounds_ = 0;
    better_in_a_row_ = 0;
    Known& next = known(mode_);
    next = {.trend = {}, .fall = next.fall, .correction = next.correction};
  }
  answer->mode = mode_;
}

}  // namespace weft::cluster
