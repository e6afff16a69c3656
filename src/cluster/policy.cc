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
constexpr double kFarthest = 3;  // a target further off, in ln(progress), is no target

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

Policy::Policy(Mode mode, PolicyOptions options)
    : options_(options), mode_(mode), async_worth_(1 / options.more_epochs) {
  CHECK(mode == Mode::kSync || mode == Mode::kAsync);
}

Policy::Known& Policy::known(Mode mode) { return known_[mode == Mode::kSync ? 0 : 1]; }

void Policy::RoundTook(double seconds) {
  CHECK(seconds > 0);
  known(mode_).rounds_s += seconds;
  ++known(mode_).rounds;
  ++rounds_;
}

// Progress is counted in samples of sync: async's are worth less.
void Policy::LossMeasured(int64_t samples, double loss) {
  if (samples <= samples_) return;
  Known& present = known(mode_);
  const double worth = mode_ == Mode::kSync || samples_ == 0 ? 1 : async_worth_;
  progress_ += static_cast<double>(samples - samples_) * worth;
  samples_ = samples;
  present.trend.Measured(progress_, loss);
  if (const std::optional<LossFall> fall = present.trend.Fall()) present.fall = fall;
  if (present.trend.count() <= kTrial) MeasureEpochs();
}

// The loss depends on the progress alone. So where it falls more slowly in async mode than just
// before or after in sync mode, async's samples are worth less than they were counted. In async
// mode true and counted progress part at the switch, p0, and losses are measured around p > p0;
// with samples counted as w, true progress is s = p0 + (p - p0) / (w q), the ratio of falls in
// ln(counted) is w q s / p, and that gives q.
void Policy::MeasureEpochs() {
  const std::optional<LossFall>& sync = known(Mode::kSync).fall;
  const std::optional<LossFall>& async = known(Mode::kAsync).fall;
  const LossTrend& trend = known(mode_).trend;
  if (!trend.Fall() || !sync || !async) return;
  const double ratio = sync->fall / async->fall;
  const double since =
      mode_ == Mode::kAsync ? std::max(0.0, 1 - switched_at_ / trend.Center()) : 0;  // (p - p0) / p
  const double slower = std::max(ratio - since, 0.01 * ratio);                       // w q p0 / p
  const double more = slower / (1 - since) / async_worth_;
  const double error = std::hypot(sync->error / sync->fall, async->error / async->fall) * ratio;
  trial_ = {std::log(std::clamp(more, kLeastRatio, kMostRatio)),
            1 / (error * error / (slower * slower) + kTrialVariance)};
}

// The geometric mean of what was assumed and what the trials found, weighted by how sure each is;
// in sync mode less its standard error: of what is not known well, the better is believed until it
// was tried.
double Policy::MoreEpochs() const {
  double weight = 1 / kAssumedVariance;
  double sum = weight * std::log(options_.more_epochs);
  for (const Trial& trial : {tried_, trial_}) {
    sum += trial.weight * trial.more;
    weight += trial.weight;
  }
  const double doubt = mode_ == Mode::kSync ? 1 / std::sqrt(weight) : 0;
  return std::exp(sum / weight - doubt);
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

// In sync mode. Where the loss does not fall measurably, to the end of the run.
double Policy::SyncSamplesToTarget(const PolicyInput& input, PolicyAnswer* answer) const {
  const Known& present = known_[mode_ == Mode::kSync ? 0 : 1];
  const std::optional<double> loss = present.trend.Now();
  if (!present.fall || !loss || *loss <= 0) return static_cast<double>(input.samples_left);
  const double further = (1 - options_.target) * *loss / present.fall->fall;  // in ln(progress)
  if (further > kFarthest) return static_cast<double>(input.samples_left);
  answer->target_loss = options_.target * *loss;
  const double samples = progress_ * std::expm1(further);
  return mode_ == Mode::kSync ? samples : samples / async_worth_ / answer->more_epochs;
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
  answer.more_epochs = devices > 1 ? MoreEpochs() : 1;  // of one alone nothing is stale
  if (batch > 0) {
    const double rounds_to_go = SyncSamplesToTarget(input, &answer) / static_cast<double>(batch);
    answer.sync_s = rounds_to_go * answer.sync_round_s;
    answer.async_s = rounds_to_go * answer.more_epochs * answer.async_round_s;
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
         (trend.count() >= LossTrend::kFewest || rounds_ >= options_.rounds_for_losses);
}

void Policy::Decide(PolicyAnswer* answer) {
  const double present_s = mode_ == Mode::kSync ? answer->sync_s : answer->async_s;
  const double other_s = mode_ == Mode::kSync ? answer->async_s : answer->sync_s;
  better_in_a_row_ = other_s < (1 - options_.better) * present_s ? better_in_a_row_ + 1 : 0;
  if (MaySwitch()) {
    mode_ = Other(mode_);
    answer->switched = true;
    EndTrial();
    if (mode_ == Mode::kAsync) async_worth_ = 1 / MoreEpochs();
    switched_at_ = progress_;
    rounds_ = 0;
    better_in_a_row_ = 0;
    Known& next = known(mode_);
    next = {.trend = {}, .fall = next.fall, .correction = next.correction};
  }
  answer->mode = mode_;
}

}  // namespace weft::cluster
