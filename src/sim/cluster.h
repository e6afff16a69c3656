#pragma once
// Cluster: a whole run in virtual time: one hub, devices that come and go, links, and faults, all
// decided by one seed.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/event.h"
#include "cluster/job_spec.h"
#include "data/sample_order.h"
#include "sim/availability.h"
#include "sim/device.h"
#include "sim/disk.h"
#include "sim/hub.h"
#include "sim/loop.h"
#include "sim/meter.h"
#include "sim/network.h"
#include "sim/observer.h"
#include "sim/options.h"
#include "sim/result.h"
#include "sim/toy.h"

namespace weft::sim {

struct ClusterOptions {
  uint64_t seed = 1;
  cluster::JobSpec job;
  // Of the job's samples, where the store feeds them; empty: as they come.
  data::SampleOrder order;
  std::vector<DeviceOptions> devices;
  HubOptions hub;
  std::vector<SegmentOptions> segments;
  WireOptions wire;
  FaultOptions faults;
  std::vector<ScheduledEvent> schedule;
  std::shared_ptr<Workload> workload;  // null: the toy
  // When the gradients of a lease are final; empty: all at its end. They may overlap.
  std::vector<StretchTime> stretch_times;
  bool keep_events = true;  // for Events(); they grow with the run
};

// `count` devices of this speed, named "device-0", ...
std::vector<DeviceOptions> EqualDevices(int count, double seconds_per_sample);

// Threads: one.
class Cluster {
 public:
  // Nothing happens before the first event is run, so whoever watches by then sees all.
  explicit Cluster(const ClusterOptions& options);
  ~Cluster();

  // Looks on from now on; must outlive the cluster.
  void Watch(Observer* observer) { audience_.Add(observer); }

  // Runs until the run is over. False if it is not by `limit` of virtual time from now.
  bool Run(Duration limit = std::chrono::seconds(3600));
  // Runs until `event` of this kind was emitted `count` times by the hub.
  template <class Kind>
  bool RunUntil(size_t count = 1, Duration limit = std::chrono::seconds(3600));
  // What it came to so far; wall time and accuracy are for the caller to fill in.
  Result result() const;

  // A box and its process; the box's number.
  int AddDevice(DeviceOptions options, const DeviceTroubles& troubles = {},
                const std::string& token = {});
  // The process is gone and its box stays off.
  void KillDevice(int number);
  bool HasDevice(int number) const { return boxes_.at(Index(number))->process != nullptr; }
  SimDevice& device(int number) { return *boxes_.at(Index(number))->process; }
  void KillHub();
  void StartHub();
  Hub& hub() { return *hub_; }
  Disk& disk() { return disk_; }
  Loop& loop() { return loop_; }
  Network& network() { return network_; }
  // What a run that starts now would go on from.
  cluster::Snapshot Checkpoint() const { return disk_.Latest(workload_->Start()); }
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
  // All of the hub's events of one kind, if they are kept.
  template <class Kind>
  std::vector<Kind> Events() const;
  uint64_t trace_hash() const { return loop_.trace_hash(); }

 private:
  // What stands at one place, whatever process runs in it.
  struct Box {
    DeviceOptions options;
    DeviceTroubles troubles;
    std::string token;
    HostId host = 0;
    Availability availability;
    Tempo tempo;
    bool on = false;  // the power is
    std::unique_ptr<SimDevice> process;
  };
  static size_t Index(int number) { return static_cast<size_t>(number); }

  void Begin();
  ProcessOptions ProcessFor(double crash, std::function<void()> on_crash);
  void NextStretch(int number);
  void SwitchOn(int number);
  void SwitchOff(int number);
  void StartDevice(int number);
  void StartDeviceSoon(int number, Duration most);

  void Arm(const std::optional<Duration>& mean, void (Cluster::*fault)());
  bool Quiet() const;
  int AnyDevice();
  void BreakSome();
  void KillSome();
  void RestartHub();
  void StartHubSoon();
  void LetOneLeave();
  void Join();
  void CutSome();
  void ClogSome();
  void Carry(const ScheduledEvent& event);
  void CarryDevice(const ScheduledEvent& event, int number);
  int Named(const std::string& name) const;
  void Record(const cluster::Event& event);

  const ClusterOptions options_;
  const std::shared_ptr<Workload> workload_;
  Loop loop_;
  Audience audience_;
  Meter meter_;
  Network network_;
  Disk disk_;
  std::unique_ptr<Hub> hub_;
  std::vector<std::unique_ptr<Box>> boxes_;
  bool begun_ = false;  // the first event has run
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
