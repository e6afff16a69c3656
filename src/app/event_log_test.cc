#include "app/event_log.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace weft::app {
namespace {

TEST(EventLog, Step) {
  cluster::StepDone step{3, 1, 128, 0.5, 100, 0.01, 2.5, {{1, 96}, {2, 32}}};
  EXPECT_EQ(JsonLine(ToJson(step, 1.23456)),
            R"({"event":"step","seconds":1.235,"step":3,"epoch":1,"samples":128,"loss":0.5,)"
            R"("correct":100,"lr":0.01,"gradient_norm":2.5,)"
            R"("parts":[{"device":1,"samples":96},{"device":2,"samples":32}]})"
            "\n");
}

TEST(EventLog, LossThatRanAwayIsNull) {
  cluster::StepDone step;
  step.loss = std::numeric_limits<double>::quiet_NaN();
  step.gradient_norm = std::numeric_limits<double>::infinity();
  const auto line = JsonLine(ToJson(step, 0));
  EXPECT_NE(line.find(R"("loss":null)"), std::string::npos) << line;
  EXPECT_NE(line.find(R"("gradient_norm":null)"), std::string::npos) << line;
}

TEST(EventLog, EveryEvent) {
  const auto line = [](const cluster::Event& event) { return JsonLine(ToJson(event, 2)); };
  EXPECT_EQ(line(cluster::EpochDone{1, 40, 0.5, 0.75, 0, 2, 3}),
            R"({"event":"epoch","seconds":2.0,"epoch":1,"next_step":40,"loss":0.5,)"
            R"("accuracy":0.75,"lost_samples":0,"duplicated_samples":2,"absent_samples":3})"
            "\n");
  EXPECT_EQ(line(cluster::DeviceJoined{4, "pi", true}),
            R"({"event":"device","seconds":2.0,"device":4,"state":"joined","name":"pi",)"
            R"("again":true})"
            "\n");
  EXPECT_EQ(line(cluster::DeviceLeft{4, "pi", "silent for 5 s"}),
            R"({"event":"device","seconds":2.0,"device":4,"state":"left","name":"pi",)"
            R"("reason":"silent for 5 s"})"
            "\n");
  EXPECT_EQ(line(cluster::DeviceProgress{4, 100.5, 0.25, {.sample_seconds = 0.5, .free_bytes = 7}}),
            R"({"event":"device","seconds":2.0,"device":4,"state":"working",)"
            R"("samples_per_second":100.5,"loss":0.25,"stats":{"lease_seconds":0.0,)"
            R"("sample_seconds":0.5,"up_bytes_per_second":0.0,"down_bytes_per_second":0.0,)"
            R"("round_trip_seconds":0.0,"free_bytes":7,"other_load":0.0,"temperature":0.0,)"
            R"("changes":0,"stored_bytes":0,"plan_seconds":0.0}})"
            "\n");
  cluster::Lease lease;
  lease.step = 9;
  lease.count = 32;
  EXPECT_EQ(line(cluster::LeaseRedealt{lease, 4, 1}),
            R"({"event":"redealt","seconds":2.0,"step":9,"samples":32,"from":4,"to":1})"
            "\n");
  EXPECT_EQ(line(cluster::WaitingForWorkers{1, 4}),
            R"({"event":"waiting","seconds":2.0,"have":1,"want":4})"
            "\n");
  EXPECT_EQ(
      line(cluster::LeadersChanged{
          3, {{.range = {0, 64}, .leader = {4, cluster::Role::kLeader}, .standby = 1}}, "why"}),
      R"({"event":"leaders","seconds":2.0,"layout":3,)"
      R"("parts":[{"begin":0,"count":64,"leader":4,"standby":1}],"reason":"why"})"
      "\n");
  EXPECT_EQ(line(cluster::SaturationChanged{true, 16, 2.5, 4, 8}),
            R"({"event":"saturation","seconds":2.0,"saturated":true,"devices":16,)"
            R"("updates_per_second":2.5,"most_per_second":4.0,"as_many_as":8})"
            "\n");
  EXPECT_EQ(line(cluster::ModeChanged{"async", "pi is slow"}),
            R"({"event":"mode","seconds":2.0,"mode":"async","reason":"pi is slow"})"
            "\n");
  EXPECT_EQ(line(cluster::CheckpointSaved{10, "x/step-10"}),
            R"({"event":"checkpoint","seconds":2.0,"step":10,"path":"x/step-10"})"
            "\n");
  EXPECT_EQ(line(cluster::RunDone{cluster::RunDone::How::kFailed, base::DataLoss("loss is nan"),
                                  "step 3", 3, 1, 0}),
            R"({"event":"done","seconds":2.0,"how":"failed","reason":"step 3",)"
            R"("problem":"data loss: loss is nan","next_step":3,"lost_samples":1,)"
            R"("duplicated_samples":0})"
            "\n");
  EXPECT_EQ(line(cluster::Joined{4, false}),
            R"({"event":"device","seconds":2.0,"device":4,"state":"admitted","again":false})"
            "\n");
  EXPECT_EQ(line(cluster::CoordinatorLost{"reset", 0.5}),
            R"({"event":"coordinator_lost","seconds":2.0,"reason":"reset","retry_in_s":0.5})"
            "\n");
  EXPECT_EQ(line(cluster::Warning{"bad \xFF byte"}),
            "{\"event\":\"warning\",\"seconds\":2.0,\"text\":\"bad \xEF\xBF\xBD byte\"}\n");
  EXPECT_EQ(JsonLine(ToJson(Evaluated{1, 1000, 0.25, 0.875}, 2)),
            R"({"event":"test","seconds":2.0,"epoch":1,"samples":1000,"loss":0.25,)"
            R"("accuracy":0.875})"
            "\n");
}

TEST(EventLog, ResultLeavesOutWhatThereIsNot) {
  RunResult result;
  result.outcome = "completed";
  result.run = "demo";
  const auto bare = ToJson(result);
  EXPECT_EQ(bare["event"], "result");
  EXPECT_FALSE(bare.contains("test_accuracy"));
  EXPECT_FALSE(bare.contains("problem"));
  EXPECT_EQ(bare["lost_samples"], 0);
  result.test_accuracy = 0.5;
  result.problem = "disk";
  EXPECT_EQ(ToJson(result)["test_accuracy"], 0.5);
  EXPECT_EQ(ToJson(result)["problem"], "disk");
}

}  // namespace
}  // namespace weft::app
