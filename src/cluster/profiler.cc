#include "cluster/profiler.h"

#include <algorithm>
#include <cmath>

namespace weft::cluster {
namespace {

constexpr int64_t kLeastBytes = 32 << 10;
constexpr double kLeastSeconds = 1e-3;
constexpr double kFasterGain = 0.4;
constexpr double kSlowerGain = 0.1;
constexpr double kRoundTripGain = 0.125;
constexpr double kPlanGain = 0.25;

bool IsTime(double seconds) { return seconds > 0 && std::isfinite(seconds); }

}  // namespace

void Profiler::OnLease(int64_t samples, double seconds) {
  leases_.Add(samples, seconds);
  stats_.lease_seconds = leases_.lease_seconds();
  stats_.sample_seconds = leases_.sample_seconds();
  stats_.changes = leases_.changes();
  ++stats_.leases;
  stats_.last_samples = samples;
  stats_.last_seconds = seconds;
}

void Profiler::OnPlan(double seconds) {
  if (!IsTime(seconds)) return;
  const double gain = plans_ < 2 ? 1 : kPlanGain;
  stats_.plan_seconds += gain * (seconds - stats_.plan_seconds);
  ++plans_;
}

void Profiler::OnTransfer(bool up, int64_t bytes, double seconds) {
  if (bytes < kLeastBytes || !IsTime(seconds)) return;
  double& estimate = up ? stats_.up_bytes_per_second : stats_.down_bytes_per_second;
  const double rate = static_cast<double>(bytes) / std::max(seconds, kLeastSeconds);
  if (seconds < kLeastSeconds && (up || rate <= estimate)) return;
  const double gain = estimate == 0 ? 1 : rate > estimate ? kFasterGain : kSlowerGain;
  estimate += gain * (rate - estimate);
}

void Profiler::OnRoundTrip(double seconds) {
  if (!IsTime(seconds)) return;
  round_trips_[round_trip_count_++ % round_trips_.size()] = seconds;
  const size_t known = std::min(round_trip_count_, round_trips_.size());
  const double least = *std::min_element(round_trips_.data(), round_trips_.data() + known);
  const double gain = round_trip_count_ == 1 ? 1 : kRoundTripGain;
  stats_.round_trip_seconds += gain * (least - stats_.round_trip_seconds);
}

void Profiler::OnHost(int64_t free_bytes, double other_load, double temperature) {
  stats_.free_bytes = free_bytes;
  stats_.other_load = other_load;
  stats_.temperature = temperature;
}

double Profiler::SamplesPerSecond(int64_t samples) const {
  return cluster::SamplesPerSecond(stats_, samples);
}

double SamplesPerSecond(const DeviceStats& stats, int64_t samples) {
  const double count = static_cast<double>(samples);
  const double seconds = stats.lease_seconds + stats.sample_seconds * count;
  return samples > 0 && seconds > 0 ? count / seconds : 0;
}

}  // namespace weft::cluster
