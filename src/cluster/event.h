#pragma once
// Events: what a run has to tell. State machines emit them among their actions; the host shows and
// records them.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "cluster/message.h"

namespace weft::cluster {

// ---- from the coordinator

struct StepDone {
  struct Part {
    DeviceId device = 0;
    int64_t samples = 0;
  };
  int64_t step = 0;
  int64_t epoch = 0;
  int64_t samples = 0;
  double loss = 0;  // mean over the step's samples
  int64_t correct = 0;
  double lr = 0;
  double gradient_norm = 0;
  std::vector<Part> parts;  // in slot order
};

struct EpochDone {
  int64_t epoch = 0;
  int64_t next_step = 0;
  double loss = 0;      // mean over what this process saw of the epoch
  double accuracy = 0;  // likewise, on the training batches
  int64_t lost = 0;     // samples of this epoch, counted from what was applied
  int64_t duplicated = 0;
  int64_t absent = 0;  // likewise, of shards whose device was not there
};

struct DeviceJoined {
  DeviceId device = 0;
  std::string name;
  bool again = false;  // had been admitted before under this id
};

struct DeviceLeft {
  DeviceId device = 0;
  std::string name;
  std::string reason;
};

// Nothing is heard of a device that is in the run: others do its work until it is heard again, or
// until it is out of the run.
struct DeviceSilent {
  DeviceId device = 0;
  std::string name;
  double silent_s = 0;  // so far
};

struct DeviceHeard {
  DeviceId device = 0;
  std::string name;
};

// From a device's heartbeat.
struct DeviceProgress {
  DeviceId device = 0;
  double samples_per_second = 0;
  double loss = 0;
  DeviceStats stats{};
};

struct LeaseRedealt {
  Lease lease;
  DeviceId from = 0;
  DeviceId to = 0;
};

// The run stands still until a worker joins.
struct WaitingForWorkers {
  int64_t have = 0;
  int64_t want = 0;
};

// Other devices lead from now on, or other ranges.
struct LeadersChanged {
  uint64_t layout = 0;
  std::vector<Layout::Part> parts;
  std::string reason;
};

// From now on another device brings little, or brings something again (plan/saturation.h).
struct SaturationChanged {
  bool saturated = false;
  int64_t devices = 0;
  double updates_per_s = 0;  // n / t_sync, of whole batches
  double most_per_s = 0;     // that can be exchanged: bandwidth / bytes; 0: not known
  int64_t as_many_as = 0;    // fewer devices, that made as many samples a second; 0: none known
};

// The updates of these sites go through a relay from now on, those of all others straight.
struct SitesChanged {
  struct Site {
    std::string site;
    DeviceId relay = 0;
    int64_t devices = 0;  // with the relay's
    bool operator==(const Site&) const = default;
  };
  std::vector<Site> sites;
  std::string reason;  // may be empty
};

// Updates are joined in another way from now on.
// What links are asked to carry (link_keeper.h).
struct LinksChanged {
  int64_t local_steps = 1;
  int64_t dense = 0;    // devices that send all as fp32
  int64_t devices = 0;  // that compute
  std::string poorest;  // what the poorest link carries: a sentence
  bool operator==(const LinksChanged&) const = default;
};

struct ModeChanged {
  std::string mode;
  std::string reason;
};

struct CheckpointSaved {
  int64_t step = 0;
  std::string path;
};

struct RunDone {
  enum class How { kCompleted, kStoppedEarly, kDrained, kFailed };
  How how = How::kCompleted;
  Status status;       // ok unless kFailed
  std::string reason;  // for people
  int64_t next_step = 0;
  int64_t lost_samples = 0;  // of the whole run, counted from what was applied
  int64_t duplicated_samples = 0;
};

// ---- from a worker

struct Joined {
  DeviceId device = 0;
  bool again = false;
};

struct CoordinatorLost {
  std::string reason;
  double retry_in_s = 0;
};

// The worker's part is over, on purpose or not: Stop says which.
struct Left {
  std::string reason;
};

// ---- from any

struct Warning {
  std::string text;
};

using Event = std::variant<StepDone, EpochDone, DeviceJoined, DeviceLeft, DeviceSilent, DeviceHeard,
                           DeviceProgress, LeaseRedealt, WaitingForWorkers, LeadersChanged,
                           SaturationChanged, SitesChanged, ModeChanged, LinksChanged,
                           CheckpointSaved, RunDone, Joined, CoordinatorLost, Left, Warning>;

// One line for people: "lost the coordinator (connection reset); trying again in 0.8 s".
std::string Describe(const Event& event);

}  // namespace weft::cluster
