#include "app/sim_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/sim_json.h"
#include "base/doc.h"

namespace weft::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

Result<config::Scenario> Read(const std::string& text) {
  const std::string job =
      "[scenario]\nsamples = 320\n[job]\nepochs = 2\nbatch = 32\n[model]\npreset = \"lenet5\"\n";
  ASSIGN_OR_RETURN(const base::Doc doc, base::ParseToml(job + text, "s.toml"));
  return config::ScenarioFromDoc(doc, {.file = "s.toml", .folder = ""}, {},
                                 &base::LocalFileSystem());
}

TEST(SimSetup, DevicesAreExpanded) {
  const auto scenario = Read(
      "[device.pi]\ncount = 2\nseconds_per_sample = 0.1\nspeed = 0.5\n"
      "[device.hub-box]\nseconds_per_sample = 0.2\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  const auto devices = DevicesOf(*scenario);
  ASSERT_EQ(devices.size(), 3U);
  EXPECT_EQ(devices[1].name, "pi-1");
  EXPECT_EQ(devices[1].speed, 0.5);
  EXPECT_EQ(devices[2].name, "hub-box");
  EXPECT_EQ(StartWorkers(*scenario, 1), 3);
}

TEST(SimSetup, CostModeCarriesOneNumberForTheModel) {
  auto scenario = Read("[device.pi]\ncount = 2\nseconds_per_sample = 0.1\nmemory = \"1 GiB\"\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  const auto setup = SetUpSimulation(*scenario, "");
  ASSERT_TRUE(setup.ok()) << setup.status().ToString();
  const sim::ClusterOptions options = OptionsFor(*setup, 5);
  EXPECT_EQ(options.seed, 5U);
  EXPECT_EQ(options.job.samples, 320);
  EXPECT_EQ(options.job.parameter_count(), 1);
  EXPECT_EQ(options.job.start_workers, 2);
  EXPECT_GE(options.wire.push_bytes, 4 * setup->job->graph->parameter_count());
  EXPECT_DOUBLE_EQ(options.devices[1].step_seconds.At(10), 1.0);
  EXPECT_GT(options.devices[1].step_bytes.At(32), 64 << 20) << "a memory limit needs a figure";
  EXPECT_GT(options.devices[1].lease_seconds, 0);
}

TEST(SimSetup, CostModeTellsRangesApartWhereDevicesLead) {
  auto scenario = Read("[device.pi]\ncount = 4\nseconds_per_sample = 0.1\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  scenario->job.cluster.leaders = 0;
  const auto setup = SetUpSimulation(*scenario, "");
  ASSERT_TRUE(setup.ok()) << setup.status().ToString();
  const cluster::JobSpec& spec = setup->options.job;
  const auto values = static_cast<double>(setup->job->graph->parameter_count());
  EXPECT_EQ(spec.parameter_count(), 4096);
  EXPECT_DOUBLE_EQ(spec.value_weight * 4096, values);
  EXPECT_NEAR(static_cast<double>(spec.least_range) * spec.value_weight, 4096, spec.value_weight);
  EXPECT_EQ(setup->options.workload->Start().parameters.size(), 4096U);
  EXPECT_NEAR(static_cast<double>(setup->options.wire.replica_bytes), 4 * values, 100);
  const auto& times = setup->options.stretch_times;
  ASSERT_GT(times.size(), 2U);
  EXPECT_EQ(times.front().begin, 0);
  EXPECT_EQ(times.back().begin + times.back().count, 4096);
  EXPECT_EQ(times.front().final_at, 1) << "the first layer is the last to be known";
  EXPECT_LT(times.back().final_at, 0.6);
}

TEST(SimSetup, CountedSamplesAreFedOrCutIntoShards) {
  auto scenario = Read("[device.pi]\ncount = 4\nseconds_per_sample = 0.1\nstorage = \"1 MiB\"\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  scenario->job.data.placement = "distributed";
  auto setup = SetUpSimulation(*scenario, "");
  ASSERT_TRUE(setup.ok()) << setup.status().ToString();
  EXPECT_EQ(setup->options.job.fed_sample_bytes, setup->job->graph->input().elements() + 4);
  EXPECT_EQ(setup->options.order.size(), 320);
  EXPECT_EQ(setup->options.devices[3].storage_bytes, 1 << 20);

  scenario->job.data.placement = "local";
  EXPECT_THAT(SetUpSimulation(*scenario, "").status().message(),
              HasSubstr("cluster.workers: got 1, want 4"));
  scenario->job.cluster.workers = 4;
  setup = SetUpSimulation(*scenario, "");
  ASSERT_TRUE(setup.ok()) << setup.status().ToString();
  EXPECT_EQ(setup->options.job.fed_sample_bytes, 0);
  EXPECT_EQ(setup->options.job.shard_samples, (std::vector<int64_t>{80, 80, 80, 80}));
  scenario->job.data.partition = "dirichlet:0.3";
  EXPECT_THAT(SetUpSimulation(*scenario, "").status().message(), HasSubstr("want 0 with"));
}

TEST(SimSetup, LocalStepsTakeAsManyLeasesTime) {
  auto scenario = Read("[device.pi]\nseconds_per_sample = 0.1\nmemory = \"1 GiB\"\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  const double one = SetUpSimulation(*scenario, "")->options.devices[0].step_bytes.At(32);
  scenario->job.cluster.local_steps = 4;
  const auto setup = SetUpSimulation(*scenario, "");
  ASSERT_TRUE(setup.ok()) << setup.status().ToString();
  EXPECT_EQ(setup->options.job.aggregation.local_steps, 4);
  EXPECT_DOUBLE_EQ(setup->options.devices[0].step_bytes.At(128), one);
  EXPECT_EQ(setup->job->steps_per_epoch(), 3);
}

TEST(SimSetup, SaysHowToGetAProfile) {
  auto scenario = Read("[device.pi]\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  const auto setup = SetUpSimulation(*scenario, "");
  EXPECT_EQ(setup.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(setup.status().message(), HasSubstr("device.pi: want profile or seconds_per_sample"));
  EXPECT_THAT(setup.status().message(), HasSubstr("`weft profile --out FILE`"));
}

TEST(SimSetup, RefusesWhatASimulatedRunDoesNot) {
  auto scenario = Read("[device.pi]\nseconds_per_sample = 0.1\n");
  ASSERT_TRUE(scenario.ok());
  scenario->job.job.target_accuracy = 0.9;
  EXPECT_THAT(SetUpSimulation(*scenario, "").status().message(),
              HasSubstr("job.target_accuracy: got 0.9, want 0"));
}

TEST(SimSetup, WaitsForHalfOfThoseThatComeAndGo) {
  const auto scenario = Read(
      "[device.pi]\ncount = 9\nseconds_per_sample = 0.1\navailability = \"exponential\"\n"
      "mean_up = \"1h\"\nmean_down = \"1h\"\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  EXPECT_EQ(StartWorkers(*scenario, 1), 4);
}

TEST(SimJson, ScenarioHasNothingLeftToChance) {
  const auto scenario = Read(
      "[coordinator]\nspeed = 2\nup = \"1Gbit/s\"\n[segment.site]\nup = \"10Mbit/s\"\n"
      "[device.pi]\ncount = 2\nseconds_per_sample = 0.1\nlatency = \"5ms\"\nsegment = \"site\"\n"
      "[[event]]\nat = \"90s\"\ndo = \"cut-up\"\ndevice = \"pi-1\"\n[expect]\nmax_virtual = "
      "\"1h\"\n");
  ASSERT_TRUE(scenario.ok()) << scenario.status().ToString();
  const nlohmann::ordered_json json = ScenarioJson(*scenario);
  EXPECT_EQ(json["event"], "scenario");
  EXPECT_EQ(json["limit_s"], 86400);
  EXPECT_EQ(json["hub"]["speed"], 2);
  EXPECT_EQ(json["hub"]["link"]["up_bps"], 1e9);
  EXPECT_EQ(json["job"]["job"]["batch"], 32);
  EXPECT_EQ(json["devices"][1]["name"], "pi-1");
  EXPECT_EQ(json["devices"][1]["link"]["latency_s"], 0.005);
  EXPECT_EQ(json["devices"][1]["up"], nlohmann::ordered_json::parse("[[0.0, 86400.0]]"));
  EXPECT_EQ(json["segments"][0]["name"], "site");
  EXPECT_EQ(json["schedule"][0]["at_s"], 90);
  EXPECT_EQ(json["schedule"][0]["kind"], "cut-up");
  EXPECT_EQ(json["expect"]["max_virtual"], 3600);
  EXPECT_EQ(json["start_workers"], 2);
}

// The run itself: nothing lost, and the same twice.
TEST(SimSetup, RunsTheSameTwice) {
  auto scenario = Read(
      "[device.pi]\ncount = 3\nseconds_per_sample = 0.01\nspread = 0.2\n"
      "[faults]\nkill_device = \"2s\"\n");
  ASSERT_TRUE(scenario.ok());
  const auto setup = SetUpSimulation(*scenario, "");
  ASSERT_TRUE(setup.ok()) << setup.status().ToString();
  const auto run = [&](uint64_t seed) {
    sim::Cluster cluster(OptionsFor(*setup, seed));
    EXPECT_TRUE(cluster.Run(1h));
    return cluster.result();
  };
  const sim::Result first = run(1), again = run(1), other = run(2);
  EXPECT_TRUE(first.completed);
  EXPECT_EQ(first.lost, 0);
  EXPECT_GE(first.samples, 640);
  EXPECT_EQ(first.virtual_s, again.virtual_s);
  EXPECT_NE(first.virtual_s, other.virtual_s);
}

}  // namespace
}  // namespace weft::app
