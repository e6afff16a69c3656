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
  for (const char* derived : {"seed", "config_digest", "result"}) fields.Take(derived);
  RETURN_IF_ERROR(fields.Finish());
  ASSIGN_OR_RETURN(record.config, config::FromDoc(*config, {.file = file, .folder = ""}));
  return record;
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
  const std::string file = base::JoinPath(path, kRecordName);
  ASSIGN_OR_RETURN(const Bytes bytes, file_system->ReadFile(file));
  ASSIGN_OR_RETURN(RunRecord record, RunRecordFromJson(bytes, file));
  record.started.push_back(now);
  record.ended.clear();
  RunFolder folder(file_system, path, std::move(record));
  folder.SaveRecord();
  return folder;
}

std::string RunFolder::model_path() const { return base::JoinPath(path_, "model.safetensors"); }
std::string RunFolder::metrics_path() const { return base::JoinPath(path_, "metrics.jsonl"); }
std::string RunFolder::report_path() const { return base::JoinPath(path_, "report.html"); }
std::string RunFolder::checkpoints_path() const { return base::JoinPath(path_, "checkpoints"); }

void RunFolder::AddStart(int64_t step, const std::string& now) {
  Append({{"event", "start"}, {"step", step}, {"time", now}});
}

void RunFolder::Add(const cluster::Event& event, double seconds) {
  if (std::holds_alternative<cluster::DeviceProgress>(event)) return;
  Append(ToJson(event, seconds));
  const auto* joined = std::get_if<cluster::DeviceJoined>(&event);
  if (joined == nullptr) return;
  auto& devices = record_.devices;
  if (std::find(devices.begin(), devices.end(), joined->name) != devices.end()) return;
  devices.push_back(joined->name);
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
}

Status RunFolder::WriteRecord() {
  const std::string text =
      ToJson(record_).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  return file_system_->WriteFileAtomic(base::JoinPath(path_, kRecordName), base::AsBytes(text));
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
