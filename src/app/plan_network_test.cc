#include "app/plan_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace weft::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

plan::DeviceProfile DeviceOf(double gflops) {
  plan::DeviceProfile profile;  // without measurements: by these rates
  profile.kernels = "reference";
  profile.threads = 1;
  profile.sgemm_gflops = gflops;
  profile.memory_gbps = 5;
  return profile;
}

// Devices that train lenet5, 61,706 parameters, on batches of 64; alone in 0.1 s.
struct Fixture {
  explicit Fixture(const std::string& link) : graph(*model::LoadPreset("lenet5", {})) {
    task.graph = &graph;
    task.batch = 64;
    task.profiles = profiles;
    task.alone_seconds = alone_seconds;
    task.link = *ParseLink(link);
    task.count = 4;
    task.limits.most_local_steps = 64;
  }

  std::vector<NetworkRow> Predict() const {
    auto rows = PredictNetwork(task);
    EXPECT_TRUE(rows.ok()) << rows.status().ToString();
    return std::move(rows).value();
  }

  model::Graph graph;
  plan::DeviceProfile device = DeviceOf(10);
  std::vector<const plan::DeviceProfile*> profiles = {&device};
  std::vector<double> alone_seconds = {0.1};
  NetworkTask task;
};

TEST(PlanNetwork, ReadsLinks) {
  const auto both = ParseLink("10Mbit/s,20ms");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->up_bps, 10e6);
  EXPECT_EQ(both->down_bps, 10e6);
  EXPECT_EQ(both->latency, std::chrono::milliseconds(20));
  const auto each = ParseLink("2Mbit/s/1MB/s,5ms");
  ASSERT_TRUE(each.ok());
  EXPECT_EQ(each->up_bps, 2e6);
  EXPECT_EQ(each->down_bps, 8e6);
  EXPECT_EQ(ParseLink("1Gbit/s")->latency, sim::LinkOptions().latency);
  for (const char* wrong : {"", "fast", "10Mbit/s,", "10Mbit/s,20", "10Mbit/s/,20ms", "0bit/s",
                            "10Mbit/s/2Mbit/s/1Mbit/s", "1Mbit/s,1ms,1ms", "10Mbit,20ms"}) {
    const auto link = ParseLink(wrong);
    ASSERT_FALSE(link.ok()) << wrong;
    EXPECT_THAT(link.status().message(), HasSubstr("want UP/DOWN,LATENCY")) << wrong;
  }
}

