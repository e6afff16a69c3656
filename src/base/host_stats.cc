#include "base/host_stats.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "base/file_system.h"
#include "base/text.h"

namespace weft::base {
namespace {

constexpr double kHottest = 200;  // degrees Celsius; more is no temperature

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// The whole numbers of a line, up to the first that is none.
std::vector<int64_t> Numbers(std::string_view text) {
  std::vector<int64_t> numbers;
  for (text = Trim(text); !text.empty(); text = Trim(text)) {
    const size_t end = std::min(text.find_first_of(" \t"), text.size());
    const std::optional<int64_t> number = ParseNumber(text.substr(0, end));
    if (!number) break;
    numbers.push_back(*number);
    text.remove_prefix(end);
  }
  return numbers;
}

// Of the calling thread; empty if the system does not say.
std::vector<int> AllowedProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return {};
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  }
  return processors;
}

}  // namespace

// ---- texts

std::optional<int64_t> ParseNumber(std::string_view text) {
  text = Trim(text);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<int64_t> ParseField(std::string_view text, std::string_view key) {
  for (const std::string& line : Split(text, '\n')) {
    if (!line.starts_with(key) || line.size() == key.size() || line[key.size()] != ' ') continue;
    const std::vector<int64_t> numbers = Numbers(std::string_view(line).substr(key.size()));
    if (!numbers.empty()) return numbers.front();
  }
  return std::nullopt;
}

std::optional<int64_t> ParseMemAvailable(std::string_view meminfo) {
  const std::optional<int64_t> kib = ParseField(meminfo, "MemAvailable:");
  return kib ? std::optional(*kib * 1024) : std::nullopt;
}

std::map<std::string, std::string> ParseGroups(std::string_view text) {
  std::map<std::string, std::string> groups;
  for (const std::string& line : Split(text, '\n')) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    for (const std::string& name : Split(line.substr(first + 1, second - first - 1), ',')) {
      groups[name] = line.substr(second + 1);
    }
  }
  return groups;
}

CpuTicks ParseCpuTicks(std::string_view stat, const std::vector<int>& processors) {
  CpuTicks ticks;
  for (const std::string& line : Split(stat, '\n')) {
    if (!line.starts_with("cpu")) continue;
    const size_t space = std::min(line.find(' '), line.size());
    const std::optional<int64_t> processor =
        ParseNumber(std::string_view(line).substr(3, space - 3));
    if (!processor ||
        (!processors.empty() && std::ranges::find(processors, *processor) == processors.end())) {
      continue;
    }
    // user nice system idle iowait irq softirq steal; guests are in user and nice already.
    const std::vector<int64_t> each = Numbers(std::string_view(line).substr(space));
    for (size_t i = 0; i < std::min<size_t>(each.size(), 8); ++i) {
      ticks.all += each[i];
      if (i == 3 || i == 4) ticks.idle += each[i];
    }
  }
  return ticks;
}

int64_t ParseOwnTicks(std::string_view stat) {
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || name_end + 4 > stat.size()) return 0;
  // After the name and the letter of the state; utime and stime are fields 14 and 15 of all.
  const std::vector<int64_t> numbers = Numbers(stat.substr(name_end + 3));
  return numbers.size() > 11 ? numbers[10] + numbers[11] : 0;
}

std::optional<double> ParseCpuMax(std::string_view text) {
  const std::vector<int64_t> numbers = Numbers(text);
  if (numbers.size() < 2 || numbers[0] <= 0 || numbers[1] <= 0) return std::nullopt;
  return static_cast<double>(numbers[0]) / static_cast<double>(numbers[1]);
}

double ShareOfOthers(const CpuUse& use) {
  if (use.processors <= 0 || use.seconds <= 0) return 0;
  const double others = std::max(0.0, use.busy - use.own) / use.seconds;
  double left = use.processors - others;
  double most = use.processors;
  if (use.quota > 0 && use.quota < use.processors) {
    most = use.quota;
    left = std::min(left, use.quota - std::max(0.0, use.group - use.own) / use.seconds);
  }
  return std::clamp(1 - left / most, 0.0, 1.0);
}

// ---- reading

HostMonitor::HostMonitor(std::string root)
    : root_(std::move(root)),
      groups_(ParseGroups(Text("/proc/self/cgroup"))),
      processors_(AllowedProcessors()) {
  FindQuota();
}

// Empty if there is no such file.
std::string HostMonitor::Text(const std::string& path) const {
  const Result<Bytes> bytes = LocalFileSystem().ReadFile(root_ + path);
  return bytes.ok() ? std::string(AsText(*bytes)) : std::string();
}

