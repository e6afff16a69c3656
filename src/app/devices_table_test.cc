#include "app/devices_table.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace weft::app {
namespace {

constexpr int64_t kStart = 1769860800;

DevicesOfRun RunOf(const DeviceRecords& records) {
  // Records as they are read: with a time.
  const std::string text = records.ToJson(kStart).dump();
  return {.run = "demo-1",
          .folder = "runs/demo-1",
          .outcome = "running",
          .records = DeviceRecords::FromJson(base::AsBytes(text), "devices.json").value()};
}

TEST(DevicesTable, OneLineADevice) {
  DeviceRecords records;
  records.Add(cluster::DeviceJoined{1, "mini", false}, kStart);
  records.Add(cluster::DeviceJoined{2, "pi\x1b[2J", false}, kStart);
  records.Add(cluster::DeviceJoined{3, "a-name-that-is-far-too-long-for-a-table", false}, kStart);
  const cluster::DeviceStats stats = {.lease_seconds = 0.0123,
                                      .sample_seconds = 0.001,
                                      .up_bytes_per_second = 1.25e6,
                                      .down_bytes_per_second = 125e6,
                                      .round_trip_seconds = 0.00042,
                                      .free_bytes = int64_t{3} << 30,
                                      .other_load = 0.25,
                                      .temperature = 61.6,
                                      .changes = 2};
  records.Add(cluster::DeviceProgress{1, 900, 0.5, stats}, kStart);
  cluster::StepDone step;
  step.parts = {{1, 1000}};
  records.Add(step, kStart);
  const auto lines = base::Split(DevicesTable(RunOf(records), kStart + 2), '\n');
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], "demo-1 (runs/demo-1): running, 3 devices");
  EXPECT_EQ(lines[1],
            "name                      state    samples/s  ms/lease  up Mbit/s  down Mbit/s  "
            "rtt ms     free  others  deg C  changes  samples");
  EXPECT_EQ(lines[2],
            "mini                      working        988      12.3       10.0        1,000  "
            " 0.420  3.0 GiB    25 %     62        2    1,000");
  EXPECT_EQ(lines[3],
            "pi?[2J                    joined           -         -          -            -  "
            "     -        -       -      -        0        0");
  EXPECT_TRUE(lines[4].starts_with("a-name-that-is-far-too-l  joined")) << lines[4];
  EXPECT_EQ(lines[5], "");
}

TEST(DevicesTable, SaysHowOldTheNewsIs) {
  DeviceRecords records;
  DevicesOfRun run = RunOf(records);
  EXPECT_EQ(DevicesTable(run, kStart + 200),
            "demo-1 (runs/demo-1): running, 0 devices; no news for 3 m 20 s\n");
  run.outcome = "completed";
  EXPECT_EQ(DevicesTable(run, kStart + 200), "demo-1 (runs/demo-1): completed, 0 devices\n");
}

}  // namespace
}  // namespace weft::app
