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
    last_step_ = now;
    Apply(*step);
  } else if (const auto* epoch = std::get_if<cluster::EpochDone>(&event)) {
    epochs_.push_back({.epoch = epoch->epoch,
                       .seconds = base::Seconds(now - epoch_begin_),
                       .loss = epoch->loss,
                       .accuracy = {}});
    epoch_begin_ = now;
  } else if (const auto* saved = std::get_if<cluster::CheckpointSaved>(&event)) {
    const auto is_safe = [&](const Step& done) { return done.step < saved->step; };
    std::erase_if(since_checkpoint_, is_safe);
  }
}

void Meter::Apply(const cluster::StepDone& done) {
  ++steps_;
  applied_ += done.samples;
  Step& step = since_checkpoint_.emplace_back();
  step.step = done.step;
  step.samples = done.samples;
  for (const cluster::StepDone::Part& part : done.parts) {
    const auto box = boxes_.find(part.device);
    if (box == boxes_.end()) continue;
    devices_[static_cast<size_t>(box->second)].samples += part.samples;
    step.parts.emplace_back(box->second, part.samples);
  }
}

// What was applied beyond the checkpoint is computed again.
void Meter::OnHubStarted(TimePoint, uint64_t, int64_t first_step) {
  while (!since_checkpoint_.empty() && since_checkpoint_.back().step >= first_step) {
    const Step& undone = since_checkpoint_.back();
    --steps_;
    applied_ -= undone.samples;
    for (const auto& [box, samples] : undone.parts) {
      devices_[static_cast<size_t>(box)].samples -= samples;
    }
    since_checkpoint_.pop_back();
  }
}

void Meter::OnSent(TimePoint now, const cluster::Envelope& envelope) {
  const bool begins = std::holds_alternative<cluster::BeginStep>(envelope.message) ||
                      std::holds_alternative<cluster::BeginStream>(envelope.message);
  if (first_begin_ || !begins) return;
  first_begin_ = epoch_begin_ = now;
}

void Meter::OnDelivered(TimePoint, const cluster::Envelope& envelope) {
  if (const auto* push = std::get_if<cluster::Push>(&envelope.message)) {
    if (push->gradient == nullptr || !boxes_.contains(push->device)) return;
    std::vector<Pushed>& waiting = pushed_[push->device];
    if (std::ranges::find(waiting, push->lease.id, &Pushed::lease) == waiting.end()) {
      waiting.push_back({push->lease.id, push->version});
    }
  } else if (const auto* committed = std::get_if<cluster::Committed>(&envelope.message)) {
    if (committed->problem.empty()) Count(*committed);
  }
}

// Staleness of the updates in a step: versions between the one computed with and the one before it.
void Meter::Count(const cluster::Committed& committed) {
  for (size_t i = 0; i < committed.leases.size(); ++i) {
    const auto it = pushed_.find(committed.devices[i]);
    if (it == pushed_.end()) continue;
    std::vector<Pushed>& waiting = it->second;
    const uint64_t lease = committed.leases[i].id;
    const auto push = std::ranges::find(waiting, lease, &Pushed::lease);
    if (push != waiting.end()) ++staleness_[committed.version - 1 - push->version];
    std::erase_if(waiting, [&](const Pushed& older) { return older.lease <= lease; });
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
                       std::span<const float>, const std::vector<cluster::Worker::Part>&,
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
