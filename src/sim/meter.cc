#include "sim/meter.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace weft::sim {

void Meter::AddDevice(const std::string& name) {
  devices_.push_back({.name = name});
  ids_.push_back(0);
}

// ---- what the hub says

void Meter::OnEvent(TimePoint now, const cluster::Event& event) {
  if (const auto* step = std::get_if<cluster::StepDone>(&event)) {
    ++steps_;
    last_step_ = now;
    applied_ += step->samples;
    for (const cluster::StepDone::Part& part : step->parts) {
      const auto box = boxes_.find(part.device);
      if (box != boxes_.end()) devices_[static_cast<size_t>(box->second)].samples += part.samples;
    }
  } else if (const auto* epoch = std::get_if<cluster::EpochDone>(&event)) {
    epochs_.push_back({epoch->epoch, base::Seconds(now - epoch_begin_), epoch->loss});
    epoch_begin_ = now;
  }
}

void Meter::OnSent(TimePoint now, const cluster::Envelope& envelope) {
  if (!first_begin_ && std::holds_alternative<cluster::BeginStep>(envelope.message)) {
    first_begin_ = epoch_begin_ = now;
  }
  const auto* ack = std::get_if<cluster::PushAck>(&envelope.message);
  if (ack == nullptr) return;
  const auto it = pushed_.find(envelope.to.device);
  if (it == pushed_.end()) return;
  std::vector<Pushed>& waiting = it->second;
  const auto push = std::ranges::find(waiting, ack->sequence, &Pushed::sequence);
  if (push == waiting.end()) return;
  // `version` is the one after the update.
  if (ack->applied) ++staleness_[std::max<int64_t>(0, ack->version - 1 - push->version)];
  waiting.erase(push);
}

void Meter::OnDelivered(TimePoint, const cluster::Envelope& envelope) {
  const auto* push = std::get_if<cluster::Push>(&envelope.message);
  if (push == nullptr || !boxes_.contains(push->device)) return;
  std::vector<Pushed>& waiting = pushed_[push->device];
  if (std::ranges::find(waiting, push->sequence, &Pushed::sequence) == waiting.end()) {
    waiting.push_back({push->version, push->sequence});
  }
}

// ---- what the devices do

void Meter::OnDeviceUp(TimePoint now, int device, uint64_t) {
  Device& d = devices_[static_cast<size_t>(device)];
  ++d.starts;
  d.is_up = true;
  d.up_since = now;
}

void Meter::OnDeviceDown(TimePoint now, int device) {
  Device& d = devices_[static_cast<size_t>(device)];
  if (std::exchange(d.is_up, false)) d.up += now - d.up_since;
}

// The id of the process before is kept until then: what it had sent may still be applied.
void Meter::OnJoined(TimePoint, int device, cluster::DeviceId id) {
  cluster::DeviceId& before = ids_[static_cast<size_t>(device)];
  if (before != id) {
    boxes_.erase(before);
    pushed_.erase(before);
  }
  before = id;
  boxes_[id] = device;
}

void Meter::OnActivity(TimePoint now, int device, Activity activity) {
  Device& d = devices_[static_cast<size_t>(device)];
  if (std::exchange(d.is_computing, activity == Activity::kCompute)) {
    d.computing += now - d.computing_since;
  }
  d.computing_since = now;
}

void Meter::OnComputed(TimePoint, int device, const cluster::Compute& compute,
                       std::span<const float>, const cluster::Payload&,
                       const cluster::UpdateEncoder&) {
  ++devices_[static_cast<size_t>(device)].leases;
  computed_ += compute.lease.count;
}

void Meter::Report(TimePoint now, Result* result) const {
  result->virtual_s = base::Seconds(now - TimePoint{});
  if (first_begin_)
    result->training_s = base::Seconds(std::max(last_step_, *first_begin_) - *first_begin_);
  result->steps = steps_;
  result->samples = applied_;
  result->recomputed = std::max<int64_t>(0, computed_ - applied_);
  if (result->training_s > 0) {
    result->samples_per_second = static_cast<double>(applied_) / result->training_s;
  }
  result->epochs = epochs_;
  result->staleness = staleness_;
  result->devices.clear();
  for (const Device& d : devices_) {
    const Duration up = d.up + (d.is_up ? now - d.up_since : Duration(0));
    const Duration computing =
        d.computing + (d.is_computing ? now - d.computing_since : Duration(0));
    result->devices.push_back({.name = d.name,
                               .leases = d.leases,
                               .samples = d.samples,
                               .starts = d.starts,
                               .up_s = base::Seconds(up),
                               .compute_s = base::Seconds(computing),
                               .link = {}});
  }
}

}  // namespace weft::sim
