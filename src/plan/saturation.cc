#include "plan/saturation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace weft::plan {

int64_t PredictSaturation(const SaturationInput& input) {
  CHECK(input.bytes_per_s > 0 && input.bytes_of_update > 0 && input.step_s > 0);
  const double workers = input.step_s * input.bytes_per_s / input.bytes_of_update;
  return std::max<int64_t>(1, static_cast<int64_t>(std::min(workers, 1e15)));
}

void SaturationWatch::Took(int64_t workers, double step_s) {
  CHECK(workers > 0 && step_s > 0);
  workers_ = workers;
  Times& times = times_[workers];
  times.last = ++step_;
  times.seconds.push_back(step_s);
  if (times.seconds.size() > kTimes) times.seconds.pop_front();
  if (times_.size() > kNumbers)
    times_.erase(std::ranges::min_element(times_, {},
                                          [](const auto& number) { return number.second.last; }));
}

double SaturationWatch::Throughput(int64_t workers, const Times& times) {
  if (times.seconds.size() < kFewestTimes) return 0;
  std::vector<double> seconds(times.seconds.begin(), times.seconds.end());
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::ranges::nth_element(seconds, middle);
  return static_cast<double>(workers) / *middle;
}

double SaturationWatch::throughput() const {
  return workers_ == 0 ? 0 : Throughput(workers_, times_.at(workers_));
}

int64_t SaturationWatch::SaturatedAt() const {
  const double now = throughput();
  if (now == 0) return 0;
  const auto present = static_cast<double>(workers_);
  for (const auto& [workers, times] : times_) {
    if (static_cast<double>(workers) > kFewerBy * present) break;
    const double then = Throughput(workers, times);
    if (then == 0) continue;
    const double slope = std::log(now / then) / std::log(present / static_cast<double>(workers));
    if (slope < kLeastSlope) return workers;
  }
  return 0;
}

}  // namespace weft::plan
