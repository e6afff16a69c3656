#pragma once
// RunFolder: what a run leaves behind: run.json (what it was), metrics.jsonl (what happened),
// devices.json (who computed), checkpoints/, model.safetensors and report.html. After its creation
// a disk that fails is a warning, never the end of the run.

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/device_records.h"
#include "app/run_event.h"
#include "base/file_system.h"
#include "base/status.h"
#include "cluster/event.h"
#include "config/run_config.h"

namespace weft::app {

// run.json, as values.
struct RunRecord {
  std::string run;      // id
  std::string program;  // "weft 0.1.0"
  config::RunConfig config;
  std::map<std::string, std::string> libraries;  // name to version
  std::map<std::string, std::string> digests;    // "model", "weights", "train data", ...
  std::vector<std::string> devices;              // names, in order of joining
  std::vector<std::string> started;              // wall time of the start and of each resume
  std::string ended;                             // empty: it runs, or was killed
  nlohmann::ordered_json result;                 // null until it ended, and if it was read
  std::string outcome;  // of the result, if it was read: "completed", ...; else empty
};
nlohmann::ordered_json ToJson(const RunRecord& record);
// Errors: kDataLoss or kInvalidArgument naming `file` and the field.
Result<RunRecord> RunRecordFromJson(ByteView bytes, const std::string& file);

// Of the run in `folder`. Errors: kNotFound if there is no run.json; kDataLoss if it is damaged.
Result<RunRecord> ReadRunRecord(base::FileSystem* file_system, const std::string& folder);

// The folder of the run that was started or continued last, of those directly below `folder`.
// Errors: kNotFound if there is none.
Result<std::string> NewestRun(base::FileSystem* file_system, const std::string& folder);

// Name of the file in a run's folder that tells of its devices.
inline constexpr char kDevicesFile[] = "devices.json";

// Threads: one.
class RunFolder {
 public:
  // A new folder. Errors: kAlreadyExists if `path` holds a run.json; those of the file system.
  static Result<RunFolder> Create(base::FileSystem* file_system, const std::string& path,
                                  RunRecord record);
  // The folder of a run that is to go on, its record read from run.json; `now` (wall time) is noted
  // as a start. Errors: kNotFound if there is no run.json; kDataLoss if it is damaged.
  static Result<RunFolder> Open(base::FileSystem* file_system, const std::string& path,
                                const std::string& now);

  const RunRecord& record() const { return record_; }
  const std::string& path() const { return path_; }
  std::string model_path() const;
  std::string metrics_path() const;
  std::string report_path() const;
  std::string checkpoints_path() const;

  // {"event": "start", ..}: what metrics.jsonl held of `step` and later no longer counts. `now` is
  // wall time.
  void AddStart(int64_t step, const std::string& now);
  // Appends the event to metrics.jsonl, except for reports of a device's speed, of which there are
  // many; notes new devices in run.json, and all of them in devices.json, every 2 s at most.
  // `seconds` since this start.
  void Add(const cluster::Event& event, double seconds);
  void Add(const Evaluated& test, double seconds);
  // "weights", "train data": into run.json.
  void SetDigest(const std::string& name, const std::string& sha256);
  // The end; `now` is wall time.
  void Finish(const RunResult& result, const std::string& now);

 private:
  RunFolder(base::FileSystem* file_system, std::string path, RunRecord record);
  Status WriteRecord();
  void SaveRecord();
  void NoteName(const std::string& name);
  void ReadDevices();
  void SaveDevices(double seconds);
  void Append(const nlohmann::ordered_json& line);
  // A warning when writing begins to fail, and a word when it works again; silent in between.
  void Report(const Status& status);

  base::FileSystem* file_system_;
  std::string path_;
  RunRecord record_;
  DeviceRecords devices_;
  int64_t started_ = 0;          // this time; seconds since 1970
  double devices_saved_ = -1e9;  // when; seconds since this start
  bool failing_ = false;
};

}  // namespace weft::app
