#include "app/device_records.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft::app {
namespace {

constexpr int64_t kStart = 1769860800;  // 2026-01-31T12:00:00Z

cluster::StepDone Step(std::vector<cluster::StepDone::Part> parts) {
  cluster::StepDone step;
  step.parts = std::move(parts);
  return step;
}

Result<DeviceRecords> Read(const std::string& text) {
  return DeviceRecords::FromJson(base::AsBytes(text), "devices.json");
}

TEST(DeviceRecords, TimesAreUtc) {
  EXPECT_EQ(ParseUtc("2026-01-31T12:00:00Z"), kStart);
  EXPECT_EQ(UtcText(kStart), "2026-01-31T12:00:00Z");
  EXPECT_EQ(UtcText(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(ParseUtc("2024-02-29T23:59:59Z"), 1709251199);
  EXPECT_EQ(ParseUtc("2026-13-31T12:00:00Z"), 0);
  EXPECT_EQ(ParseUtc("yesterday"), 0);
}

TEST(DeviceRecords, FollowsADevice) {
  DeviceRecords records;
  records.Add(cluster::DeviceJoined{3, "pi", false}, kStart);
  ASSERT_EQ(records.devices().size(), 1u);
  EXPECT_EQ(records.devices()[0].state, "joined");

  cluster::DeviceStats stats;
  stats.lease_seconds = 0.5;
  stats.sample_seconds = 0.05;
  records.Add(cluster::DeviceProgress{3, 12, 0.7, stats}, kStart + 1);
  EXPECT_EQ(records.devices()[0].state, "working");
  EXPECT_EQ(records.devices()[0].Speed(), 12) << "no lease yet: as it says itself";
  records.Add(Step({{3, 16}, {3, 30}}), kStart + 2);
  const DeviceRecord device = records.devices()[0];
  EXPECT_EQ(device.joined, kStart);
  EXPECT_EQ(device.last_seen, kStart + 2);
  EXPECT_EQ(device.samples, 46);
  EXPECT_EQ(device.leases, 2);
  EXPECT_EQ(device.stats, stats);
  EXPECT_DOUBLE_EQ(device.Speed(), 15) << "30 samples in 2 s";

  records.Add(cluster::DeviceLeft{3, "pi", "silent for 5 s"}, kStart + 9);
  records.CloseAll("done");
  EXPECT_EQ(records.devices()[0].state, "left");
  EXPECT_EQ(records.devices()[0].last_seen, kStart + 2);

  records.Add(cluster::DeviceJoined{3, "pi", true}, kStart + 20);
  EXPECT_EQ(records.devices()[0].state, "joined");
  EXPECT_EQ(records.devices()[0].reason, "");
  EXPECT_EQ(records.devices()[0].joined, kStart);
  EXPECT_EQ(records.devices()[0].samples, 46);
  records.CloseAll("done");
  EXPECT_EQ(records.devices()[0].state, "done");
}

TEST(DeviceRecords, JsonHoldsAllOfIt) {
  DeviceRecords records;
  records.Add(cluster::DeviceJoined{3, "pi \"4\"", false}, kStart);
  records.Add(cluster::DeviceJoined{1, "mini", false}, kStart + 1);
  const cluster::DeviceStats stats = {.lease_seconds = 0.1,
                                      .sample_seconds = 0.2,
                                      .up_bytes_per_second = 3,
                                      .down_bytes_per_second = 4,
                                      .round_trip_seconds = 0.5,
                                      .free_bytes = 6,
                                      .other_load = 0.7,
                                      .temperature = 8,
                                      .changes = 9,
                                      .stored_bytes = 10,
                                      .plan_seconds = 11};
  records.Add(cluster::DeviceProgress{1, 11, 0.5, stats}, kStart + 2);
  records.Add(Step({{1, 16}}), kStart + 3);
  records.Add(cluster::DeviceLeft{3, "pi \"4\"", "asked to stop"}, kStart + 4);
  const auto json = records.ToJson(kStart + 5);
  const auto read = Read(json.dump());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->updated(), kStart + 5);
  EXPECT_EQ(read->ToJson(kStart + 5), json);
  ASSERT_EQ(read->devices().size(), 2u);
  EXPECT_EQ(read->devices()[0].stats, stats);
  EXPECT_EQ(read->devices()[1].reason, "asked to stop");
}

TEST(DeviceRecords, WhatIsNotANumberIsZero) {
  DeviceRecords records;
  records.Add(cluster::DeviceProgress{1, NAN, 0.5, {.lease_seconds = INFINITY}}, kStart);
  const auto read = Read(records.ToJson(kStart).dump());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->devices()[0].samples_per_second, 0);
}

TEST(DeviceRecords, DamageIsNamed) {
  const auto problem = [](const std::string& text) {
    const Status status = Read(text).status();
    EXPECT_EQ(status.code(), Code::kDataLoss) << text;
    return status.message();
  };
  EXPECT_NE(problem("{").find("devices.json"), std::string::npos);
  EXPECT_NE(problem(R"({"updated": ""})").find("devices: want an array"), std::string::npos);
  EXPECT_NE(problem(R"({"updated": "", "devices": [{"id": 0, "name": "", "state": ""}]})")
                .find("device.id: got 0"),
            std::string::npos);
  EXPECT_NE(problem(R"({"updated": "", "devices": [7]})").find("device"), std::string::npos);
}

}  // namespace
}  // namespace weft::app
