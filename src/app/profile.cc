// weft profile: measures this device for weft plan.

#include "app/profile.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/bench_step.h"
#include "app/command.h"
#include "app/profile_device.h"
#include "app/profile_measure.h"
#include "app/threads.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/text.h"

namespace weft::app {
namespace {

struct ProfileFlags {
  int64_t threads = 0;  // 0: all cores
  std::string kernels = "auto";
  std::string out;
  bool quick = false;
};

Result<plan::DeviceProfile> Measure(const ProfileFlags& flags, const std::string& folder) {
  const TimePoint start = base::SystemClock().Now();
  plan::DeviceProfile profile;
  profile.kernels = flags.kernels;
  profile.threads = flags.threads > 0 ? flags.threads : Cores();
  RETURN_IF_ERROR(MeasureProcess(&profile));
  DescribeDevice(&profile);
  MeasureMemory(&profile);
  const size_t disk_bytes = size_t{flags.quick ? 8u : 64u} << 20;
  RETURN_IF_ERROR(MeasureDisk(folder, disk_bytes, &profile));
  ASSIGN_OR_RETURN(profile.sgemm_gflops,
                   SgemmGflops(flags.kernels, static_cast<int>(profile.threads)));
  MeasureOpsOptions options;
  options.seconds = flags.quick ? 2.5 : 14;
  options.quick = flags.quick;
  RETURN_IF_ERROR(MeasureOps(options, &profile));
  profile.seconds = base::Seconds(base::SystemClock().Now() - start);
  return profile;
}

// Of one kind of op, over its points.
struct Range {
  size_t points = 0;
  double low = 0, middle = 0, high = 0;  // GFLOP/s or GB/s
};

Range RangeOf(const plan::DeviceProfile& profile, plan::OpKind kind) {
  std::vector<double> rates;
  for (const plan::Measurement& point : profile.points) {
    if (point.size.kind == kind) rates.push_back(point.size.work / point.us * 1e-3);
  }
  if (rates.empty()) return {};
  std::sort(rates.begin(), rates.end());
  return {rates.size(), rates.front(), rates[rates.size() / 2], rates.back()};
}

void Print(const plan::DeviceProfile& p, const std::string& path) {
  std::printf("%s: %s, %lld core%s, %s kernels\n", p.host.c_str(), p.cpu.c_str(),
              static_cast<long long>(p.cores), p.cores == 1 ? "" : "s", p.simd.c_str());
  std::printf("  memory %s, %s free; %.1f GB/s, in a cache of %s %.1f GB/s\n",
              base::HumanBytes(p.memory_bytes).c_str(),
              base::HumanBytes(p.memory_available_bytes).c_str(), p.memory_gbps,
              base::HumanBytes(p.cache_bytes).c_str(), p.cache_gbps);
  std::printf("  disk writes %.0f MB/s, reads %.0f MB/s\n", p.disk_write_mbps, p.disk_read_mbps);
  std::printf(
      "  a training process takes %s beside its plan; oneDNN's convolutions %s more, and "
      "%s each op of oneDNN\n",
      base::HumanBytes(p.process_bytes).c_str(), base::HumanBytes(p.conv_bytes).c_str(),
      base::HumanBytes(p.op_bytes).c_str());
  std::printf("  matrix product %.1f GFLOP/s on %lld thread%s\n\n", p.sgemm_gflops,
              static_cast<long long>(p.threads), p.threads == 1 ? "" : "s");
  std::printf("%-28s %6s %9s %9s %9s\n", "op", "points", "slowest", "median", "fastest");
  for (int i = 0; i < plan::kOpKinds; ++i) {
    const auto kind = static_cast<plan::OpKind>(i);
    const Range range = RangeOf(p, kind);
    if (range.points == 0) continue;
    std::printf("%-28s %6zu %9.1f %9.1f %9.1f %s\n", std::string(OpKindName(kind)).c_str(),
                range.points, range.low, range.middle, range.high,
                CountsFlops(kind) ? "GFLOP/s" : "GB/s");
  }
  std::printf("\nmeasured in %s; saved as %s\n", base::HumanDuration(p.seconds).c_str(),
              path.c_str());
}

void PrintJson(const plan::DeviceProfile& p, const std::string& path) {
  for (int i = 0; i < plan::kOpKinds; ++i) {
    const auto kind = static_cast<plan::OpKind>(i);
    const Range range = RangeOf(p, kind);
    if (range.points == 0) continue;
    PrintJsonLine({{"event", "op"},
                   {"op", OpKindName(kind)},
                   {"points", range.points},
                   {"unit", CountsFlops(kind) ? "GFLOP/s" : "GB/s"},
                   {"slowest", range.low},
                   {"median", range.middle},
                   {"fastest", range.high}});
  }
  PrintJsonLine({{"event", "result"},
                 {"profile", path},
                 {"seconds", p.seconds},
                 {"busy_share", p.busy_share},
                 {"host", p.host},
                 {"cpu", p.cpu},
                 {"simd", p.simd},
                 {"kernels", p.kernels},
                 {"cores", p.cores},
                 {"threads", p.threads},
                 {"points", p.points.size()},
                 {"cache_bytes", p.cache_bytes},
                 {"memory_bytes", p.memory_bytes},
                 {"memory_available_bytes", p.memory_available_bytes},
                 {"memory_gbps", p.memory_gbps},
                 {"cache_gbps", p.cache_gbps},
                 {"sgemm_gflops", p.sgemm_gflops},
                 {"disk_write_mbps", p.disk_write_mbps},
                 {"disk_read_mbps", p.disk_read_mbps},
                 {"process_bytes", p.process_bytes},
                 {"conv_bytes", p.conv_bytes},
                 {"op_bytes", p.op_bytes}});
}

Result<plan::DeviceProfile> MeasureAndSave(const ProfileFlags& flags, std::string* path) {
  *path = flags.out;
  if (path->empty()) {
    ASSIGN_OR_RETURN(*path, DefaultProfilePath());
    RETURN_IF_ERROR(base::LocalFileSystem().MakeDirs(base::DirName(*path)));
  }
  ASSIGN_OR_RETURN(plan::DeviceProfile profile, Measure(flags, base::DirName(*path)));
  RETURN_IF_ERROR(base::LocalFileSystem().WriteFileAtomic(*path, base::AsBytes(profile.ToJson())));
  return profile;
}

// On one thread, times are of what it computed; on several, others' share of the cores is in them.
void WarnIfBusy(const plan::DeviceProfile& profile) {
  constexpr double kBusy = 0.1;
  if (profile.threads == 1 || profile.busy_share < kBusy) return;
  base::LogWarning(
      "other programs had the core for {:.0f} % of the time, so this profile is too slow; measure "
      "again when the device is quiet",
      100 * profile.busy_share);
}

int RunProfile(const ProfileFlags& flags, const CommonFlags& common) {
  std::string path;
  const Result<plan::DeviceProfile> profile = MeasureAndSave(flags, &path);
  if (!profile.ok()) {
    base::LogError("{}", profile.status().message());
    return ExitCodeOf(profile.status());
  }
  WarnIfBusy(*profile);
  if (common.json) {
    PrintJson(*profile, path);
  } else {
    Print(*profile, path);
  }
  return kExitOk;
}

}  // namespace

Result<std::string> DefaultProfilePath() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  // The specification has relative paths ignored.
  if (state != nullptr && state[0] == '/') return base::JoinPath(state, "weft/profile.json");
  if (home == nullptr || home[0] == '\0') {
    return FailedPrecondition(
        "neither XDG_STATE_HOME nor HOME is set, so there is no place for device profiles; name "
        "the file itself");
  }
  return base::JoinPath(home, ".local/state/weft/profile.json");
}

Result<plan::DeviceProfile> LoadProfile(const std::string& path) {
  ASSIGN_OR_RETURN(const Bytes bytes, base::LocalFileSystem().ReadFile(path));
  Result<plan::DeviceProfile> profile = plan::DeviceProfile::FromJson(base::AsText(bytes), path);
  if (!profile.ok()) return DataLoss(profile.status().message());
  return profile;
}

void AddProfile(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<ProfileFlags>();
  CLI::App* app = program->add_subcommand("profile", "Measure this device, for weft plan");
  app->add_option("--threads", flags->threads, "Threads of the math (default: all cores)")
      ->check(CLI::Range(1, 1024));
  app->add_option("--kernels", flags->kernels, "auto, onednn or reference");
  app->add_option("--out", flags->out,
                  "The file to write (default: weft/profile.json under XDG_STATE_HOME or "
                  "~/.local/state)");
  app->add_flag("--quick", flags->quick, "Fewer sizes, in a few seconds");
  commands->push_back({app, [flags, common] { return RunProfile(*flags, *common); }});
}

}  // namespace weft::app
