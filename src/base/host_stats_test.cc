#include "base/host_stats.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "base/file_system.h"
#include "base/test_folder.h"

namespace weft::base {
namespace {

using Processors = std::vector<int>;

constexpr int64_t kMiB = 1 << 20;

TEST(HostTexts, Numbers) {
  EXPECT_EQ(ParseNumber("12\n"), 12);
  EXPECT_EQ(ParseNumber("-1"), -1);
  EXPECT_EQ(ParseNumber("max\n"), std::nullopt);
  EXPECT_EQ(ParseNumber("12 13"), std::nullopt);
  EXPECT_EQ(ParseNumber(""), std::nullopt);
  EXPECT_EQ(ParseNumber("99999999999999999999"), std::nullopt);
}

TEST(HostTexts, Fields) {
  constexpr char kStat[] = "inactive_anon 5\ninactive_file 4096\ntotal_inactive_file 8192\n";
  EXPECT_EQ(ParseField(kStat, "inactive_file"), 4096);
  EXPECT_EQ(ParseField(kStat, "total_inactive_file"), 8192);
  EXPECT_EQ(ParseField(kStat, "inactive"), std::nullopt);
  EXPECT_EQ(ParseField("usage_usec\nusage_usec x\n", "usage_usec"), std::nullopt);
}

TEST(HostTexts, MemAvailable) {
  EXPECT_EQ(ParseMemAvailable("MemTotal:  100 kB\nMemFree:  1 kB\nMemAvailable:     42 kB\n"),
            42 * 1024);
  EXPECT_EQ(ParseMemAvailable("MemTotal:  100 kB\n"), std::nullopt) << "before Linux 3.14";
}

TEST(HostTexts, Groups) {
  const auto groups = ParseGroups("5:cpu,cpuacct:/a/b\n4:memory:/docker/1\n0::/user.slice\nrest\n");
  EXPECT_EQ(groups.at("cpu"), "/a/b");
  EXPECT_EQ(groups.at("cpuacct"), "/a/b");
  EXPECT_EQ(groups.at("memory"), "/docker/1");
  EXPECT_EQ(groups.at(""), "/user.slice");
  EXPECT_EQ(groups.size(), 4u);
}

TEST(HostTexts, CpuTicks) {
  // user nice system idle iowait irq softirq steal guest guest_nice
  constexpr char kStat[] =
      "cpu  30 0 6 120 4 0 2 3 9 0\n"
      "cpu0 10 0 1 50 2 0 1 1 9 0\n"
      "cpu1 20 0 5 70 2 0 1 2 0 0\n"
      "intr 1 2 3\n";
  EXPECT_EQ(ParseCpuTicks(kStat, {}).all, 165);
  EXPECT_EQ(ParseCpuTicks(kStat, {}).idle, 124);
  EXPECT_EQ(ParseCpuTicks(kStat, Processors{1}).all, 100);
  EXPECT_EQ(ParseCpuTicks(kStat, Processors{1}).idle, 72);
  EXPECT_EQ(ParseCpuTicks("", {}).all, 0);
}

TEST(HostTexts, OwnTicks) {
  EXPECT_EQ(ParseOwnTicks("77 (we) ft (x) S 1 2 3 4 5 6 7 8 9 10 140 15 16 17 18"), 155);
  EXPECT_EQ(ParseOwnTicks("77 (weft) S 1 2 3"), 0);
  EXPECT_EQ(ParseOwnTicks("77 (weft"), 0);
  EXPECT_EQ(ParseOwnTicks("77 (weft)"), 0);
}

TEST(HostTexts, CpuMax) {
  EXPECT_EQ(ParseCpuMax("150000 100000\n"), 1.5);
  EXPECT_EQ(ParseCpuMax("max 100000\n"), std::nullopt);
  EXPECT_EQ(ParseCpuMax("-1\n 100000\n"), std::nullopt) << "no quota in version 1";
  EXPECT_EQ(ParseCpuMax(""), std::nullopt);
}

TEST(HostTexts, ShareOfOthers) {
  CpuUse use = {.processors = 4, .seconds = 2, .busy = 6, .own = 4};
  EXPECT_DOUBLE_EQ(ShareOfOthers(use), 0.25);
  use.own = 7;
  EXPECT_EQ(ShareOfOthers(use), 0) << "the clocks of the two differ a little";
  EXPECT_EQ(ShareOfOthers({}), 0);
}

TEST(HostTexts, ShareOfOthersWithinAQuota) {
  CpuUse use = {.processors = 4, .seconds = 1, .busy = 3, .own = 1, .quota = 2, .group = 1};
  EXPECT_EQ(ShareOfOthers(use), 0) << "the other two processors are enough for the quota";
  use.busy = 4;
  EXPECT_DOUBLE_EQ(ShareOfOthers(use), 0.5);
  use.busy = 3;
  use.group = 2.5;
  EXPECT_DOUBLE_EQ(ShareOfOthers(use), 0.75) << "others of the group use up the quota";
}

class HostMonitorTest : public testing::Test {
 protected:
  HostMonitorTest() {
    cpu_set_t set;
    CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &set)) processors_.push_back(i);
    }
    Write("/proc/meminfo", "MemAvailable: 1024 kB\n");
  }
  void Write(const std::string& path, const std::string& text) {
    const std::string file = root_.path() + path;
    CHECK(LocalFileSystem().MakeDirs(DirName(file)).ok());
    CHECK(LocalFileSystem().WriteFileAtomic(file, AsBytes(text)).ok());
  }
  // Ticks that each processor was busy and idle, and this process's own, since the start.
  void WriteTicks(int64_t busy, int64_t idle, int64_t own) {
    std::string stat;
    for (const int i : processors_) {
      stat += "cpu" + std::to_string(i) + " " + std::to_string(busy) + " 0 0 " +
              std::to_string(idle) + " 0 0 0 0 0 0\n";
    }
    Write("/proc/stat", stat);
    Write("/proc/self/stat",
          "7 (weft) S 1 1 1 0 -1 0 0 0 0 0 " + std::to_string(own) + " 0 0 0 20 0\n");
  }
  double processors() const { return static_cast<double>(processors_.size()); }

  const TestFolder root_;
  Processors processors_;
};

