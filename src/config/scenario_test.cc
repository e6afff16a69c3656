#include "config/scenario.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file_system.h"
#include "base/test_folder.h"

namespace weft::config {
namespace {

using namespace std::chrono_literals;
using sim::AvailabilityOptions;
using sim::ScheduledEvent;
using testing::HasSubstr;

// A scenario file without [job] and its like, and one with them.
constexpr char kDevice[] = "[device.pi]\nseconds_per_sample = 0.01\n";
constexpr char kJob[] =
    "[job]\nepochs = 2\nbatch = 10\n[model]\npreset = \"lenet5\"\n"
    "[data]\ntrain = \"synthetic:shapes?n=100\"\n";

class ScenarioTest : public testing::Test {
 protected:
  Result<Scenario> Read(const std::string& text, std::vector<std::string> overrides = {}) {
    Write("s.toml", text);
    return LoadScenario(folder_ / "s.toml", overrides);
  }
  // Of kJob and kDevice with this before and behind them.
  Result<Scenario> With(const std::string& behind, const std::string& before = "") {
    return Read(before + kJob + kDevice + behind);
  }
  // Without the folder's path.
  std::string ErrorOf(const Result<Scenario>& scenario) {
    if (scenario.ok()) return "ok";
    std::string text = scenario.status().message();
    for (size_t at; (at = text.find(folder_.path() + "/")) != std::string::npos;) {
      text.erase(at, folder_.path().size() + 1);
    }
    return text;
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(base::LocalFileSystem().WriteFileAtomic(folder_ / name, base::AsBytes(text)).ok());
  }

