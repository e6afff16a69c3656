// weft devices: what a run knows of its devices.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/device_records.h"
#include "app/devices_table.h"
#include "app/run_folder.h"
#include "app/signals.h"
#include "app/terminal.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/log.h"

namespace weft::app {
namespace {

constexpr Duration kRedraw = std::chrono::seconds(2);
constexpr Duration kPoll = std::chrono::milliseconds(100);

struct DevicesFlags {
  std::string folder;
  bool watch = false;
};

int64_t NowUtc() { return ParseUtc(base::WallTimeUtc()); }

Result<DevicesOfRun> Read(const std::string& folder) {
  base::FileSystem& disk = base::LocalFileSystem();
  ASSIGN_OR_RETURN(const RunRecord record, ReadRunRecord(&disk, folder));
  const std::string file = base::JoinPath(folder, kDevicesFile);
  ASSIGN_OR_RETURN(const Bytes bytes, disk.ReadFile(file));
  DevicesOfRun run;
  run.run = record.run;
  run.folder = folder;
  run.outcome = record.ended.empty() ? "running" : record.outcome;
  ASSIGN_OR_RETURN(run.records, DeviceRecords::FromJson(bytes, file));
  return run;
}

void PrintDevices(const DevicesOfRun& run) {
  for (const DeviceRecord& device : run.records.devices()) {
    nlohmann::ordered_json line = {{"event", "device"}};
    line.update(ToJson(device));
    PrintJsonLine(line);
  }
}

void PrintResult(const DevicesOfRun& run) {
  PrintJsonLine({{"event", "result"},
                 {"run", run.run},
                 {"folder", run.folder},
                 {"outcome", run.outcome},
                 {"updated", UtcText(run.records.updated())},
                 {"devices", run.records.devices().size()}});
}

void PrintText(const DevicesOfRun& run, bool redraw) {
  std::string text = DevicesTable(run, NowUtc());
  // To the corner, and what was below is gone.
  if (redraw) text = "\x1b[H\x1b[J" + text;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// False if a signal came meanwhile.
bool Wait(Duration wait) {
  for (Duration waited{}; waited < wait; waited += kPoll) {
    if (SignalReceived() != 0) return false;
    base::SystemClock().SleepFor(kPoll);
  }
  return SignalReceived() == 0;
}

// Shows the run in `folder`, again and again if it is watched and runs.
int Show(const std::string& folder, bool watch, bool json) {
  const bool redraw = watch && ::isatty(STDOUT_FILENO) != 0 && StderrTerminal().interactive;
  for (bool more = true; more;) {
    const Result<DevicesOfRun> run = Read(folder);
    if (!run.ok()) {
      base::LogError("{}", run.status().message());
      return ExitCodeOf(run.status());
    }
    json ? PrintDevices(*run) : PrintText(*run, redraw);
    more = watch && run->outcome == "running" && Wait(kRedraw);
    if (!more && json) PrintResult(*run);
  }
  return SignalReceived() != 0 ? 128 + SignalReceived() : kExitOk;
}

int RunDevices(const DevicesFlags& flags, const CommonFlags& common) {
  std::string folder = flags.folder;
  if (folder.empty()) {
    const Result<std::string> newest = NewestRun(&base::LocalFileSystem(), "runs");
    if (!newest.ok()) {
      base::LogError("{}", newest.status().message());
      return ExitCodeOf(newest.status());
    }
    folder = *newest;
  }
  if (flags.watch) CatchSignals();
  return Show(folder, flags.watch, common.json);
}

}  // namespace

void AddDevices(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<DevicesFlags>();
  CLI::App* app = program->add_subcommand("devices", "Show what a run knows of its devices");
  app->add_option("RUN", flags->folder, "A run's folder (default: the newest below runs/)");
  app->add_flag("--watch", flags->watch, "Again every 2 s, until the run has ended");
  commands->push_back({app, [flags, common] { return RunDevices(*flags, *common); }});
}

}  // namespace weft::app
