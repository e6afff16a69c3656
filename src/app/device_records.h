#pragma once
// DeviceRecords: what became of each device of a run: devices.json in the run's folder, which `weft
// devices` shows.

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "cluster/event.h"

namespace weft::app {

// Times are seconds since 1970, UTC.
struct DeviceRecord {
  cluster::DeviceId id = 0;
  std::string name;
  std::string state;              // "joined", "working", "left" or "done" (the run is)
  std::string reason;             // why it left
  int64_t joined = 0;             // for the first time
  int64_t last_seen = 0;          // its last heartbeat, or the step with its last lease
  double samples_per_second = 0;  // as it said last
  int64_t samples = 0;            // computed and applied
  int64_t leases = 0;             // likewise
  int64_t lease_samples = 0;      // of the last one
  cluster::DeviceStats stats;

  // At the size of its last lease; 0: not known.
  double Speed() const;
};
nlohmann::ordered_json ToJson(const DeviceRecord& device);

// Threads: one.
class DeviceRecords {
 public:
  // Errors: kDataLoss naming `file` and the field.
  static Result<DeviceRecords> FromJson(ByteView bytes, const std::string& file);
  // {"updated": .., "devices": [..]}
  nlohmann::ordered_json ToJson(int64_t now) const;

  void Add(const cluster::Event& event, int64_t now);
  // Nobody is there (any more): those that had not left are now in `state`.
  void CloseAll(const std::string& state);

  // By id.
  std::vector<DeviceRecord> devices() const;
  // When it was written; 0 for records that were not read.
  int64_t updated() const { return updated_; }

 private:
  DeviceRecord& Of(cluster::DeviceId device);

  std::map<cluster::DeviceId, DeviceRecord> devices_;
  int64_t updated_ = 0;
};

// "2026-01-31T12:34:56Z", as base::WallTimeUtc() writes it, to seconds since 1970; 0 for anything
// else.
int64_t ParseUtc(const std::string& text);
std::string UtcText(int64_t seconds);

}  // namespace weft::app