  base::TestFolder folder_;
};

TEST_F(ScenarioTest, SmallestHasDefaults) {
  const auto scenario = With("");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  EXPECT_EQ(scenario->name, "s");
  EXPECT_EQ(scenario->mode, "cost");
  EXPECT_EQ(scenario->seed, 1);
  EXPECT_EQ(scenario->job.job.name, "s");
  EXPECT_EQ(scenario->job.job.epochs, 2);
  ASSERT_EQ(scenario->device_count(), 1);
  EXPECT_EQ(scenario->groups[0].NameOf(0), "pi");
  EXPECT_EQ(scenario->groups[0].device, sim::DeviceOptions());
  EXPECT_EQ(scenario->groups[0].seconds_per_sample, 0.01);
  EXPECT_EQ(scenario->faults, sim::FaultOptions());
  EXPECT_TRUE(scenario->expect.completed);
}

TEST_F(ScenarioTest, ReadsEveryPart) {
  const auto scenario = Read(std::string(kJob) + R"(
[scenario]
title = "all"
limit = "1h30m"
seed = 7
[coordinator]
speed = 2
push_seconds = 0.001
restart = "3s"
up = "1Gbit/s"
[segment.ward]
up = "20Mbit/s"
half_duplex = true
[device.pi]
count = 2
seconds_per_sample = 0.01
seconds_per_lease = 0.5
speed = 0.25
load = 0.5
cores = 4
memory = "200 MiB"
storage = "50 MiB"
spread = 0.1
slowdown = {every = "10m", for = "30s", factor = 0.2}
availability = "exponential"
mean_up = "1h"
mean_down = "5m"
up = "10Mbit/s"
down = "2MB/s"
segment = "ward"
latency = "5ms"
jitter = "250us"
loss = 0.01
[faults]
kill_device = "10s"
kill_coordinator = "1m"
crash_coordinator = 0.001
disk_full = 0.1
until = "1h"
[[event]]
at = "20s"
do = "cut-up"
device = "pi-1"
[[event]]
at = "10s"
do = "kill"
[expect]
max_virtual = "1h"
min_samples_per_second = 3.5
)");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  EXPECT_EQ(scenario->limit, 90min);
  EXPECT_EQ(scenario->coordinator.speed, 2);
  EXPECT_EQ(scenario->coordinator.push_seconds, 0.001);
  EXPECT_EQ(scenario->coordinator.apply_seconds, std::nullopt);
  EXPECT_EQ(scenario->coordinator.restart, 3s);
  EXPECT_EQ(scenario->coordinator.link.up_bps, 1e9);
  ASSERT_EQ(scenario->segments.size(), 1U);
  EXPECT_TRUE(scenario->segments[0].link.half_duplex);
  ASSERT_EQ(scenario->device_count(), 2);
  const DeviceGroup& group = scenario->groups[0];
  EXPECT_EQ(group.NameOf(1), "pi-1");
  EXPECT_EQ(group.device.memory_bytes, 200 << 20);
  EXPECT_EQ(group.device.storage_bytes, 50 << 20);
  EXPECT_EQ(group.device.slowdown, (sim::SlowdownOptions{10min, 30s, 0.2}));
  EXPECT_EQ(group.device.availability.kind, AvailabilityOptions::Kind::kExponential);
  EXPECT_EQ(group.device.availability.mean_down, 5min);
  EXPECT_EQ(group.device.link.down_bps, 16e6);
  EXPECT_EQ(group.device.link.jitter, 250us);
  EXPECT_EQ(group.device.link.segment, "ward");
  EXPECT_EQ(scenario->faults.kill_hub, 60s);
  EXPECT_EQ(scenario->faults.break_connection, std::nullopt);
  EXPECT_EQ(scenario->faults.crash_hub, 0.001);
  EXPECT_EQ(scenario->schedule,
            (std::vector<ScheduledEvent>{{10s, ScheduledEvent::Kind::kKill, ""},
                                         {20s, ScheduledEvent::Kind::kCutUp, "pi-1"}}));
  EXPECT_EQ(scenario->expect.max_virtual, 1h);
  EXPECT_EQ(scenario->expect.min_samples_per_second, 3.5);
}

TEST_F(ScenarioTest, JobOfItsOwnFile) {
  Write("job.toml", std::string(kJob) + "[optimizer]\nlr = 0.5\n");
  const std::string head = "[scenario]\njob = \"job.toml\"\n";
  const auto scenario = Read(head + kDevice, {"job.epochs=3", "device.pi.count=5"});
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  EXPECT_EQ(scenario->job.job.name, "job");
  EXPECT_EQ(scenario->job.job.epochs, 3);
  EXPECT_EQ(scenario->job.optimizer.lr, 0.5);
  EXPECT_EQ(scenario->device_count(), 5);
  EXPECT_EQ(ErrorOf(Read(head + kJob + kDevice)),
            "s.toml:2: scenario.job: want it left out: [job] stands in this file");
  EXPECT_THAT(ErrorOf(Read("[scenario]\njob = \"gone.toml\"\n" + std::string(kDevice))),
              HasSubstr("gone.toml: cannot open"));
}

TEST_F(ScenarioTest, SamplesStandForData) {
  const std::string job = "[job]\nepochs = 1\nbatch = 10\n[model]\npreset = \"lenet5\"\n";
  EXPECT_THAT(ErrorOf(Read(job + kDevice)), HasSubstr("data.train: is missing"));
  const auto scenario = Read("[scenario]\nsamples = 500\n" + job + kDevice);
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  EXPECT_EQ(scenario->job.data.train, "synthetic:shapes?n=500");
  EXPECT_EQ(ErrorOf(With("", "[scenario]\nmode = \"math\"\nsamples = 5\n")),
            "s.toml:3: scenario.samples: want it left out: mode \"math\" opens the data");
}

TEST_F(ScenarioTest, Trace) {
  Write("up.csv", "device,from_s,until_s\n# weekend\npi,0,1.5\nother,3,4\npi,10,20\n");
  const std::string line = "availability = \"trace:up.csv\"\n";
  const auto scenario = With(line);
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  EXPECT_EQ(scenario->groups[0].traces, (std::vector<Stretches>{{{0ns, 1500ms}, {10s, 20s}}}));
  Write("up.csv", "pj,0,1\n");
  EXPECT_EQ(ErrorOf(With(line)),
            "s.toml:10: device.pi.availability: up.csv has no line of the device \"pi\"");
  Write("up.csv", "pi,0,5\npi,4,9\n");
  EXPECT_EQ(ErrorOf(With(line)),
            "up.csv:2: pi: got a start at 4 s, want it after the end before, 5 s");
  for (const char* bad : {"pi,1\n", "pi,2,2\n", ",0,1\n", "pi,0,1,2\n", "pi,x,2\n", "pi,-1,2\n"}) {
    Write("up.csv", bad);
    EXPECT_THAT(ErrorOf(With(line)), HasSubstr("up.csv:1: got")) << bad;
  }
}

struct Bad {
  const char* text;
  const char* error;
};

TEST_F(ScenarioTest, SaysWhatIsWrong) {
  // Behind kJob and kDevice, so from line 10 on, and in [device.pi] at first.
  const Bad kBad[] = {
      {"sped = 2\n", "s.toml:10: device.pi.sped: unknown key; did you mean \"speed\"?"},
      {"up = \"10M\"\n",
       "s.toml:10: device.pi.up: got \"10M\", want a rate such as \"10Mbit/s\", \"1Gbit/s\" or "
       "\"2MB/s\""},
      {"up = 5\n", "s.toml:10: device.pi.up: got an integer, want a rate such as \"10Mbit/s\""},
      {"latency = \"5\"\n",
       "s.toml:10: device.pi.latency: got \"5\", want a length of time such as \"90s\", \"1h30m\" "
       "or \"5ms\""},
      {"loss = 2\n", "s.toml:10: device.pi.loss: got 2, want 0..0.5"},
      {"profile = \"x\"\n",
       "s.toml:9: device.pi.seconds_per_sample: want it left out: `profile` says how long a "
       "sample takes"},
      {"half_duplex = true\n",
       "s.toml:8: device.pi.up: is missing, want the rate that both ways share"},
      {"half_duplex = true\nup = \"1MB/s\"\ndown = \"1MB/s\"\n",
       "s.toml:12: device.pi.down: want it left out: with half_duplex both ways share `up`"},
      {"segment = \"wrd\"\n[segment.ward]\n",
       "s.toml:10: device.pi.segment: got \"wrd\", want the name of a [segment.NAME] (did you mean "
       "\"ward\"?)"},
      {"availability = \"sometimes\"\n",
       "s.toml:10: device.pi.availability: got \"sometimes\", want always, exponential, diurnal or "
       "trace:FILE"},
      {"mean_up = \"5s\"\n",
       "s.toml:10: device.pi.mean_up: want it left out: availability = \"always\" does not read "
       "it"},
      {"availability = \"exponential\"\nmean_up = \"5s\"\n",
       "s.toml:8: device.pi.mean_down: is missing, want a length of time such as \"90s\""},
      {"slowdown = {every = \"5s\", length = \"1s\"}\n",
       "s.toml:10: device.pi.slowdown.for: is missing, want a length of time such as \"90s\""},
      {"count = 200000\n", "s.toml:10: device.pi.count: got 200000, want 0..100000"},
      {"count = 2\n[device.pi-1]\n",
       "s.toml:8: device: two devices are called \"pi-1\", want distinct names"},
      {"[device.\"p i\"]\n",
       "s.toml:8: device: got the name \"p i\", want letters, digits, '-' and '_', at most 64"},
      {"[fault]\n", "s.toml:10: fault: unknown key; did you mean \"faults\"?"},
      {"[faults]\nkill_device = \"0s\"\n",
       "s.toml:11: faults.kill_device: want it above 0, or left out"},
      {"[event]\nat = \"1s\"\n", "s.toml:10: event: got a table, want tables [[event]]"},
      {"[[event]]\nat = \"1s\"\n",
       "s.toml:10: event.do: is missing, want kill, start, leave, cut, cut-up, cut-down, heal, "
       "clog or unclog"},
      {"[[event]]\nat = \"1s\"\ndo = \"kil\"\n",
       "s.toml:12: event.do: got \"kil\", want kill, start, leave, cut, cut-up, cut-down, heal, "
       "clog or unclog (did you mean \"kill\"?)"},
      {"[[event]]\nat = \"1s\"\ndo = \"kill\"\ndevice = \"po\"\n",
       "s.toml:13: event.device: got \"po\", want the name of a device (did you mean \"pi\"?)"},
      {"[expect]\nmin_accuracy = 0.5\n",
       "s.toml:11: expect.min_accuracy: want it left out: mode \"cost\" trains nothing"},
      {"[scenario]\nlimit = \"0s\"\n", "s.toml:11: scenario.limit: want it above 0"},
  };
  for (const Bad& bad : kBad) EXPECT_EQ(ErrorOf(With(bad.text)), bad.error) << bad.text;
}

TEST_F(ScenarioTest, NeedsADevice) {
  EXPECT_EQ(ErrorOf(Read(kJob)), "s.toml: device: is missing, want at least one [device.NAME]");
}

TEST_F(ScenarioTest, BadOverrides) {
  const std::string text = std::string(kJob) + kDevice;
  EXPECT_EQ(ErrorOf(Read(text, {"device.pi.speed=fast"})),
            "--set: device.pi.speed: got a string, want a number");
  EXPECT_EQ(ErrorOf(Read(text, {"job.epoch=3"})),
            "--set: job.epoch: unknown key; did you mean \"epochs\"?");
}

// To rewrite the page: WEFT_WRITE_GOLDENS=1 build/release/bin/config_test.
TEST(ScenarioReferenceTest, PageIsTrue) {
  const std::string path = std::string(WEFT_SOURCE_DIR) + "/docs/scenario.md";
  if (std::getenv("WEFT_WRITE_GOLDENS") != nullptr) {
    ASSERT_TRUE(
        base::LocalFileSystem().WriteFileAtomic(path, base::AsBytes(ScenarioReference())).ok());
  }
  const auto page = base::LocalFileSystem().ReadFile(path);
  ASSERT_TRUE(page.ok()) << page.status().ToString();
  EXPECT_EQ(base::AsText(*page), ScenarioReference());
}

}  // namespace
}  // namespace weft::config
