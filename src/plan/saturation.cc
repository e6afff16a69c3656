#include "plan/saturation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace weft::plan {

SaturationPrediction PredictSaturation(const StepCosts& costs) {
  CHECK(costs.workers > 0 && costs.compute_s > 0 && costs.exchange_s >= 0);
  const auto workers = static_cast<double>(costs.workers);
  SaturationPrediction prediction;
  if (costs.exchange_s > 0) prediction.most_per_s = workers / costs.exchange_s;
  prediction.slope =
      (costs.compute_s - workers * costs.one_more_s) / (costs.compute_s + costs.exchange_s);
  return prediction;
}

void SaturationWatch::Took(const Step& step) {
  CHECK(step.workers > 0 && step.samples > 0 && step.seconds > 0);
  workers_ = step.workers;
  Rates& rates = rates_[step.workers];
  rates.last = ++step_;
  rates.per_s.push_back(step.samples / step.seconds);
  if (rates.per_s.size() > kTimes) rates.per_s.pop_front();
  if (rates_.size() > kNumbers)
    rates_.erase(std::ranges::min_element(rates_, {},
                                          [](const auto& number) { return number.second.last; }));
}

double SaturationWatch::Throughput(const Rates& rates) {
  if (rates.per_s.size() < kFewestTimes) return 0;
  std::vector<double> per_s(rates.per_s.begin(), rates.per_s.end());
  const auto middle = per_s.begin() + static_cast<std::ptrdiff_t>(per_s.size() / 2);
  std::ranges::nth_element(per_s, middle);
  return *middle;
}

double SaturationWatch::throughput() const {
  return workers_ == 0 ? 0 : Throughput(rates_.at(workers_));
}

int64_t SaturationWatch::SaturatedAt() const {
  const double now = throughput();
  if (now == 0) return 0;
  const auto present = static_cast<double>(workers_);
  for (const auto& [workers, rates] : rates_) {
    if (static_cast<double>(workers) > kFewerBy * present) break;
    const double then = Throughput(rates);
    if (then == 0) continue;
    const double slope = std::log(now / then) / std::log(present / static_cast<double>(workers));
    if (slope < kLeastSlope) return workers;
  }
  return 0;
}

}  // namespace weft::plan
