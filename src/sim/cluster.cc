#include "sim/cluster.h"

#include <fmt/format.h>

#include "cluster/describe.h"

namespace weft::sim {

Cluster::Cluster(const ClusterOptions& options)
    : options_(options), loop_(options.seed), network_(&loop_, options.network) {
  disk_.checkpoint = ToyStart(options_.job);
  disk_.failure = options_.faults.disk_error;
  StartHub();
  for (int i = 0; i < options_.devices; ++i) AddDevice();
  const FaultOptions& faults = options_.faults;
  Arm(faults.break_connection, &Cluster::BreakSome);
  Arm(faults.kill_device, &Cluster::KillSome);
  Arm(faults.kill_hub, &Cluster::RestartHub);
  Arm(faults.join_device, &Cluster::Join);
  Arm(faults.leave_device, &Cluster::LetOneLeave);
}

bool Cluster::Run(Duration limit) {
  const TimePoint end = loop_.now() + limit;
  while (!done_ && loop_.Step(end)) {
  }
  // Let the devices hear of it.
  const TimePoint rest = loop_.now() + std::chrono::seconds(1);
  while (done_ && loop_.Step(rest)) {
  }
  return done_.has_value();
}

int Cluster::AddDevice(SimDevice::Options options) {
  const int number = next_device_++;
  options.loop = &loop_;
  options.network = &network_;
  options.host = network_.AddHost(options_.link);
  options.worker.name = fmt::format("device-{}", number);
  if (options.worker.token.empty()) options.worker.token = options_.job.token;
  options.worker.incarnation = loop_.rng().Next();
  options.worker.jitter_seed = loop_.rng().Next();
  options.per_sample =
      RandomDuration(loop_.rng(), options_.per_sample / 2, options_.per_sample * 2);
  devices_[number] = std::make_unique<SimDevice>(options, options_.job);
  devices_[number]->Start();
  return number;
}

void Cluster::StartHub() {
  hub_ = std::make_unique<Hub>(
      Hub::Options{&loop_, &network_, &disk_, [this](const cluster::Event& e) { Record(e); }},
      options_.job);
  hub_->Start();
}

void Cluster::Record(const cluster::Event& event) {
  loop_.Trace(cluster::Describe(event));
  events_.push_back(event);
  if (const auto* step = std::get_if<cluster::StepDone>(&event)) steps_[step->step] = *step;
  if (const auto* done = std::get_if<cluster::RunDone>(&event)) {
    done_ = *done;
    const auto values = hub_->leader().parameters();
    parameters_.assign(values.begin(), values.end());
  }
}

// ---- faults

void Cluster::Arm(const std::optional<Duration>& mean, void (Cluster::*fault)()) {
  if (!mean) return;
  loop_.After(RandomWait(loop_.rng(), *mean), [this, mean, fault] {
    if (done_ || loop_.now() > TimePoint{} + options_.faults.until) return;
    (this->*fault)();
    Arm(mean, fault);
  });
}

int Cluster::AnyDevice() {
  if (devices_.empty()) return -1;
  auto it = devices_.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(loop_.rng().NextBelow(devices_.size())));
  return it->first;
}

void Cluster::BreakSome() {
  const int number = AnyDevice();
  if (number < 0 || !device(number).connection()) return;
  loop_.Trace(fmt::format("fault: the connection of device-{} breaks", number));
  network_.Break(*device(number).connection(), "connection reset");
}

void Cluster::KillSome() {
  const int number = AnyDevice();
  if (number < 0) return;
  loop_.Trace(fmt::format("fault: device-{} is killed", number));
  KillDevice(number);
  loop_.After(RandomDuration(loop_.rng(), Duration(0), options_.faults.most_down),
              [this] { AddDevice(); });
}

void Cluster::LetOneLeave() {
  const int number = AnyDevice();
  if (number < 0 || devices_.size() < 2) return;
  loop_.Trace(fmt::format("fault: device-{} leaves", number));
  device(number).Leave("asked to");
}

void Cluster::RestartHub() {
  if (hub_ == nullptr) return;
  loop_.Trace("fault: the hub is killed");
  KillHub();
  loop_.After(RandomDuration(loop_.rng(), Duration(0), options_.faults.most_down),
              [this] { StartHub(); });
}

}  // namespace weft::sim
