#include "app/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/event_log.h"
#include "base/doc.h"
#include "base/log.h"

namespace weft::app {
namespace {

using nlohmann::ordered_json;

constexpr char kRecordName[] = "run.json";
constexpr double kSaveDevicesEvery = 2;  // seconds

void ReadTexts(const base::Doc* table, std::map<std::string, std::string>* texts) {
  if (table == nullptr) return;
  for (const auto& [key, value] : table->table) (*texts)[key] = value.text;
}

}  // namespace

ordered_json ToJson(const RunRecord& record) {
  return {{"run", record.run},
          {"program", record.program},
          {"libraries", record.libraries},
          {"seed", record.config.job.seed},
          {"config_digest", record.config.Digest()},
          {"config", ordered_json::parse(record.config.ToJson())},
          {"digests", record.digests},
          {"devices", record.devices},
          {"started", record.started},
          {"ended", record.ended},
          {"result", record.result}};
}

Result<RunRecord> RunRecordFromJson(ByteView bytes, const std::string& file) {
  auto parsed = base::ParseJson(base::AsText(bytes), file);
  if (!parsed.ok()) return base::DataLoss(parsed.status().message());
  base::Fields fields(&*parsed, "", file);
  RunRecord record;
  fields.Get("run", &record.run, true);
  fields.Get("program", &record.program, true);
  ReadTexts(fields.Take("libraries"), &record.libraries);
  ReadTexts(fields.Take("digests"), &record.digests);
  fields.Get("devices", &record.devices);
  fields.Get("started", &record.started);
  fields.Get("ended", &record.ended);
  const base::Doc* config = fields.Take("config");
  if (config == nullptr) fields.Fail("config", "is missing, want the job's config");
  if (const base::Doc* result = fields.Take("result")) {
    if (const base::Doc* outcome = result->Find("outcome")) record.outcome = outcome->text;
  }
  for (const char* derived : {"seed", "config_digest"}) fields.Take(derived);
  RETURN_IF_ERROR(fields.Finish());
  ASSIGN_OR_RETURN(record.config, config::FromDoc(*config, {.file = file, .folder = ""}));
  return record;
}

Result<RunRecord> ReadRunRecord(base::FileSystem* file_system, const std::string& folder) {
  const std::string file = base::JoinPath(folder, kRecordName);
  ASSIGN_OR_RETURN(const Bytes bytes, file_system->ReadFile(file));
  return RunRecordFromJson(bytes, file);
}

Result<std::string> NewestRun(base::FileSystem* file_system, const std::string& folder) {
  std::string newest;
  std::string started;  // texts of times sort as the times do
  const auto names = file_system->List(folder);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const auto record = ReadRunRecord(file_system, base::JoinPath(folder, name));
    if (!record.ok() || record->started.empty() || record->started.back() < started) continue;
    newest = base::JoinPath(folder, name);
    started = record->started.back();
  }
  if (newest.empty()) return NotFound(folder + ": holds no run; want a run's folder");
  return newest;
}

RunFolder::RunFolder(base::FileSystem* file_system, std::string path, RunRecord record)
    : file_system_(file_system), path_(std::move(path)), record_(std::move(record)) {}

Result<RunFolder> RunFolder::Create(base::FileSystem* file_system, const std::string& path,
                                    RunRecord record) {
  if (file_system->Exists(base::JoinPath(path, kRecordName))) {
    return Status(Code::kAlreadyExists,
                  fmt::format("{}: holds a run already; continue it with --resume {}, or choose "
                              "another folder with --out",
                              path, path));
  }
  RETURN_IF_ERROR(file_system->MakeDirs(path));
  RunFolder folder(file_system, path, std::move(record));
  RETURN_IF_ERROR(folder.WriteRecord());
  return folder;
}

Result<RunFolder> RunFolder::Open(base::FileSystem* file_system, const std::string& path,
                                  const std::string& now) {
  ASSIGN_OR_RETURN(RunRecord record, ReadRunRecord(file_system, path));
  record.started.push_back(now);
  record.ended.clear();
  record.outcome.clear();
  RunFolder folder(file_system, path, std::move(record));
  folder.SaveRecord();
  folder.ReadDevices();
  return folder;
}

// Those of earlier starts. They are worth no failure.
void RunFolder::ReadDevices() {
  const std::string file = base::JoinPath(path_, kDevicesFile);
  const Result<Bytes> bytes = file_system_->ReadFile(file);
  if (!bytes.ok()) return;
  Result<DeviceRecords> devices = DeviceRecords::FromJson(*bytes, file);
  if (!devices.ok()) return base::LogWarning("{}", devices.status().message());
  devices_ = std::move(devices).value();
  devices_.CloseAll("left");
}

std::string RunFolder::model_path() const { return base::JoinPath(path_, "model.safetensors"); }
std::string RunFolder::metrics_path() const { return base::JoinPath(path_, "metrics.jsonl"); }
std::string RunFolder::report_path() const { return base::JoinPath(path_, "report.html"); }
std::string RunFolder::checkpoints_path() const { return base::JoinPath(path_, "checkpoints"); }

void RunFolder::AddStart(int64_t step, const std::string& now) {
  started_ = ParseUtc(now);
  Append({{"event", "start"}, {"step", step}, {"time", now}});
}

void RunFolder::Add(const cluster::Event& event, double seconds) {
  if (!std::holds_alternative<cluster::DeviceProgress>(event)) Append(ToJson(event, seconds));
  if (const auto* joined = std::get_if<cluster::DeviceJoined>(&event)) NoteName(joined->name);
  devices_.Add(event, started_ + static_cast<int64_t>(seconds));
  if (seconds - devices_saved_ >= kSaveDevicesEvery) SaveDevices(seconds);
}

void RunFolder::NoteName(const std::string& name) {
  auto& devices = record_.devices;
  if (std::find(devices.begin(), devices.end(), name) != devices.end()) return;
  devices.push_back(name);
  SaveRecord();
}

void RunFolder::Add(const Evaluated& test, double seconds) { Append(ToJson(test, seconds)); }

void RunFolder::SetDigest(const std::string& name, const std::string& sha256) {
  record_.digests[name] = sha256;
  SaveRecord();
}

void RunFolder::Finish(const RunResult& result, const std::string& now) {
  record_.ended = now;
  record_.result = ToJson(result);
  SaveRecord();
  devices_.CloseAll("done");
  SaveDevices(static_cast<double>(ParseUtc(now) - started_));
}

Status RunFolder::WriteRecord() {
  const std::string text =
      ToJson(record_).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  return file_system_->WriteFileAtomic(base::JoinPath(path_, kRecordName), base::AsBytes(text));
}

void RunFolder::SaveDevices(double seconds) {
  devices_saved_ = seconds;
  const ordered_json json = devices_.ToJson(started_ + static_cast<int64_t>(seconds));
  const std::string text = json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  Report(file_system_->ReplaceFile(base::JoinPath(path_, kDevicesFile), base::AsBytes(text)));
}

void RunFolder::SaveRecord() { Report(WriteRecord()); }

void RunFolder::Append(const ordered_json& line) {
  Report(file_system_->AppendFile(metrics_path(), base::AsBytes(JsonLine(line))));
}

void RunFolder::Report(const Status& status) {
  if (!status.ok() && !failing_) {
    base::LogWarning("the run's record has gaps from here on: {}; training goes on",
                     status.message());
  }
  if (status.ok() && failing_) base::LogInfo("{}: can be written again", path_);
  failing_ = !status.ok();
}

}  // namespace weft::app
