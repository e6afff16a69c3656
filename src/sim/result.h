#pragma once
// Result: what a simulated run came to. The lab prints the same of real processes.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weft::sim {

struct LinkUse {
  int64_t up_bytes = 0;  // on the wire, out of the device: payloads, headers, repetitions
  int64_t down_bytes = 0;
  double up_share = 0;  // of the time in which the device was up: the link was sending
  double down_share = 0;
};

struct DeviceResult {
  std::string name;
  int64_t leases = 0;   // computed
  int64_t samples = 0;  // of those that were applied
  int64_t starts = 0;   // of its process
  double up_s = 0;      // switched on
  double compute_s = 0;
  LinkUse link;
};

struct EpochResult {
  int64_t epoch = 0;
  double seconds = 0;              // since the one before, or since the first step began
  double loss = 0;                 // means nothing in cost mode
  std::optional<double> accuracy;  // after it, on the test data; filled in by who has them
};

struct Result {
  bool completed = false;
  std::string outcome;    // "completed", "stands still", "failed: ..."
  double virtual_s = 0;   // until the run was over
  double training_s = 0;  // of that, since the first step began
  double wall_s = 0;      // that simulating took
  int64_t steps = 0;
  int64_t samples = 0;     // applied
  int64_t recomputed = 0;  // samples computed but not applied
  int64_t lost = 0;
  int64_t duplicated = 0;
  double samples_per_second = 0;  // of training_s
  std::vector<EpochResult> epochs;
  std::vector<DeviceResult> devices;
  LinkUse hub;
  std::vector<std::pair<std::string, LinkUse>> segments;
  int64_t messages = 0;
  int64_t events = 0;                    // of the loop
  std::map<int64_t, int64_t> staleness;  // versions between base and apply: updates
  std::optional<double> accuracy;        // math mode, on the test data
  std::optional<double> test_loss;
  std::vector<std::string> violations;  // what the checkers found
  uint64_t trace_hash = 0;
  uint64_t seed = 0;
};

}  // namespace weft::sim
