#include "cluster/lease_model.h"

#include <algorithm>
#include <cmath>

namespace weft::cluster {
namespace {

constexpr size_t kWindow = 32;
constexpr double kForgetting = 0.95;  // of the weight, a lease
constexpr int kRounds = 4;            // of reweighting
constexpr double kHuber = 1.5;        // standard deviations from where an error counts less
constexpr double kLeastNoise = 0.02;
constexpr double kNoiseGain = 0.05;
constexpr double kPriorSureness = 4;  // of the last known ratio

constexpr int64_t kSettling = 5;     // leases before changes are looked for
constexpr double kWatchNoise = 0.1;  // at least, so that small changes raise no alarm
constexpr double kClip = 3.2;        // standard deviations
constexpr double kAllowance = 1.5;   // of the cumulative sums, a lease
constexpr double kAlarm = 4;         // more than two leases can bring, even if clipped

}  // namespace

void LeaseModel::Sum::Add(double z) {
  value = std::max(0.0, value + std::clamp(z, -kClip, kClip) - kAllowance);
  leases = value > 0 ? leases + 1 : 0;
}

bool LeaseModel::Sum::alarm() const { return value > kAlarm; }

void LeaseModel::Add(int64_t samples, double seconds) {
  if (samples <= 0 || !(seconds > 0) || !std::isfinite(seconds)) return;
  const Measured lease = {static_cast<double>(samples), seconds};
  if (count_ == 1) window_.clear();
  if (++count_ > kSettling) Watch(lease);
  if (window_.size() == kWindow) window_.erase(window_.begin());
  window_.push_back(lease);
  Fit();
}

double LeaseModel::Predict(int64_t samples) const {
  return count_ > 0 ? cost_.At(static_cast<double>(std::max<int64_t>(samples, 0))) : 0;
}

// ---- change

void LeaseModel::Watch(const Measured& lease) {
  const double error = lease.seconds / cost_.At(lease.samples) - 1;
  // Half the time is as far away as twice the time is.
  const double distance = error < 0 ? std::log1p(error) : error;
  const double z = distance / ErrorOfPrediction(lease);
  slower_.Add(z);
  faster_.Add(-z);
  if (std::abs(error) < 3 * std::max(noise_, kWatchNoise)) {
    // The mean of |x| of a normal x is sqrt(2 / pi) standard deviations.
    noise_ += kNoiseGain * (std::abs(error) * std::sqrt(M_PI / 2) - noise_);
  }
  if (!slower_.alarm() && !faster_.alarm()) return;
  ++changes_;
  // `lease` itself is not in the window yet.
  const size_t before = (slower_.alarm() ? slower_ : faster_).leases - 1;
  window_.erase(window_.begin(),
                window_.end() - static_cast<std::ptrdiff_t>(std::min(before, window_.size())));
  slower_ = faster_ = {};
}

// The standard deviation of the relative error to expect: of the lease, of the fit, and of the
// ratio of the costs where the lease is of another size than those before.
double LeaseModel::ErrorOfPrediction(const Measured& lease) const {
  const double noise = std::max(noise_, kWatchNoise);
  const double away = (lease.samples / mean_samples_ - 1) * mean_seconds_ / cost_.At(lease.samples);
  return std::sqrt(noise * noise * (1 + 1 / weight_) + away * away / sureness_);
}

// ---- fit

void LeaseModel::Fit() {
  ScaleToMedian();
  for (int round = 0; round < kRounds; ++round) Reweigh();
  // Leases that may be the first of a change spoil the ratio.
  const bool suspect = slower_.leases > 0 || faster_.leases > 0;
  if (sureness_ > 4 * kPriorSureness && !suspect) known_ = cost_;
}

void LeaseModel::ScaleToMedian() {
  std::vector<double> ratios;
  ratios.reserve(window_.size());
  for (const Measured& m : window_) ratios.push_back(m.seconds / cost_.At(m.samples));
  const auto middle = ratios.begin() + static_cast<std::ptrdiff_t>((ratios.size() - 1) / 2);
  std::nth_element(ratios.begin(), middle, ratios.end());
  cost_.lease *= *middle;
  cost_.sample *= *middle;
}

void LeaseModel::Reweigh() {
  struct Sums {
    double weight = 0, one = 0, samples = 0, seconds = 0;
  } sums;
  double weights[kWindow];
  const double bound = kHuber * std::max(noise_, kLeastNoise);
  double memory = 1;
  for (size_t i = window_.size(); i-- > 0; memory *= kForgetting) {
    const Measured& m = window_[i];
    const double predicted = cost_.At(m.samples);
    const double error = std::abs(m.seconds / predicted - 1);
    const double trust = memory * (error > bound ? bound / error : 1);
    weights[i] = trust / (predicted * predicted);
    sums.weight += trust;
    sums.one += weights[i];
    sums.samples += weights[i] * m.samples;
    sums.seconds += weights[i] * m.seconds;
  }
  mean_samples_ = sums.samples / sums.one;
  mean_seconds_ = sums.seconds / sums.one;
  weight_ = sums.weight;
  double square = 0;
  double product = 0;
  for (size_t i = 0; i < window_.size(); ++i) {
    const double samples = window_[i].samples - mean_samples_;
    square += weights[i] * samples * samples;
    product += weights[i] * samples * (window_[i].seconds - mean_seconds_);
  }
  // The share of `sample` in the time of the mean lease: what least squares say of it, and what was
  // known, each by its sureness.
  const double noise = std::max(noise_, kLeastNoise);
  const double scale = mean_seconds_ / (mean_samples_ * noise * noise);
  const double told = square * scale * mean_seconds_ / mean_samples_;
  const double known = known_.sample * mean_samples_ / known_.At(mean_samples_);
  sureness_ = told + kPriorSureness;
  const double share = std::clamp((product * scale + kPriorSureness * known) / sureness_, 0.0, 1.0);
  cost_.sample = share * mean_seconds_ / mean_samples_;
  cost_.lease = (1 - share) * mean_seconds_;
}

}  // namespace weft::cluster
