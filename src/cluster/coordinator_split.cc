// Coordinator: what the times of steps say of leaders and of further devices: whether a split would
// pay, whether one did, and whether another device still helps.

#include <algorithm>
#include <map>

#include "cluster/coordinator.h"

namespace weft::cluster {
namespace {

constexpr double kUnmeasured = 125e6;  // bytes a second that a link is taken for: 1 Gbit/s

// The mean of what devices have measured; 0 if none has. Each has measured its part only while they
// share a link.
class MeanRate {
 public:
  void Add(double bytes_per_s) {
    if (bytes_per_s <= 0) return;
    sum_ += bytes_per_s;
    ++count_;
  }
  size_t count() const { return count_; }
  double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }

 private:
  double sum_ = 0;
  size_t count_ = 0;
};

double Seconds(double bytes, double bytes_per_s) { return bytes / bytes_per_s; }

}  // namespace

double Coordinator::BytesAsSent(const codec::CodecOptions& codec) const {
  return spec_.value_weight * (codec.name == "fp16" ? 2.0 : 4.0);
}

// The coordinator's own, as devices have measured theirs: while it leads all they share it, so
// together they have measured it; later it is taken for one like theirs. A way that nobody has
// measured is taken for as fast as the other one.
plan::Link Coordinator::MeasuredHubLink() const {
  MeanRate up, down;
  for (const auto& [id, device] : devices_.living()) {
    up.Add(device.stats.down_bytes_per_second);
    down.Add(device.stats.up_bytes_per_second);
  }
  const double sharing =
      seats_.flat() ? static_cast<double>(std::max<size_t>(devices_.living().size(), 1)) : 1;
  plan::Link hub{sharing * up.mean(), sharing * down.mean()};
  if (hub.up_bytes_per_s == 0) hub.up_bytes_per_s = hub.down_bytes_per_s;
  if (hub.up_bytes_per_s == 0) hub.up_bytes_per_s = kUnmeasured;
  if (hub.down_bytes_per_s == 0) hub.down_bytes_per_s = hub.up_bytes_per_s;
  return hub;
}

// By most devices, at least one way.
bool Coordinator::LinksMeasured() const {
  const auto measured = [](const auto& device) {
    const DeviceStats& stats = device.second.stats;
    return stats.up_bytes_per_second > 0 || stats.down_bytes_per_second > 0;
  };
  return 2 * std::ranges::count_if(devices_.living(), measured) >
         static_cast<int64_t>(devices_.living().size());
}

// Of a step in which `hub` leads all.
double Coordinator::FlatBytesSeconds(const plan::Link& hub) const {
  const double values =
      static_cast<double>(spec_.parameter_count()) * static_cast<double>(devices_.living().size());
  return Seconds(values * BytesAsSent(spec_.codec_up), hub.down_bytes_per_s) +
         Seconds(values * BytesAsSent(spec_.codec_down), hub.up_bytes_per_s);
}

// A step's exchange is a measure, too: bytes take no longer than it did.
plan::Link Coordinator::HubLink() const {
  plan::Link hub = MeasuredHubLink();
  const auto exchange_s = split_.exchange_s(true);
  if (!seats_.flat() || !LinksMeasured() || !exchange_s || *exchange_s <= 0) return hub;
  const double faster = std::max(1.0, FlatBytesSeconds(hub) / *exchange_s);
  hub.up_bytes_per_s *= faster;
  hub.down_bytes_per_s *= faster;
  return hub;
}

// What bytes do not explain of the exchange is the work of the coordinator's process, and so what
// leading takes an update wherever it is done.
void Coordinator::MeasureLeading() {
  const auto exchange_s = split_.exchange_s();
  if (!seats_.flat() || !LinksMeasured() || !exchange_s || devices_.living().empty()) return;
  double round_trip_s = 0;
  for (const auto& [id, device] : devices_.living()) {
    round_trip_s = std::max(round_trip_s, device.stats.round_trip_seconds);
  }
  const double work_s = *exchange_s - FlatBytesSeconds(HubLink()) - round_trip_s;
  leading_s_ = std::max(0.0, work_s) / static_cast<double>(devices_.living().size());
}

// ---- after each step

// Of the device that computed longest, by its own measure; 0 if one of them has none.
double Coordinator::ComputingOf(const Committed& record) const {
  std::map<DeviceId, double> seconds;
  double longest = 0;
  for (size_t i = 0; i < record.leases.size() && i < record.devices.size(); ++i) {
    const Device* device = devices_.Find(record.devices[i]);
    if (device == nullptr) return 0;
    const DeviceStats& stats = device->stats;
    const double lease_s =
        stats.lease_seconds + stats.sample_seconds * static_cast<double>(record.leases[i].count);
    if (!(lease_s > 0)) return 0;
    longest = std::max(longest, seconds[device->id] += lease_s);
  }
  return longest;
}

void Coordinator::WatchStep(double seconds) {
  if (disturbed_ || seconds <= 0) return;
  const SplitWatch::Step step{.seconds = seconds, .compute_s = ComputingOf(*first_record_)};
  split_.Took(step, seats_.flat());
  WatchSites(step);
  MeasureLeading();
  WatchSaturation(seconds);
  if (split_.Failed()) wants_flat_ = true;
}

// What the layout that holds costs, as predicted; none where too little is known.
std::optional<plan::SaturationPrediction> Coordinator::PredictSaturation() const {
  if (!LinksMeasured() || !split_.computing_known()) return std::nullopt;
  std::vector<plan::LinkedDevice> devices;
  plan::LeaderInput input = LinksOf(&devices);
  const std::vector<plan::LedRange> held = Held();
  plan::StepCosts costs{.workers = input.updates,
                        .compute_s = split_.compute_s(),
                        .exchange_s = plan::PredictCommunication(input, held)};
  ++input.updates;
  costs.one_more_s = plan::PredictCommunication(input, held) - costs.exchange_s;
  return plan::PredictSaturation(costs);
}

// Short steps, as at the end of an epoch, say little.
void Coordinator::WatchSaturation(double seconds) {
  if (step_samples_ < plan_.batch()) return;
  const std::set<DeviceId> workers(first_record_->devices.begin(), first_record_->devices.end());
  if (workers.empty()) return;
  const auto count = static_cast<int64_t>(workers.size());
  const auto batch = static_cast<double>(step_samples_);
  saturation_.Took({.workers = count, .samples = batch, .seconds = seconds});
  const auto predicted = PredictSaturation();
  if (!saturation_.Judge(predicted ? predicted->slope : 1)) return;
  Emit(SaturationChanged{
      .saturated = saturation_.saturated(),
      .devices = count,
      .updates_per_s = static_cast<double>(count) * saturation_.throughput() / batch,
      .most_per_s = predicted ? predicted->most_per_s : 0,
      .as_many_as = saturation_.SaturatedAt()});
}

// The coordinator's process leads all. After a few steps any gain is worth a trial; before, a large
// one: where another device would bring little, because of what the leader has to carry.
bool Coordinator::MayTrySplit() const {
  if (!split_.MayTry(step_)) return false;
  if (split_.steps() >= SplitWatch::kSteps) return true;
  const auto predicted = PredictSaturation();
  return saturation_.saturated() || (predicted && predicted->slope < plan::kLeastSlope);
}

}  // namespace weft::cluster
