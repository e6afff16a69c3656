#include "cluster/site_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr SiteKeeper::Sizes kSizes = {.update = 4, .sum = 4, .parameters = 4};

class Keeper : public ::testing::Test {
 protected:
  void Add(DeviceId id, const std::string& site, double rate = 1e6, bool reachable = true) {
    Device& device = devices_[id];
    device.id = id;
    device.site = site;
    device.endpoint = reachable ? "host:1" : "";
    device.stats.up_bytes_per_second = device.stats.down_bytes_per_second = rate;
  }
  // Who is told of which relay.
  std::vector<std::pair<DeviceId, DeviceId>> Plan(bool use = true, uint64_t term = 1) {
    std::vector<std::pair<DeviceId, DeviceId>> told;
    for (const auto& [device, site] : keeper_.Plan(term, devices_, kSizes, use)) {
      told.emplace_back(device, site.relay);
      EXPECT_GT(site.number, last_) << "newer than all before";
      newest_ = std::max(newest_, site.number);
    }
    last_ = newest_;
    return told;
  }
  using Told = std::pair<DeviceId, DeviceId>;

  std::map<DeviceId, Device> devices_;
  SiteKeeper keeper_{"home"};

 private:
  uint64_t last_ = 0;
  uint64_t newest_ = 0;
};

TEST_F(Keeper, TellsTheDevicesOfASiteOnce) {
  Add(1, "home");
  Add(2, "away");
  EXPECT_TRUE(keeper_.Possible(devices_));
  EXPECT_THAT(Plan(), IsEmpty()) << "one alone has nobody to add to";
  Add(3, "away", 2e6);
  EXPECT_THAT(Plan(false), IsEmpty());
  EXPECT_THAT(Plan(), ElementsAre(Told{2, 3}, Told{3, 3}));
  EXPECT_EQ(keeper_.Of(2).endpoint, "host:1");
  EXPECT_THAT(keeper_.Of(2).members, ElementsAre(2u, 3u));
  EXPECT_EQ(keeper_.Of(1).relay, 0u);
  EXPECT_THAT(Plan(), IsEmpty());
  EXPECT_TRUE(keeper_.IsRelay(3));
}

TEST_F(Keeper, ANewDeviceIsNewsForItsSite) {
  Add(2, "away");
  Add(3, "away");
  Plan();
  Add(4, "away", 9e6);
  EXPECT_THAT(Plan(), ElementsAre(Told{2, 2}, Told{3, 2}, Told{4, 2})) << "the relay stays";
  keeper_.Forget(3);
  EXPECT_EQ(keeper_.Plan(1, devices_, kSizes, true).size(), 1u);
}

TEST_F(Keeper, WithoutItsRelayASiteHasAnotherOrNone) {
  Add(2, "away");
  Add(3, "away");
  Add(4, "away", 1e6, false);
  Plan();
  devices_.at(2).silent = true;
  EXPECT_THAT(Plan(), ElementsAre(Told{3, 3}, Told{4, 3}, Told{2, 0}));
  devices_.erase(3);
  EXPECT_THAT(Plan(), ElementsAre(Told{4, 0})) << "nobody can dial it";
  devices_.at(2).silent = false;
  EXPECT_THAT(Plan(), ElementsAre(Told{2, 2}, Told{4, 2}));
  EXPECT_THAT(Plan(false), ElementsAre(Told{2, 0}, Told{4, 0}));
  EXPECT_TRUE(keeper_.empty());
}

TEST_F(Keeper, OnlyOtherSitesThanTheHubs) {
  Add(1, "home");
  Add(2, "home");
  Add(3, "");
  EXPECT_FALSE(keeper_.Possible(devices_));
  EXPECT_THAT(Plan(), IsEmpty());
}

}  // namespace
}  // namespace weft::cluster
