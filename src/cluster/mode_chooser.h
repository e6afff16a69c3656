#pragma once
// ModeChooser: what the coordinator tells a Policy (policy.h): how long leases and rounds take and
// how the loss falls.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cluster/event.h"
#include "cluster/message.h"
#include "cluster/policy.h"
#include "plan/shares.h"

namespace weft::cluster {

// Threads: one.
class ModeChooser {
 public:
  // A round is `batch` samples.
  ModeChooser(aggregate::Mode mode, int64_t batch, const PolicyOptions& options)
      : policy_(mode, options), batch_(batch) {}

  // What a device says of itself, again and again: counts the lease it has computed since.
  void OnStats(DeviceId device, const DeviceStats& stats);
  void OnLost(DeviceId device);
  // Steps, or a stream, go on from here: what was before is no part of the next round.
  void GoOn(TimePoint now) { since_ = now; }
  // Samples were committed; `parts`: by whom, and how many. `loss`: their mean; `of_run`: how many
  // samples of the run that makes.
  void OnCommitted(TimePoint now, std::span<const StepDone::Part> parts, double loss,
                   int64_t of_run);

  struct KnownDevice {
    DeviceId device = 0;
    std::string name;
    plan::Pace pace;
    double exchange_s = 0;  // RoundDevice
  };
  // Once a round is full; nothing: it is not. Devices without a pace are left out.
  std::optional<PolicyAnswer> Evaluate(std::span<const KnownDevice> devices,
                                       const RoundTimes::Communication& communication,
                                       int64_t samples_left);

 private:
  Policy policy_;
  int64_t batch_;
  std::map<DeviceId, int64_t> leases_;  // counted of each device
  TimePoint since_;
  double seconds_ = 0;  // of the round that is not full
  int64_t samples_ = 0;
  std::map<DeviceId, int64_t> parts_;
};

}  // namespace weft::cluster
