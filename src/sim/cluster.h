#pragma once
// Cluster: a whole run in virtual time: one hub, devices that come and go, and faults, all decided
// by one seed.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/event.h"
#include "cluster/job_spec.h"
#include "sim/device.h"
#include "sim/hub.h"
#include "sim/loop.h"
#include "sim/network.h"
#include "sim/options.h"
#include "sim/toy.h"

namespace weft::sim {

struct ClusterOptions {
  uint64_t seed = 1;
  cluster::JobSpec job;
  int devices = 4;
  Duration per_sample = std::chrono::microseconds(200);  // each device's speed is near this
  NetworkOptions network{.hub = {.latency = {}}, .silent_break = 0.3};
  // Of every device.
  LinkOptions link{.jitter = std::chrono::microseconds(4900)};
  FaultOptions faults{};
};

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options);

  // Runs until the run is over. False if it is not by `limit` of virtual time.
  bool Run(Duration limit = std::chrono::seconds(3600));
  // Runs until `event` of this kind was emitted `count` times by the hub.
  template <class Kind>
  bool RunUntil(size_t count = 1, Duration limit = std::chrono::seconds(3600));

  // The device's number, from 0.
  int AddDevice() { return AddDevice({}); }
  int AddDevice(SimDevice::Options options);
  void KillDevice(int number) { devices_.erase(number); }
  bool HasDevice(int number) const { return devices_.contains(number); }
  SimDevice& device(int number) { return *devices_.at(number); }
  void KillHub() { hub_.reset(); }
  void StartHub();
  Hub& hub() { return *hub_; }
  Disk& disk() { return disk_; }
  Loop& loop() { return loop_; }
  // Carries out what a call on the coordinator asks for.
  void Perform(const cluster::Actions& actions) {
    hub_->Perform(cluster::Coordinator::kAddress, actions);
  }

  // How it ended.
  const std::optional<cluster::RunDone>& done() const { return done_; }
  // Parameters when it ended.
  const std::vector<float>& parameters() const { return parameters_; }
  // By step; of a step that was run again after a restart, the last.
  const std::map<int64_t, cluster::StepDone>& steps() const { return steps_; }
  // All of the hub's events of one kind.
  template <class Kind>
  std::vector<Kind> Events() const;
  uint64_t trace_hash() const { return loop_.trace_hash(); }

 private:
  void Arm(const std::optional<Duration>& mean, void (Cluster::*fault)());
  void BreakSome();
  void KillSome();
  void RestartHub();
  void LetOneLeave();
  void Join() { AddDevice(); }
  int AnyDevice();
  void Record(const cluster::Event& event);

  const ClusterOptions options_;
  Loop loop_;
  Network network_;
  Disk disk_;
  std::unique_ptr<Hub> hub_;
  std::map<int, std::unique_ptr<SimDevice>> devices_;
  int next_device_ = 0;
  std::vector<cluster::Event> events_;
  std::map<int64_t, cluster::StepDone> steps_;
  std::optional<cluster::RunDone> done_;
  std::vector<float> parameters_;
};

template <class Kind>
std::vector<Kind> Cluster::Events() const {
  std::vector<Kind> found;
  for (const cluster::Event& event : events_) {
    if (const auto* kind = std::get_if<Kind>(&event)) found.push_back(*kind);
  }
  return found;
}

template <class Kind>
bool Cluster::RunUntil(size_t count, Duration limit) {
  const TimePoint end = loop_.now() + limit;
  while (Events<Kind>().size() < count) {
    if (done_ || !loop_.Step(end)) return Events<Kind>().size() >= count;
  }
  return true;
}

}  // namespace weft::sim
