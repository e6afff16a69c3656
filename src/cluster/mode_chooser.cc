#include "cluster/mode_chooser.h"

#include <cmath>
#include <utility>

namespace weft::cluster {

void ModeChooser::OnStats(DeviceId device, const DeviceStats& stats) {
  int64_t& counted = leases_[device];
  if (stats.leases == counted) return;
  counted = stats.leases;
  const bool is_time = std::isfinite(stats.last_seconds) && stats.last_seconds > 0;
  if (stats.last_samples < 1 || !is_time) return;
  policy_.times()->LeaseTook(device, stats.last_samples, stats.last_seconds);
}

void ModeChooser::OnLost(DeviceId device) {
  leases_.erase(device);
  parts_.erase(device);
  policy_.times()->Forget(device);
}

void ModeChooser::OnCommitted(TimePoint now, std::span<const StepDone::Part> parts, double loss,
                              int64_t of_run) {
  seconds_ += base::Seconds(now - since_);
  since_ = now;
  for (const StepDone::Part& part : parts) {
    parts_[part.device] += part.samples;
    samples_ += part.samples;
  }
  if (std::isfinite(loss)) policy_.LossMeasured(of_run, loss);
}

std::optional<PolicyAnswer> ModeChooser::Evaluate(std::span<const KnownDevice> devices,
                                                  const RoundTimes::Communication& communication,
                                                  int64_t samples_left) {
  if (samples_ < batch_) return std::nullopt;
  const double rounds = static_cast<double>(samples_) / static_cast<double>(batch_);
  if (seconds_ > 0) policy_.RoundTook(seconds_ / rounds);
  std::map<DeviceId, int64_t> shares;
  for (const auto& [device, samples] : std::exchange(parts_, {})) {
    shares[device] = std::llround(static_cast<double>(samples) / rounds);
  }
  seconds_ = 0;
  samples_ = 0;
  std::vector<RoundDevice> known;
  for (const KnownDevice& device : devices) {
    const auto share = shares.find(device.device);
    if (share == shares.end() || share->second < 1 || device.pace.per_sample_s <= 0) continue;
    known.push_back({device.device, device.name, device.pace, share->second, device.exchange_s});
  }
  if (known.empty()) return std::nullopt;
  return policy_.Evaluate(
      {.devices = known, .communication = communication, .samples_left = samples_left});
}

}  // namespace weft::cluster
