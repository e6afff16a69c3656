#pragma once
// Meter: counts what a run did, from what it sees: the figures of a Result that are not the
// network's.

#include <cstdint>
#include <string>
#include <unordered_map>
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

  void OnEvent(TimePoint now, const cluster::Event& event) override;
  void OnSent(TimePoint now, const cluster::Envelope& envelope) override;
  void OnDelivered(TimePoint now, const cluster::Envelope& envelope) override;
  void OnDeviceUp(TimePoint now, int device, uint64_t incarnation) override;
  void OnDeviceDown(TimePoint now, int device) override;
  void OnJoined(TimePoint now, int device, cluster::DeviceId id) override;
  void OnActivity(TimePoint now, int device, Activity activity) override;
  void OnComputed(TimePoint now, int device, const cluster::Compute& compute,
                  std::span<const float> gradient, const cluster::Payload& packet,
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
    int64_t version = 0;
    uint64_t sequence = 0;
  };
  void Count(TimePoint now, const cluster::Event& event);

  std::vector<Device> devices_;
  std::unordered_map<cluster::DeviceId, int> boxes_;                   // of ids that live
  std::vector<cluster::DeviceId> ids_;                                 // by box; 0: none
  std::unordered_map<cluster::DeviceId, std::vector<Pushed>> pushed_;  // that wait for their fate
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
