#pragma once
// Meter: counts what a run did, from what it sees: the figures of a Result that are not the
// network's.

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/observer.h"
#include "sim/result.h"

namespace weft::sim {

// Threads: one.
class Meter : public Observer {
 public:
  // A box, whatever processes will run in it; numbered from 0.
  void AddDevice(const std::string& name);

  // Fills in what it has counted; devices in order.
  void Report(TimePoint now, Result* result) const;

  void OnHubStarted(TimePoint now, uint64_t term, int64_t first_step) override;
  void OnEvent(TimePoint now, const cluster::Event& event) override;
  void OnSent(TimePoint now, const cluster::Envelope& envelope) override;
  void OnDelivered(TimePoint now, const cluster::Envelope& envelope) override;
  void OnDeviceUp(TimePoint now, int device, uint64_t incarnation) override;
  void OnDeviceDown(TimePoint now, int device) override;
  void OnJoined(TimePoint now, int device, cluster::DeviceId id) override;
  void OnActivity(TimePoint now, int device, Activity activity) override;
  void OnComputed(TimePoint now, int device, const cluster::Compute& compute,
                  std::span<const float> gradient, const std::vector<cluster::Worker::Part>& parts,
                  const cluster::UpdateEncoder& encoder) override;

 private:
  struct Device {
    std::string name;
    int64_t leases = 0;
    int64_t samples = 0;
    int64_t starts = 0;
    Duration up{};
    Duration computing{};
    TimePoint up_since;
    TimePoint computing_since;
    bool is_up = false;
    bool is_computing = false;
  };
  struct Pushed {
    uint64_t lease = 0;
    int64_t version = 0;
  };
  // What a step applied: it is undone if the hub starts again before it.
  struct Step {
    int64_t step = 0;
    int64_t samples = 0;
    std::vector<std::pair<int, int64_t>> parts;  // box, samples
  };
  void Apply(const cluster::StepDone& done);
  void Count(const cluster::Committed& committed);

  std::vector<Device> devices_;
  std::unordered_map<cluster::DeviceId, int> boxes_;                   // of ids that live
  std::vector<cluster::DeviceId> ids_;                                 // by box; 0: none
  std::unordered_map<cluster::DeviceId, std::vector<Pushed>> pushed_;  // not in a record yet
  std::deque<Step> since_checkpoint_;
  std::map<int64_t, int64_t> staleness_;
  std::vector<EpochResult> epochs_;
  std::optional<TimePoint> first_begin_;
  TimePoint epoch_begin_;
  TimePoint last_step_;
  int64_t steps_ = 0;
  int64_t applied_ = 0;
  int64_t computed_ = 0;
};

}  // namespace weft::sim
