#pragma once
// HostStats: what goes on in this machine beside this process, as Linux tells it under /proc and
// /sys. What the system does not say stays 0.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::base {

struct HostStats {
  int64_t free_bytes = 0;  // of memory, for programs to take without swapping
  double other_load = 0;   // share of the processors of this process that other programs take, 0..1
  double temperature = 0;  // degrees Celsius, of the hottest sensor
};

// Reads HostStats again and again.
//
// Memory: MemAvailable, or what a control group (version 1 or 2) leaves if that is less; page cache
// that can be dropped counts as free. Processors: those this process may run on, over the interval
// since the last Read: busy, less this process's own time; where a control group has a quota, its
// members share that. Threads: one.
class HostMonitor {
 public:
  // `root` stands before /proc and /sys; for tests.
  explicit HostMonitor(std::string root = "");

  // other_load is that since the last call; of the first call, 0.
  HostStats Read();

 private:
  struct CpuSight {       // at one time
    int64_t all = 0;      // ticks of the processors, idle ones included
    int64_t idle = 0;     // of them
    int64_t own = 0;      // ticks of this process
    double group_us = 0;  // of the control group with the least quota
  };

  std::string Text(const std::string& path) const;
  std::vector<std::string> Levels(const std::string& controller) const;
  int64_t GroupFreeBytes() const;
  void FindQuota();
  double OtherLoad();
  double Temperature() const;

  const std::string root_;
  std::map<std::string, std::string> groups_;  // paths by controller; "" is version 2
  std::vector<int> processors_;                // that this process may run on
  std::string quota_group_;                    // folder; empty: no quota
  double quota_processors_ = 0;
  std::optional<CpuSight> last_;
};

// ---- the texts of the system

// Bytes after "MemAvailable:"; nothing if it is not there.
std::optional<int64_t> ParseMemAvailable(std::string_view meminfo);

// The number after `key` and a space at the start of a line ("inactive_file 4096").
std::optional<int64_t> ParseField(std::string_view text, std::string_view key);

// A text that is one whole number; nothing for anything else, such as "max".
std::optional<int64_t> ParseNumber(std::string_view text);

// /proc/self/cgroup: "4:memory:/a" and "0::/b" to {"memory": "/a", "": "/b"}.
std::map<std::string, std::string> ParseGroups(std::string_view text);

// Ticks of some processors in /proc/stat: of those listed, or of all if none is.
struct CpuTicks {
  int64_t all = 0;
  int64_t idle = 0;
};
CpuTicks ParseCpuTicks(std::string_view stat, const std::vector<int>& processors);

// Ticks that this process has computed, from /proc/self/stat. Its name may hold anything.
int64_t ParseOwnTicks(std::string_view stat);

// Processors' worth of "200000 100000" (2) in cpu.max; nothing for "max 100000".
std::optional<double> ParseCpuMax(std::string_view text);

// The share of its processors that a process cannot have because others do.
struct CpuUse {
  double processors = 0;  // that it may run on
  double seconds = 0;     // of the interval; the rest are processor seconds
  double busy = 0;        // of all programs
  double own = 0;
  double quota = 0;  // processors that its control group may use; 0: no quota
  double group = 0;  // that the group has used, this process included
};
double ShareOfOthers(const CpuUse& use);

}  // namespace weft::base