// Folders of this process's group of a controller ("": version 2) and of all above it, as each may
// have a limit. In a container the group's own path may be that of the machine outside, while the
// container sees its group as the topmost one, which is always among them.
std::vector<std::string> HostMonitor::Levels(const std::string& controller) const {
  const auto group = groups_.find(controller);
  if (group == groups_.end()) return {};
  const std::string top = controller.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller;
  std::vector<std::string> levels;
  std::string path = group->second;
  while (path.size() > 1 && path.starts_with('/')) {
    levels.push_back(top + path);
    path.resize(path.rfind('/'));
  }
  levels.push_back(top);
  return levels;
}

// What the tightest limit leaves; the largest number if there is none.
int64_t HostMonitor::GroupFreeBytes() const {
  struct Names {
    const char* controller;
    const char* limit;
    const char* usage;
    const char* cache;
  };
  constexpr std::array<Names, 2> kVersions = {
      {{"memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"},
       {"", "/memory.max", "/memory.current", "inactive_file"}}};
  int64_t free = std::numeric_limits<int64_t>::max();
  for (const Names& names : kVersions) {
    for (const std::string& level : Levels(names.controller)) {
      const std::optional<int64_t> limit = ParseNumber(Text(level + names.limit));
      const std::optional<int64_t> usage = ParseNumber(Text(level + names.usage));
      if (!limit || !usage) continue;
      const int64_t cache = ParseField(Text(level + "/memory.stat"), names.cache).value_or(0);
      free = std::min(free, std::max<int64_t>(0, *limit - *usage + cache));
    }
  }
  return free;
}

void HostMonitor::FindQuota() {
  const auto consider = [this](const std::string& level, std::optional<double> processors) {
    if (!processors || (!quota_group_.empty() && *processors >= quota_processors_)) return;
    quota_group_ = level;
    quota_processors_ = *processors;
  };
  for (const std::string& level : Levels("cpu")) {
    consider(level, ParseCpuMax(Text(level + "/cpu.cfs_quota_us") + " " +
                                Text(level + "/cpu.cfs_period_us")));
  }
  for (const std::string& level : Levels(""))
    consider(level, ParseCpuMax(Text(level + "/cpu.max")));
}

double HostMonitor::OtherLoad() {
  const CpuTicks ticks = ParseCpuTicks(Text("/proc/stat"), processors_);
  CpuSight now = {.all = ticks.all, .idle = ticks.idle};
  now.own = ParseOwnTicks(Text("/proc/self/stat"));
  if (!quota_group_.empty()) {
    const auto us = ParseField(Text(quota_group_ + "/cpu.stat"), "usage_usec");
    const auto ns = ParseNumber(Text(quota_group_ + "/cpuacct.usage"));
    now.group_us = us ? static_cast<double>(*us) : ns ? static_cast<double>(*ns) / 1000 : 0;
  }
  const std::optional<CpuSight> last = std::exchange(last_, now);
  if (!last || now.all <= last->all) return 0;
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto seconds = [&](int64_t count) { return static_cast<double>(count) / ticks_per_second; };
  CpuUse use;
  use.processors = static_cast<double>(std::max<size_t>(processors_.size(), 1));
  use.seconds = seconds(now.all - last->all) / use.processors;
  use.busy = seconds((now.all - now.idle) - (last->all - last->idle));
  use.own = seconds(now.own - last->own);
  use.quota = quota_processors_;
  use.group = (now.group_us - last->group_us) * 1e-6;
  return ShareOfOthers(use);
}

double HostMonitor::Temperature() const {
  const std::string folder = "/sys/class/thermal";
  const auto names = LocalFileSystem().List(root_ + folder);
  if (!names.ok()) return 0;
  double hottest = 0;
  for (const std::string& name : *names) {
    if (!name.starts_with("thermal_zone")) continue;
    const auto thousandths = ParseNumber(Text(folder + "/" + name + "/temp"));
    if (!thousandths) continue;
    const double degrees = static_cast<double>(*thousandths) / 1000;
    if (degrees < kHottest) hottest = std::max(hottest, degrees);
  }
  return hottest;
}

HostStats HostMonitor::Read() {
  HostStats stats;
  if (const auto available = ParseMemAvailable(Text("/proc/meminfo"))) {
    stats.free_bytes = std::min(*available, GroupFreeBytes());
  }
  stats.other_load = OtherLoad();
  stats.temperature = Temperature();
  return stats;
}

}  // namespace weft::base
