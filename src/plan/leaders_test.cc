#include "plan/leaders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/rng.h"

namespace weft::plan {
namespace {

constexpr double kFast = 12.5e6;  // 100 Mbit/s
constexpr int64_t kValues = 1'000'000;

std::vector<LinkedDevice> Devices(int count, double bytes_per_s) {
  std::vector<LinkedDevice> devices;
  for (int i = 1; i <= count; ++i)
    devices.push_back({static_cast<uint32_t>(i), {bytes_per_s, bytes_per_s}, 0.001, true});
  return devices;
}

LeaderInput Input(const std::vector<LinkedDevice>& devices) {
  return {.values = kValues,
          .hub = {kFast, kFast},
          .devices = devices,
          .updates = static_cast<int64_t>(devices.size()),
          .compute_s = 1};
}

// They tile the vector, begin at multiples of 64, and none is too small or its own standby.
void ExpectSound(const LeaderInput& input, const std::vector<LedRange>& ranges) {
  int64_t begin = 0;
  for (const LedRange& range : ranges) {
    EXPECT_EQ(range.begin, begin);
    EXPECT_EQ(range.begin % 64, 0);
    EXPECT_TRUE(ranges.size() == 1 || range.count >= 4096);
    EXPECT_TRUE(range.standby == 0 || range.standby != range.leader);
    begin += range.count;
  }
  EXPECT_EQ(begin, input.values);
}

TEST(PredictCommunication, OneLeaderCarriesAllUpdates) {
  const std::vector<LinkedDevice> devices = Devices(16, kFast);
  LeaderInput input = Input(devices);
  const std::vector<LedRange> flat = {{0, kValues}};
  // 16 updates of 4 MB in, as many parameters out, at 12.5 MB/s.
  EXPECT_DOUBLE_EQ(PredictCommunication(input, flat), 2 * 16 * 0.32 + 0.001);
  input.overlapped = true;
  EXPECT_DOUBLE_EQ(PredictCommunication(input, flat), 16 * 0.32 + 0.001);
}

TEST(PredictCommunication, TwoLeadersByHand) {
  const std::vector<LinkedDevice> devices = Devices(3, kFast);
  const LeaderInput input = Input(devices);
  const std::vector<LedRange> ranges = {{0, 400'000, 1, 2}, {400'000, 600'000, 2, 1}};
  // Device 2 takes 60 % of two updates; then it sends 60 % of the parameters twice, and a copy of
  // its update. The parameters of device 3 take 0.32 s, which is less.
  EXPECT_DOUBLE_EQ(PredictCommunication(input, ranges), 1.2 * 0.32 + 1.8 * 0.32 + 0.001);
}

TEST(PredictCommunication, ALeaderThatIsGoneNeverAnswers) {
  const std::vector<LinkedDevice> devices = Devices(2, kFast);
  const std::vector<LedRange> ranges = {{0, kValues, 7, 1}};
  EXPECT_TRUE(std::isinf(PredictCommunication(Input(devices), ranges)));
}

TEST(PlanLeaders, EqualLinksShareTheLoad) {
  const std::vector<LinkedDevice> devices = Devices(16, kFast);
  const LeaderInput input = Input(devices);
  const LeaderPlan plan = PlanLeaders(input);
  ExpectSound(input, plan.ranges);
  EXPECT_GE(plan.ranges.size(), 14U);
  EXPECT_DOUBLE_EQ(plan.flat_s, 2 * 16 * 0.32 + 0.001);
  // A worker sends its own update and fetches the parameters, whoever leads: 0.64 s. A leader's
  // link is busy for hardly longer.
  EXPECT_LT(plan.communication_s, 0.8);
  EXPECT_DOUBLE_EQ(plan.communication_s, PredictCommunication(input, plan.ranges));
  for (const LedRange& range : plan.ranges) EXPECT_NE(range.standby, 0U);
}

TEST(PlanLeaders, RangesFollowBandwidth) {
  std::vector<LinkedDevice> devices = Devices(4, kFast);
  devices[1].link = {2 * kFast, 2 * kFast};
  LeaderInput input = Input(devices);
  input.hub = {kFast / 100, kFast / 100};
  const LeaderPlan plan = PlanLeaders(input, {.fewest_values = 50'000});
  ExpectSound(input, plan.ranges);
  ASSERT_EQ(plan.ranges.size(), 4U);  // the hub's part would be too small
  EXPECT_EQ(plan.ranges[0].leader, 2U);
  EXPECT_NEAR(static_cast<double>(plan.ranges[0].count), 2e5 * 2, 64);
  EXPECT_NEAR(static_cast<double>(plan.ranges[1].count), 2e5, 64);
}

TEST(PlanLeaders, StaysFlatWhereASplitHardlyPays) {
  const std::vector<LinkedDevice> devices = Devices(8, kFast);
  LeaderInput input = Input(devices);
  EXPECT_GT(PlanLeaders(input).ranges.size(), 1U);
  input.compute_s = 60;
  const LeaderPlan plan = PlanLeaders(input);
  EXPECT_THAT(plan.ranges, testing::ElementsAre(LedRange{0, kValues, kHub, 0}));
}

TEST(PlanLeaders, OnlyThoseLeadThatCan) {
  std::vector<LinkedDevice> devices = Devices(8, kFast);
  for (size_t i = 2; i < devices.size(); ++i) devices[i].can_lead = false;
  devices[1].link.up_bytes_per_s = 0;  // not measured
  const LeaderInput input = Input(devices);
  for (const LedRange& range : PlanLeaders(input).ranges)
    EXPECT_TRUE(range.leader == kHub || range.leader == 1) << range.leader;
  LeaderInput unknown = input;
  unknown.hub = {};
  EXPECT_THAT(PlanLeaders(unknown).ranges, testing::ElementsAre(LedRange{0, kValues, kHub, 0}));
}

TEST(PlanLeaders, OneLeaderAloneHasTheBestOtherAsItsStandby) {
  std::vector<LinkedDevice> devices = Devices(4, kFast);
  LeaderInput input = Input(devices);
  std::vector<LedRange> ranges = {{0, kValues, 3}};
  ChooseStandbys(input, &ranges);
  EXPECT_TRUE(ranges[0].standby != 0 && ranges[0].standby != 3);
  devices.erase(devices.begin() + 3);
  devices.erase(devices.begin(), devices.begin() + 2);
  input.devices = devices;
  ChooseStandbys(input, &ranges);
  EXPECT_EQ(ranges[0].standby, 0U);
}

TEST(PlanLeaders, StandbysAreSpread) {
  const std::vector<LinkedDevice> devices = Devices(8, kFast);
  const LeaderInput input = Input(devices);
  std::vector<LedRange> ranges;
  for (int64_t i = 0; i < 8; ++i) ranges.push_back({i * 64, 64, static_cast<uint32_t>(i + 1)});
  ChooseStandbys(input, &ranges);
  std::set<uint32_t> standbys;
  for (const LedRange& range : ranges) standbys.insert(range.standby);
  EXPECT_EQ(standbys.size(), 8U);
}

TEST(PlanLeaders, AStandbyIsTheOneWithTheLeastToCarry) {
  const std::vector<LinkedDevice> devices = Devices(4, kFast);
  const LeaderInput input = Input(devices);
  std::vector<LedRange> ranges = {
      {0, 300'032, 1}, {300'032, 399'968, 2}, {700'000, 10'000, 3}, {710'000, 290'000, 4}};
  ChooseStandbys(input, &ranges);
  EXPECT_EQ(ranges[0].standby, 3U);
  EXPECT_EQ(ranges[1].standby, 3U);
  EXPECT_NE(ranges[2].standby, 2U);
}

TEST(PlanLeaders, IsSoundAndNoSlowerThanFlatForAnyCluster) {
  base::Rng rng(11);
  for (int round = 0; round < 300; ++round) {
    std::vector<LinkedDevice> devices = Devices(1 + static_cast<int>(rng.NextBelow(40)), kFast);
    for (LinkedDevice& device : devices) {
      device.link = {std::exp(rng.NextUniform(11, 19)), std::exp(rng.NextUniform(11, 19))};
      device.can_lead = rng.NextBelow(3) > 0;
    }
    LeaderInput input = Input(devices);
    input.values = 1 + static_cast<int64_t>(rng.NextBelow(300'000));
    input.hub = {std::exp(rng.NextUniform(11, 19)), std::exp(rng.NextUniform(11, 19))};
    input.compute_s = rng.NextUniform();
    input.overlapped = rng.NextBelow(2) == 0;
    const LeaderPlan plan = PlanLeaders(input);
    ExpectSound(input, plan.ranges);
    ASSERT_LE(plan.communication_s, plan.flat_s);
    if (plan.ranges.size() > 1) {
      ASSERT_GT(plan.flat_s - plan.communication_s, 0.15 * (input.compute_s + plan.flat_s));
    }
  }
}

// Links that cost nothing: 16 updates take the one leader's processor 0.8 s.
TEST(PlanLeaders, SplitsForTheProcessorAlone) {
  const std::vector<LinkedDevice> devices = Devices(16, 1e12);
  LeaderInput input = Input(devices);
  input.hub = {1e12, 1e12};
  EXPECT_EQ(PlanLeaders(input).ranges.size(), 1U);
  input.leading_s = 0.05;
  const LeaderPlan plan = PlanLeaders(input);
  ExpectSound(input, plan.ranges);
  EXPECT_NEAR(plan.flat_s, 0.801, 1e-3);
  EXPECT_GE(plan.ranges.size(), 14U);
  EXPECT_LT(plan.communication_s, 0.06);
  input.compute_s = 10;  // now it hardly pays
  EXPECT_EQ(PlanLeaders(input).ranges.size(), 1U);
}

// A leader without a link to speak of, but as fast a processor.
TEST(PlanLeaders, LinksThatHardlyMatterDoNotDecideTheRanges) {
  std::vector<LinkedDevice> devices = Devices(4, 1e12);
  for (LinkedDevice& device : devices) device.link.down_bytes_per_s *= device.device;
  LeaderInput input = Input(devices);
  input.leading_s = 1;
  input.hub = {1e12, 1e12};
  const LeaderPlan plan = PlanLeaders(input);
  ASSERT_EQ(plan.ranges.size(), 5U);
  for (const LedRange& range : plan.ranges) EXPECT_NEAR(range.count / 2e5, 1, 0.3);
}

TEST(LeaderPlanner, ChangesWhenItPaysAndNotTooOften) {
  const std::vector<LinkedDevice> devices = Devices(8, kFast);
  LeaderInput input = Input(devices);
  input.compute_s = 60;
  LeaderPlanner planner;
  EXPECT_FALSE(planner.Next(0, input));
  input.compute_s = 1;
  for (int64_t step = 1; step < 20; ++step) EXPECT_FALSE(planner.Next(step, input));
  const std::optional<LeaderPlan> plan = planner.Next(20, input);
  ASSERT_TRUE(plan);
  EXPECT_GT(plan->ranges.size(), 4U);
  // The same again, and links a little other than before, are no reason.
  std::vector<LinkedDevice> others = devices;
  others[3].link.up_bytes_per_s *= 0.95;
  input.devices = others;
  for (int64_t step = 21; step < 100; ++step) EXPECT_FALSE(planner.Next(step, input));
}

TEST(LeaderPlanner, KeepsASplitWhileTheHubsLinkIsNotKnown) {
  const std::vector<LinkedDevice> devices = Devices(8, kFast);
  LeaderInput input = Input(devices);
  LeaderPlanner planner;
  ASSERT_TRUE(planner.Next(0, input));
  input.hub = {};
  EXPECT_FALSE(planner.Next(20, input));
}

TEST(LeaderPlanner, ReplacesALeaderAtOnce) {
  std::vector<LinkedDevice> devices = Devices(8, kFast);
  LeaderInput input = Input(devices);
  LeaderPlanner planner;
  ASSERT_TRUE(planner.Next(0, input));
  devices.erase(devices.begin() + 4);
  input.devices = devices;
  const std::optional<LeaderPlan> plan = planner.Next(1, input);
  ASSERT_TRUE(plan);
  for (const LedRange& range : plan->ranges) {
    EXPECT_NE(range.leader, 5U);
    EXPECT_NE(range.standby, 5U);
  }
  EXPECT_FALSE(planner.Next(2, input));
}

TEST(LeaderPlanner, KeepsToTheNumberThatWasAskedFor) {
  const std::vector<LinkedDevice> devices = Devices(5, kFast);
  LeaderInput input = Input(devices);
  input.values = 16;  // nothing is saved
  LeaderPlanner planner({.fewest_values = 1, .alignment = 1, .exactly = 4});
  const auto plan = planner.Next(0, input);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->ranges.size(), 4u);
  int64_t begin = 0;
  for (const LedRange& range : plan->ranges) {
    EXPECT_EQ(range.begin, begin);
    EXPECT_GT(range.count, 0);
    begin += range.count;
  }
  EXPECT_EQ(begin, 16);
  EXPECT_FALSE(planner.Next(20, input));
}

TEST(LeaderPlanner, SplitsOnceThereAreDevicesToStandBy) {
  LeaderPlanner planner({.fewest_values = 1, .alignment = 1, .exactly = 3});
  const std::vector<LinkedDevice> one = Devices(1, kFast);
  EXPECT_FALSE(planner.Next(0, Input(one)));
  const std::vector<LinkedDevice> four = Devices(4, kFast);
  const auto plan = planner.Next(1, Input(four));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->ranges.size(), 3u);
}

TEST(LeaderPlanner, LeavesNothingWithADeviceThatNobodyCanStandBy) {
  const std::vector<LinkedDevice> one = Devices(1, 8 * kFast);
  LeaderInput input = Input(one);
  LeaderPlanner planner({.exactly = 2});
  EXPECT_FALSE(planner.Next(0, input));
  planner.Holds(3, {{0, kValues / 2, 1, 2}, {kValues / 2, kValues / 2, 0, 1}});
  const auto plan = planner.Next(4, input);  // device 2 has gone
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->ranges, (std::vector<LedRange>{{0, kValues, 0, 0}}));
}

TEST(LeaderPlanner, FindsANewStandbyAfterATakeOver) {
  std::vector<LinkedDevice> devices = Devices(4, kFast);
  LeaderPlanner planner;
  const std::vector<LedRange> taken_over = {{0, 500'032, 2, 0}, {500'032, 499'968, 3, 2}};
  planner.Holds(7, taken_over);
  const std::optional<LeaderPlan> plan = planner.Next(8, Input(devices));
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->ranges.size(), 2U);
  EXPECT_EQ(plan->ranges[0].leader, 2U);
  EXPECT_EQ(plan->ranges[0].standby, 3U);
  EXPECT_FALSE(planner.Next(9, Input(devices)));
}

}  // namespace
}  // namespace weft::plan
