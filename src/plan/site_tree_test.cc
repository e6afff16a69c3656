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
          .update_bytes = 100,
          .sum_bytes = 150,
          .parameter_bytes = 100};
}

TEST(SiteTree, OneSumLeavesASite) {
  const std::vector<SiteDevice> devices = {{1, "home", {1e8, 1e8}, true},
                                           {2, "away", {1e8, 1e7}, true},
                                           {3, "away", {5e7, 5e7}, true},
                                           {4, "away", {1e8, 1e8}, false}};
  const SiteTree tree = PlanSiteTree(Input(devices));
  EXPECT_THAT(tree.parents, ElementsAre(kHub, 3, 3, 3));
  EXPECT_DOUBLE_EQ(tree.bytes, 250);
  EXPECT_DOUBLE_EQ(tree.flat_bytes, 600);
}

TEST(SiteTree, ARelayStaysOne) {
  std::vector<SiteDevice> devices = {{1, "away", {1e8, 1e8}, true}, {2, "away", {1e7, 1e7}, true}};
  EXPECT_THAT(PlanSiteTree(Input(devices)).parents, ElementsAre(1, 1));
  devices[1].relays = true;
  EXPECT_THAT(PlanSiteTree(Input(devices)).parents, ElementsAre(2, 2));
}

TEST(SiteTree, NotWhereItBringsNothing) {
  std::vector<SiteDevice> devices = {{1, "away", {1e8, 1e8}, true},
                                     {2, "", {1e8, 1e8}, true},
                                     {3, "", {1e8, 1e8}, true},
                                     {4, "far", {1e8, 1e8}, false},
                                     {5, "far", {1e8, 1e8}, false}};
  const SiteTree tree = PlanSiteTree(Input(devices));
  EXPECT_THAT(tree.parents, ElementsAre(kHub, kHub, kHub, kHub, kHub));
  EXPECT_DOUBLE_EQ(tree.bytes, tree.flat_bytes);
  devices = {{1, "away", {1e8, 1e8}, true}, {2, "away", {1e8, 1e8}, true}};
  SiteTreeInput input = Input(devices);
  input.sum_bytes = 300;
  EXPECT_THAT(PlanSiteTree(input).parents, ElementsAre(kHub, kHub)) << "of sparse updates";
}

TEST(SiteTree, EveryRelayIsOfItsDevicesSite) {
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
    ASSERT_LE(tree.bytes, tree.flat_bytes);
    for (size_t i = 0; i < devices.size(); ++i) {
      if (tree.parents[i] == kHub) continue;
      const SiteDevice& parent = devices[tree.parents[i] - 1];
      ASSERT_EQ(parent.site, devices[i].site);
      ASSERT_TRUE(parent.can_relay);
      ASSERT_EQ(tree.parents[parent.device - 1], parent.device);
    }
  }
}

}  // namespace
}  // namespace weft::plan