TEST(PlanNetwork, DenseTakesLatencyAndBytes) {
  const Fixture fixture("10Mbit/s,20ms");
  const std::vector<NetworkRow> rows = fixture.Predict();
  ASSERT_EQ(rows.size(), 3U);
  // 1.25 MB/s, of which 1448 of 1514 bytes are payload.
  const double link_seconds = 0.04 + 2 * (16 + 4 * 61'706) / (1.25e6 * 1448 / 1514);
  double compute = 1e9;
  for (const NetworkRow& row : rows) {
    const NetworkWay& dense = row.ways[0];
    EXPECT_EQ(dense.codec, "dense");
    EXPECT_EQ(dense.up_bytes, 16 + 4 * 61'706);
    EXPECT_EQ(dense.down_bytes, dense.up_bytes);
    EXPECT_NEAR(dense.scaling.exchange_seconds, link_seconds, 0.01);  // and the processors
    EXPECT_GT(dense.scaling.exchange_seconds, link_seconds);
    EXPECT_DOUBLE_EQ(dense.scaling.step_seconds,
                     row.compute_seconds + dense.scaling.exchange_seconds);
    EXPECT_DOUBLE_EQ(dense.scaling.speedup, 0.1 / dense.scaling.step_seconds);
    EXPECT_FALSE(dense.scaling.leader_bound);
    EXPECT_EQ(row.samples, 64);
    EXPECT_LT(row.compute_seconds, compute);  // a smaller share
    compute = row.compute_seconds;
  }
}

TEST(PlanNetwork, CountsUpToTheCount) {
  Fixture fixture("10Mbit/s,20ms");
  const auto devices = [&fixture](int64_t count) {
    fixture.task.count = count;
    std::vector<int64_t> counts;
    for (const NetworkRow& row : fixture.Predict()) counts.push_back(row.devices);
    return counts;
  };
  EXPECT_THAT(devices(1), ElementsAre(1));
  EXPECT_THAT(devices(8), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(devices(5), ElementsAre(1, 2, 4, 5));
  fixture.profiles.push_back(&fixture.device);
  fixture.alone_seconds.push_back(0.1);
  fixture.task.profiles = fixture.profiles;
  fixture.task.alone_seconds = fixture.alone_seconds;
  EXPECT_THAT(devices(2), ElementsAre(2, 4));
}

TEST(PlanNetwork, AutoKeepsEachDeviceComputing) {
  Fixture fixture("10Mbit/s,20ms");
  fixture.task.count = 8;
  fixture.task.batch_each = true;
  const std::vector<NetworkRow> rows = fixture.Predict();
  for (const NetworkRow& row : rows) {
    EXPECT_EQ(row.samples, 64 * row.devices);
    EXPECT_DOUBLE_EQ(row.compute_seconds, rows[0].compute_seconds);
    const NetworkWay& chosen = row.ways.back();
    EXPECT_EQ(chosen.codec, "auto");
    EXPECT_LT(chosen.up_bytes, row.ways[0].up_bytes);
    EXPECT_LT(chosen.scaling.step_seconds, 1.12 * row.compute_seconds);
    EXPECT_GT(chosen.scaling.efficiency, 2 * row.ways[0].scaling.efficiency);
  }
}

TEST(PlanNetwork, AutoIsDenseOnAFastLink) {
  Fixture fixture("10Gbit/s,0.02ms");
  fixture.task.batch_each = true;
  for (const NetworkRow& row : fixture.Predict()) {
    EXPECT_EQ(row.ways.back().target, codec::Target());
    EXPECT_EQ(row.ways.back().local_steps, 1);
    EXPECT_NEAR(row.ways.back().scaling.step_seconds, row.ways[0].scaling.step_seconds, 1e-5);
  }
}

TEST(PlanNetwork, TheLeadersLinkBoundsThem) {
  Fixture fixture("10Mbit/s,20ms");
  fixture.task.leader = *ParseLink("10Mbit/s");
  const std::vector<NetworkRow> rows = fixture.Predict();
  EXPECT_FALSE(rows[0].ways[0].scaling.leader_bound);
  EXPECT_TRUE(rows[2].ways[0].scaling.leader_bound);
  EXPECT_NEAR(rows[2].ways[0].scaling.exchange_seconds - 0.04,
              4 * (rows[0].ways[0].scaling.exchange_seconds - 0.04), 0.02);
  EXPECT_THAT(NetworkText(fixture.task, rows), HasSubstr("leader:  10 Mbit/s up"));
}

TEST(PlanNetwork, KindsOfDevicesEndTogether) {
  Fixture fixture("1Gbit/s");
  const double alone = fixture.Predict()[1].compute_seconds;  // of two equal ones
  const plan::DeviceProfile slow = DeviceOf(2.5);
  fixture.profiles.push_back(&slow);
  fixture.alone_seconds.push_back(0.4);
  fixture.task.profiles = fixture.profiles;
  fixture.task.alone_seconds = fixture.alone_seconds;
  fixture.task.count = 1;
  const double both = fixture.Predict()[0].compute_seconds;
  EXPECT_GT(both, alone);
  EXPECT_LT(both, 2 * alone);  // one of them by itself
}

TEST(PlanNetwork, ShowsTheJobsCodecBesideDense) {
  Fixture fixture("10Mbit/s,20ms");
  fixture.task.up.name = "fp16";
  const std::vector<NetworkRow> rows = fixture.Predict();
  ASSERT_EQ(rows[0].ways.size(), 3U);
  EXPECT_EQ(rows[0].ways[1].codec, "fp16, down dense");
  EXPECT_EQ(rows[0].ways[1].up_bytes, 16 + 2 * 61'706);
  EXPECT_EQ(rows[0].ways[1].down_bytes, 16 + 4 * 61'706);
  const std::string text = NetworkText(fixture.task, rows);
  EXPECT_THAT(text, HasSubstr("network: 10 Mbit/s up, 10 Mbit/s down, 20 ms each way; "
                              "the devices share the batch\n"));
  EXPECT_THAT(text, HasSubstr(rows[2].ways[2].words));
  const nlohmann::ordered_json json = NetworkJson(rows[2]);
  EXPECT_EQ(json["event"], "network");
  EXPECT_EQ(json["devices"], 4);
  EXPECT_EQ(json["ways"].size(), 3U);
  EXPECT_EQ(json["ways"][2]["sends"], rows[2].ways[2].words);
  fixture.task.up = {.name = "chunk-topk"};
  fixture.task.down = {.name = "chunk-topk", .density = 0.5};
  const NetworkWay sparse = fixture.Predict()[0].ways[1];
  EXPECT_EQ(sparse.codec, "chunk-topk");
  EXPECT_LT(sparse.up_bytes, 2000);
  EXPECT_GT(sparse.down_bytes, 15'000);
  fixture.task.up.name = "auto";
  EXPECT_EQ(fixture.Predict()[0].ways.size(), 2U);
  fixture.task.up.name = "gzip";
  EXPECT_FALSE(PredictNetwork(fixture.task).ok());
}

}  // namespace
}  // namespace weft::app
