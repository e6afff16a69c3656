#include "cluster/dealer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace weft::cluster {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Lease> Leases(int64_t step, int64_t slots) {
  std::vector<Lease> leases;
  for (int64_t slot = 0; slot < slots; ++slot) {
    leases.push_back({.id = static_cast<uint64_t>(100 * step + slot + 1),
                      .step = step,
                      .slot = slot,
                      .begin = slot * 8,
                      .count = 8});
  }
  return leases;
}

std::vector<DeviceId> Deal(Dealer& dealer, const std::vector<DeviceId>& living) {
  std::map<int64_t, DeviceId> by_slot;
  for (const Dealer::Dealt& dealt : dealer.Deal(living)) by_slot[dealt.lease.slot] = dealt.device;
  std::vector<DeviceId> devices;
  for (const auto& [slot, device] : by_slot) devices.push_back(device);
  return devices;
}

TEST(Dealer, SpreadsEvenly) {
  Dealer dealer;
  dealer.Begin(Leases(0, 4));
  EXPECT_THAT(Deal(dealer, {7, 8}), ElementsAre(7, 8, 7, 8));
  EXPECT_THAT(Deal(dealer, {7, 8}), IsEmpty());
}

TEST(Dealer, SlotsStayWhereTheyWere) {
  Dealer dealer;
  dealer.Begin(Leases(0, 4));
  Deal(dealer, {1, 2, 3, 4});
  dealer.Begin(Leases(1, 4));
  EXPECT_THAT(Deal(dealer, {4, 3, 2, 1}), ElementsAre(1, 2, 3, 4));
  dealer.Begin(Leases(2, 4));
  EXPECT_THAT(Deal(dealer, {2, 3, 4, 5}), ElementsAre(5, 2, 3, 4));  // 1 is gone, 5 is new
}

TEST(Dealer, ANewDeviceTakesItsShareAtTheNextStep) {
  Dealer dealer;
  dealer.Begin(Leases(0, 4));
  Deal(dealer, {1});
  dealer.Begin(Leases(1, 4));
  EXPECT_THAT(Deal(dealer, {1, 2}), ElementsAre(1, 1, 2, 2));
}

TEST(Dealer, WhatADeadDeviceHeldGoesToTheLeastLoaded) {
  Dealer dealer;
  dealer.Begin(Leases(0, 5));
  EXPECT_THAT(Deal(dealer, {1, 2, 3}), ElementsAre(1, 2, 3, 1, 2));
  dealer.Release(2);
  const auto dealt = dealer.Deal(std::vector<DeviceId>{1, 3});
  ASSERT_EQ(dealt.size(), 2u);
  EXPECT_EQ(dealt[0].device, 3u);
  EXPECT_EQ(dealt[0].before, 2u);
}

TEST(Dealer, AReturnedLeaseGoesToAnother) {
  Dealer dealer;
  dealer.Begin(Leases(0, 2));
  Deal(dealer, {1, 2});
  const Lease lease = dealer.leases()[0];
  EXPECT_FALSE(dealer.Return(lease, 2)) << "it is not its holder";
  EXPECT_FALSE(dealer.Return(Leases(9, 2)[0], 1)) << "another step's";
  EXPECT_TRUE(dealer.Return(lease, 1));
  EXPECT_EQ(dealer.Hopeless(std::vector<DeviceId>{1, 2}), std::nullopt);
  EXPECT_THAT(Deal(dealer, {1, 2}), ElementsAre(2));
  EXPECT_TRUE(dealer.Return(lease, 2));
  EXPECT_THAT(Deal(dealer, {1, 2}), IsEmpty());
  EXPECT_EQ(dealer.Hopeless(std::vector<DeviceId>{1, 2}), lease);
  EXPECT_EQ(dealer.Hopeless(std::vector<DeviceId>{1, 2, 3}), std::nullopt);
}

TEST(Dealer, NobodyThereNothingDealt) {
  Dealer dealer;
  dealer.Begin(Leases(0, 2));
  EXPECT_THAT(Deal(dealer, {}), IsEmpty());
  EXPECT_EQ(dealer.Hopeless({}), std::nullopt);
  dealer.End();
  EXPECT_THAT(Deal(dealer, {1}), IsEmpty());
}

}  // namespace
}  // namespace weft::cluster
