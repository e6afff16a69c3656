#pragma once
// RoundTimes: what a round (as many samples as a batch) takes in sync and in async mode, from how
// long the devices' last leases took.
//
// A sync round lasts as long as its slowest device, so what matters is not how slow devices are on
// average (shares follow that) but how unsteady: the expected maximum. It is found by drawing, for
// each device, from its own last 16 lease times; the draws are a function of the device and the
// number of the draw, so that the same times give the same answer. In async mode nobody waits, and
// the speeds add up.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/message.h"
#include "plan/shares.h"

namespace weft::cluster {

struct RoundDevice {
  DeviceId device = 0;
  std::string name;
  plan::Pace pace;    // per_sample_s above 0
  int64_t share = 0;  // samples of its lease; 0: takes no part
  // Over its own link, until its update is out and newer parameters are in; it waits for them.
  double exchange_s = 0;
};

struct RoundPrediction {
  double sync_s = 0;     // with communication
  double waiting_s = 0;  // of it, an average device waits for the slowest one of the round,
  std::string slowest;   // which most often is this one
  double async_s = 0;
};

// Threads: one.
class RoundTimes {
 public:
  static constexpr size_t kTimes = 16;  // kept of each device
  static constexpr uint64_t kDraws = 64;

  // A device computed a lease of so many samples in so many seconds. Both above 0.
  void LeaseTook(DeviceId device, int64_t samples, double seconds);
  // It has gone, or its speed is another one for good.
  void Forget(DeviceId device) { times_.erase(device); }

  // Of a device without lease times its pace says all. Communication is what plan/leaders.h
  // predicts of a round, for sync and, overlapped, for async. O(devices * kDraws).
  struct Communication {
    double sync_s = 0;
    double async_s = 0;
  };
  RoundPrediction Predict(std::span<const RoundDevice> devices,
                          const Communication& communication) const;

 private:
  struct Lease {
    int64_t samples = 0;
    double seconds = 0;
  };
  struct Last {
    std::array<Lease, kTimes> leases;
    size_t count = 0;
  };

  // What the device's last leases would take with its present share, in seconds; not empty.
  std::vector<double> Scaled(const RoundDevice& device) const;

  std::unordered_map<DeviceId, Last> times_;
};

}  // namespace weft::cluster
