#pragma once
// Scenario: a cluster and what befalls it, read from a file: devices, links, faults, the job, and
// what must hold at the end. `weft sim` runs it in virtual time, the lab with real processes.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/doc.h"
#include "base/file_system.h"
#include "base/status.h"
#include "config/run_config.h"
#include "sim/options.h"

namespace weft::config {

// The process of coordinator and leader. What is left out is worked out from the model's size.
struct CoordinatorOptions {
  double speed = 1;
  int64_t cores = 1;
  std::optional<double> message_seconds;
  std::optional<double> push_seconds;
  std::optional<double> apply_seconds;
  std::optional<double> send_seconds;
  std::string site;
  Duration restart = std::chrono::seconds(1);
  sim::LinkOptions link;
  bool operator==(const CoordinatorOptions&) const = default;
};

using Stretches = std::vector<std::pair<Duration, Duration>>;

// One table [device.NAME]: devices that are alike.
struct DeviceGroup {
  std::string name;
  int64_t count = 0;          // called NAME-0, NAME-1, ...; 0: one device, called NAME
  sim::DeviceOptions device;  // without name, curves and lease_seconds
  ByteCount memory;
  ByteCount storage;
  std::string profile;  // a file of `weft profile`; at most one of this and seconds_per_sample
  std::optional<double> seconds_per_sample;
  std::optional<double> seconds_per_lease;
  std::string availability = "always";
  std::vector<Stretches> traces;  // one a device, if `availability` is a trace
  bool operator==(const DeviceGroup&) const = default;

  int64_t size() const { return count == 0 ? 1 : count; }
  std::string NameOf(int64_t i) const;
};

// What must hold at the end; what is left out is not looked at.
struct Expectations {
  bool completed = true;
  int64_t lost = 0;  // at most, as are all that follow with no word of their own
  int64_t duplicated = 0;
  int64_t max_violations = 0;
  std::optional<Duration> max_virtual;
  std::optional<Duration> max_training;
  std::optional<double> max_epoch_seconds;
  std::optional<double> min_samples_per_second;
  std::optional<double> min_utilisation;
  std::optional<double> max_recomputed_share;
  std::optional<double> min_accuracy;
  std::optional<double> max_loss;
  bool operator==(const Expectations&) const = default;
};

struct Scenario {
  std::string name;  // the file's own
  std::string title;
  std::string mode = "cost";
  Duration limit = std::chrono::hours(24);
  int64_t seed = 1;
  int64_t samples = 0;  // cost mode: of one epoch, instead of opening the data; 0: open it
  int64_t pieces = 16;  // of a payload, at most
  double unfairness = sim::WireOptions().unfairness;
  int64_t start_workers = 0;  // that the first step waits for; 0: see docs/scenario.md
  std::string job_file;
  RunConfig job;
  CoordinatorOptions coordinator;
  std::vector<DeviceGroup> groups;
  std::vector<sim::SegmentOptions> segments;
  sim::FaultOptions faults;
  std::vector<sim::ScheduledEvent> schedule;
  Expectations expect;
  bool operator==(const Scenario&) const = default;

  int64_t device_count() const;
};

// Reads a parsed scenario; `overrides` of the job's keys are applied to a job file that it names.
// Other files that it names are read from `disk`, relative ones from origin.folder.
// Errors: kInvalidArgument with file:line, the field, what was got and what is wanted; an unknown
// key has a did-you-mean. Those of the disk pass through.
Result<Scenario> ScenarioFromDoc(const base::Doc& doc, const Origin& origin,
                                 std::span<const std::string> overrides, base::FileSystem* disk);

// Reads a scenario file, then applies `overrides` ("scenario.seed=3", "device.pi.count=100",
// "job.epochs=2") in order. Errors: as ScenarioFromDoc.
Result<Scenario> LoadScenario(const std::string& path, std::span<const std::string> overrides);

// Every key with type, default and meaning, as Markdown: docs/scenario.md.
std::string ScenarioReference();

}  // namespace weft::config
