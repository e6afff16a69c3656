#include "cluster/round_times.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/rng.h"

namespace weft::cluster {
namespace {

// What a device's last leases would have taken with the present share, in seconds.
struct Times {
  size_t device;  // index
  uint64_t stream;
  std::vector<double> seconds;
  double exchange_s;
};

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// Expected maximum, and which device it most often is.
struct Slowest {
  double seconds = 0;      // computing
  double exchanged_s = 0;  // with each device's own exchange
  size_t device = 0;
};

Slowest ExpectSlowest(std::span<const Times> all, uint64_t draws) {
  std::vector<int> last(all.size());
  Slowest result;
  for (uint64_t draw = 0; draw < draws; ++draw) {
    double computed_s = 0;
    double latest_s = 0;
    size_t latest = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      const uint64_t word = base::SplitMix(all[i].stream, draw);
      const double seconds = all[i].seconds[word % all[i].seconds.size()];
      computed_s = std::max(computed_s, seconds);
      const double all_s = seconds + all[i].exchange_s;
      if (all_s > latest_s) latest_s = all_s, latest = i;
    }
    result.seconds += computed_s / static_cast<double>(draws);
    result.exchanged_s += latest_s / static_cast<double>(draws);
    ++last[latest];
  }
  result.device = all[static_cast<size_t>(std::ranges::max_element(last) - last.begin())].device;
  return result;
}

}  // namespace

void RoundTimes::LeaseTook(DeviceId device, int64_t samples, double seconds) {
  CHECK(samples > 0 && seconds > 0);
  Last& last = times_[device];
  last.leases[last.count++ % kTimes] = {samples, seconds};
}

std::vector<double> RoundTimes::Scaled(const RoundDevice& device) const {
  const double expected_s = device.pace.Seconds(device.share);
  const auto it = times_.find(device.device);
  if (it == times_.end()) return {expected_s};
  std::vector<double> seconds;
  for (size_t k = 0; k < std::min(it->second.count, kTimes); ++k) {
    const Lease& lease = it->second.leases[k];
    seconds.push_back(lease.seconds * expected_s / device.pace.Seconds(lease.samples));
  }
  return seconds;
}

RoundPrediction RoundTimes::Predict(std::span<const RoundDevice> devices,
                                    const Communication& communication) const {
  std::vector<Times> all;
  double samples = 0;
  double rate = 0;  // samples a second, together
  double mean_s = 0;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].share == 0) continue;
    all.push_back({i, devices[i].device, Scaled(devices[i]), devices[i].exchange_s});
    const auto share = static_cast<double>(devices[i].share);
    const double seconds = Mean(all.back().seconds);
    samples += share;
    rate += share / (seconds + devices[i].exchange_s);
    mean_s += seconds + devices[i].exchange_s;
  }
  if (all.empty()) return {};
  mean_s /= static_cast<double>(all.size());
  const Slowest slowest = ExpectSlowest(all, kDraws);
  return {.sync_s = std::max(slowest.exchanged_s, slowest.seconds + communication.sync_s),
          .waiting_s = std::max(0.0, slowest.exchanged_s - mean_s),
          .slowest = devices[slowest.device].name,
          .async_s = std::max(samples / rate, communication.async_s)};
}

}  // namespace weft::cluster