TEST_F(HostMonitorTest, NothingKnownIsZero) {
  const TestFolder empty;
  HostMonitor monitor(empty.path());
  const HostStats stats = monitor.Read();
  EXPECT_EQ(stats.free_bytes, 0);
  EXPECT_EQ(stats.other_load, 0);
  EXPECT_EQ(stats.temperature, 0);
}

TEST_F(HostMonitorTest, MemoryIsBoundedByTheTightestGroupOfVersion1) {
  Write("/proc/meminfo", "MemAvailable: 1048576 kB\n");
  Write("/proc/self/cgroup", "4:memory:/box/inner\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n");
  EXPECT_EQ(HostMonitor(root_.path()).Read().free_bytes, 1024 * kMiB);
  Write("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", std::to_string(100 * kMiB));
  Write("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", std::to_string(40 * kMiB));
  Write("/sys/fs/cgroup/memory/box/memory.stat",
        "total_inactive_file " + std::to_string(10 * kMiB) + "\n");
  EXPECT_EQ(HostMonitor(root_.path()).Read().free_bytes, 70 * kMiB);
}

TEST_F(HostMonitorTest, MemoryIsBoundedByTheGroupOfVersion2) {
  Write("/proc/meminfo", "MemAvailable: 1048576 kB\n");
  Write("/proc/self/cgroup", "0::/outside/path\n");
  // A container sees its group as the topmost one.
  Write("/sys/fs/cgroup/memory.max", std::to_string(50 * kMiB));
  Write("/sys/fs/cgroup/memory.current", std::to_string(60 * kMiB));
  EXPECT_EQ(HostMonitor(root_.path()).Read().free_bytes, 0);
  Write("/sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(HostMonitor(root_.path()).Read().free_bytes, 1024 * kMiB);
}

TEST_F(HostMonitorTest, LoadIsThatOfOthersSinceTheLastCall) {
  HostMonitor monitor(root_.path());
  WriteTicks(1000, 0, 0);
  EXPECT_EQ(monitor.Read().other_load, 0) << "nothing to compare with";
  // Each processor was busy for 60 ticks of 100; one processor's worth of 20 was ours.
  WriteTicks(1060, 40, 20);
  EXPECT_NEAR(monitor.Read().other_load, 0.6 - 0.2 / processors(), 1e-9);
  WriteTicks(1060, 140, 20);
  EXPECT_EQ(monitor.Read().other_load, 0);
  EXPECT_EQ(monitor.Read().other_load, 0) << "no time has passed";
}

TEST_F(HostMonitorTest, AQuotaIsSharedWithItsGroup) {
  Write("/proc/self/cgroup", "0::/box\n");
  Write("/sys/fs/cgroup/box/cpu.max", "50000 100000\n");
  const auto group = [&](int64_t us) {
    Write("/sys/fs/cgroup/box/cpu.stat", "usage_usec " + std::to_string(us) + "\n");
  };
  HostMonitor monitor(root_.path());
  WriteTicks(0, 0, 0);
  group(0);
  monitor.Read();
  // In 100 ticks the group used a quarter of a processor, all but a tenth of that not ours.
  const auto us_per_tick = 1'000'000 / sysconf(_SC_CLK_TCK);
  WriteTicks(30, 70, 5);
  group(25 * us_per_tick);
  EXPECT_NEAR(monitor.Read().other_load, 0.2 / 0.5, 1e-9);
}

TEST_F(HostMonitorTest, TemperatureIsOfTheHottestZone) {
  Write("/sys/class/thermal/thermal_zone0/temp", "41500\n");
  Write("/sys/class/thermal/thermal_zone1/temp", "63250\n");
  Write("/sys/class/thermal/thermal_zone2/temp", "-274000\n");
  Write("/sys/class/thermal/thermal_zone3/temp", "2147483647\n");
  Write("/sys/class/thermal/cooling_device0/temp", "90000\n");
  EXPECT_EQ(HostMonitor(root_.path()).Read().temperature, 63.25);
}

TEST(HostMonitor, ThisMachineHasFreeMemory) {
  HostMonitor monitor;
  const HostStats stats = monitor.Read();
  EXPECT_GT(stats.free_bytes, 0);
  EXPECT_GE(stats.other_load, 0);
  EXPECT_LE(stats.other_load, 1);
}

}  // namespace
}  // namespace weft::base
