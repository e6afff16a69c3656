#include "plan/site_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::plan {
namespace {

using testing::ElementsAre;

SiteTreeInput Input(const std::vector<SiteDevice>& devices) {
  return {.hub_site = "home",
          .devices = devices,
          .between = {1e6, 1e6},
          .between_round_trip_s = 0.078,
          .within_round_trip_s = 0.001,
          .update_bytes = 100,
          .sum_bytes = 150,
          .parameter_bytes = 100};
}

TEST(SiteTree, OneSumASiteCrossesTheSlowLink) {
  const std::vector<SiteDevice> devices = {{1, "home", {1e8, 1e8}, true},
                                           {2, "away", {1e8, 1e7}, true},
                                           {3, "away", {5e7, 5e7}, true},
                                           {4, "away", {1e8, 1e8}, false}};
  const SiteTree tree = PlanSiteTree(Input(devices));
  EXPECT_THAT(tree.parents, ElementsAre(kHub, 3, kHub, 3));
  EXPECT_DOUBLE_EQ(tree.slow_bytes, 250);
  EXPECT_DOUBLE_EQ(tree.flat_slow_bytes, 600);
}

TEST(SiteTree, NotWhereItBringsNothing) {
  std::vector<SiteDevice> devices = {{1, "away", {1e8, 1e8}, true},
                                     {2, "", {1e8, 1e8}, true},
                                     {3, "", {1e8, 1e8}, true},
                                     {4, "far", {1e8, 1e8}, false},
                                     {5, "far", {1e8, 1e8}, false}};
  const SiteTree tree = PlanSiteTree(Input(devices));
  EXPECT_THAT(tree.parents, ElementsAre(kHub, kHub, kHub, kHub, kHub));
  EXPECT_DOUBLE_EQ(tree.slow_bytes, tree.flat_slow_bytes);
}

TEST(SiteTree, NotWhereTheLinkBetweenSitesIsAsGood) {
  const std::vector<SiteDevice> devices = {{1, "away", {3e6, 3e6}, true},
                                           {2, "away", {3e6, 3e6}, true}};
  SiteTreeInput input = Input(devices);
  EXPECT_THAT(PlanSiteTree(input).parents, ElementsAre(kHub, 1)) << "the round trip is worse";
  input.between_round_trip_s = 0.002;
  EXPECT_THAT(PlanSiteTree(input).parents, ElementsAre(kHub, kHub));
  input.between = {0.5e6, 3e6};
  EXPECT_THAT(PlanSiteTree(input).parents, ElementsAre(kHub, 1)) << "the bandwidth is worse";
}

TEST(SiteTree, EveryPathEndsAtTheHubInTwoHops) {
  base::Rng rng(8);
  for (int round = 0; round < 200; ++round) {
    std::vector<SiteDevice> devices(rng.NextBelow(60));
    for (size_t i = 0; i < devices.size(); ++i)
      devices[i] = {static_cast<uint32_t>(i + 1),
                    std::vector<std::string>{"home", "a", "b", ""}[rng.NextBelow(4)],
                    {rng.NextUniform(1e6, 1e8), rng.NextUniform(1e6, 1e8)},
                    rng.NextBelow(2) == 0};
    const SiteTree tree = PlanSiteTree(Input(devices));
    ASSERT_EQ(tree.parents.size(), devices.size());
    ASSERT_LE(tree.slow_bytes, tree.flat_slow_bytes);
    for (size_t i = 0; i < devices.size(); ++i) {
      if (tree.parents[i] == kHub) continue;
      const SiteDevice& parent = devices[tree.parents[i] - 1];
      ASSERT_EQ(parent.site, devices[i].site);
      ASSERT_TRUE(parent.can_lead);
      ASSERT_EQ(tree.parents[parent.device - 1], kHub);
    }
  }
}

}  // namespace
}  // namespace weft::plan
