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

void Add(Dealer& dealer, const std::vector<DeviceId>& devices) {
  for (DeviceId device : devices) dealer.Add(device);
}

TimePoint At(int64_t seconds) { return TimePoint{} + std::chrono::seconds(seconds); }

// Who got the free slots, in slot order.
std::vector<DeviceId> Deal(Dealer& dealer, TimePoint now = {}) {
  std::map<int64_t, DeviceId> by_slot;
  for (const Dealer::Dealt& dealt : dealer.Deal(now)) by_slot[dealt.lease.slot] = dealt.device;
  std::vector<DeviceId> devices;
  for (const auto& [slot, device] : by_slot) devices.push_back(device);
  return devices;
}

TEST(Dealer, SpreadsEvenly) {
  Dealer dealer;
  Add(dealer, {7, 8});
  dealer.Begin(Leases(0, 4));
  EXPECT_THAT(Deal(dealer), ElementsAre(7, 8, 7, 8));
  EXPECT_THAT(Deal(dealer), IsEmpty());
  EXPECT_EQ(dealer.Load(7), 2);
}

TEST(Dealer, AQuietDeviceGetsOnlyWhatNobodyElseCanTake) {
  Dealer dealer;
  Add(dealer, {1, 2, 3});
  dealer.SetQuiet(0, {2});
  EXPECT_EQ(dealer.Available(0), 2);
  dealer.Begin(Leases(0, 3));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 3, 1));
  dealer.SetQuiet(1, {});
  dealer.Begin(Leases(1, 3));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 3, 2));
  dealer.SetQuiet(2, {1, 2, 3});
  EXPECT_EQ(dealer.Available(2), 3) << "all of them is better than none";
  dealer.Begin(Leases(2, 3));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 3, 2));
  dealer.SetQuiet(2, {1, 2});
  dealer.Remove(2);
  dealer.Remove(1);
  EXPECT_THAT(Deal(dealer), ElementsAre(3, 3));
}

TEST(Dealer, AQuietDeviceThatHasSatOutIsStillQuiet) {
  Dealer dealer;
  Add(dealer, {1, 2});
  dealer.Begin(Leases(0, 2));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 2));
  ASSERT_TRUE(dealer.ExpireAll(2, At(0), Duration(0)));
  dealer.SetQuiet(0, {2});
  EXPECT_THAT(Deal(dealer), ElementsAre(1));
  dealer.Committed(dealer.leases()[1], 1);  // so 2 sits out step 1
  for (int64_t step = 1; step < 4; ++step) {
    dealer.SetQuiet(step, {2});
    EXPECT_THAT(dealer.Ready(step), ElementsAre(1)) << step;
    dealer.Begin(Leases(step, 2));
    EXPECT_THAT(Deal(dealer), ElementsAre(1, 1)) << step;
  }
}

TEST(Dealer, SlotsStayWhereTheyWere) {
  Dealer dealer;
  Add(dealer, {4, 3, 2, 1});
  dealer.Begin(Leases(0, 4));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 2, 3, 4));
  dealer.Begin(Leases(1, 4));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 2, 3, 4));
  dealer.Remove(1);
  dealer.Add(5);
  dealer.Begin(Leases(2, 4));
  EXPECT_THAT(Deal(dealer), ElementsAre(5, 2, 3, 4));
}

TEST(Dealer, ANewDeviceTakesItsShareAtTheNextStep) {
  Dealer dealer;
  dealer.Add(1);
  dealer.Begin(Leases(0, 4));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 1, 1, 1));
  dealer.Add(2);
  EXPECT_THAT(Deal(dealer), IsEmpty());
  dealer.Begin(Leases(1, 4));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 1, 2, 2));
}

TEST(Dealer, WithMoreDevicesThanSlotsTheSpareOnesStepIn) {
  Dealer dealer;
  Add(dealer, {1, 2, 3, 4, 5});
  dealer.Begin(Leases(0, 2));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 2));
  dealer.Remove(1);
  EXPECT_THAT(Deal(dealer), ElementsAre(3));
  dealer.Begin(Leases(1, 2));
  EXPECT_THAT(Deal(dealer), ElementsAre(3, 2)) << "those that have their samples";
}

TEST(Dealer, WhatADeadDeviceHeldGoesToTheLeastLoaded) {
  Dealer dealer;
  Add(dealer, {1, 2, 3});
  dealer.Begin(Leases(0, 5));
  EXPECT_THAT(Deal(dealer), ElementsAre(1, 2, 3, 1, 2));
  dealer.Remove(2);
  const auto dealt = dealer.Deal({});
  ASSERT_EQ(dealt.size(), 2u);
  EXPECT_EQ(dealt[0].device, 3u);
  EXPECT_EQ(dealt[0].before, 2u);
  EXPECT_FALSE(dealt[0].again);
}

TEST(Dealer, AReturnedLeaseGoesToAnother) {
  Dealer dealer;
  Add(dealer, {1, 2});
  dealer.Begin(Leases(0, 2));
  Deal(dealer);
  const Lease lease = dealer.leases()[0];
  EXPECT_FALSE(dealer.Return(lease, 2)) << "it is not its holder";
  EXPECT_FALSE(dealer.Return(Leases(9, 2)[0], 1)) << "another step's";
  EXPECT_TRUE(dealer.Return(lease, 1));
  EXPECT_FALSE(dealer.Return(lease, 1)) << "said twice";
  EXPECT_EQ(dealer.Hopeless(), std::nullopt);
  EXPECT_THAT(Deal(dealer), ElementsAre(2));
  EXPECT_TRUE(dealer.Return(lease, 2));
  EXPECT_THAT(Deal(dealer), IsEmpty());
  EXPECT_EQ(dealer.Hopeless(), lease);
  dealer.Add(3);
  EXPECT_EQ(dealer.Hopeless(), std::nullopt);
  EXPECT_THAT(Deal(dealer), ElementsAre(3));
}

TEST(Dealer, NobodyThereNothingDealt) {
  Dealer dealer;
  dealer.Begin(Leases(0, 2));
  EXPECT_THAT(Deal(dealer), IsEmpty());
  EXPECT_EQ(dealer.Hopeless(), std::nullopt);
  dealer.End();
  dealer.Add(1);
  EXPECT_THAT(Deal(dealer), IsEmpty());
}

TEST(Dealer, SaysSinceWhenSomeoneIsOverdue) {
  Dealer dealer;
  Add(dealer, {1, 2});
  dealer.Begin(Leases(0, 2));
  for (const Dealer::Dealt& dealt : dealer.Deal(At(3))) EXPECT_FALSE(dealt.overdue_since);
  ASSERT_TRUE(dealer.Expire(0, At(20), std::chrono::seconds(10)));
  const auto anew = dealer.Deal(At(20));
  ASSERT_EQ(anew.size(), 1u);
  EXPECT_EQ(anew[0].before, 1u);
  EXPECT_EQ(anew[0].overdue_since, At(3));
  ASSERT_TRUE(dealer.Return(anew[0].lease, 2));
  const auto returned = dealer.Deal(At(21));
  ASSERT_EQ(returned.size(), 1u);
  EXPECT_FALSE(returned[0].overdue_since) << "it said so itself";
}

TEST(Dealer, AnExpiredLeaseGoesToAnotherAndWaitsTwiceAsLongEachTime) {
  Dealer dealer;
  Add(dealer, {1, 2, 3});
  dealer.Begin(Leases(0, 2));
  Deal(dealer, At(0));
  const Duration allowed = std::chrono::seconds(10);
  EXPECT_FALSE(dealer.Expire(0, At(9), allowed)) << "too early";
  EXPECT_FALSE(dealer.Expire(7, At(99), allowed)) << "no such slot";
  ASSERT_TRUE(dealer.Expire(0, At(10), allowed));
  EXPECT_FALSE(dealer.Expire(0, At(10), allowed)) << "nobody holds it";
  EXPECT_THAT(Deal(dealer, At(10)), ElementsAre(3)) << "the one without work";
  EXPECT_FALSE(dealer.Expire(0, At(29), allowed));
  ASSERT_TRUE(dealer.Expire(0, At(30), allowed));
  EXPECT_THAT(Deal(dealer, At(30)), ElementsAre(2)) << "the one that has not had it";
  ASSERT_TRUE(dealer.Expire(0, At(70), allowed));
  const auto again = dealer.Deal(At(70));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_TRUE(again[0].again) << "all have had it";
  EXPECT_FALSE(dealer.Expire(0, At(149), allowed));
}

TEST(Dealer, OneDeviceAloneIsAskedAgain) {
  Dealer dealer;
  dealer.Add(1);
  dealer.Begin(Leases(0, 2));
  Deal(dealer, At(0));
  EXPECT_FALSE(dealer.ExpireAll(1, At(4), std::chrono::seconds(5)));
  EXPECT_FALSE(dealer.ExpireAll(9, At(5), std::chrono::seconds(5)));
  ASSERT_TRUE(dealer.ExpireAll(1, At(5), std::chrono::seconds(5)));
  const auto again = dealer.Deal(At(5));
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].device, 1u);
  EXPECT_TRUE(again[0].again && again[1].again);
}

TEST(Dealer, WhoWasOvertakenSitsOutLongerEachTimeAndIsForgiven) {
  Dealer dealer;
  Add(dealer, {1, 2, 3});
  int64_t step = 0;
  // Device 1 holds slot 0 until another has it too, and is beaten.
  const auto overtaken = [&] {
    dealer.Begin(Leases(step, 3));
    EXPECT_THAT(Deal(dealer, At(0)), ElementsAre(1, testing::_, testing::_));
    EXPECT_TRUE(dealer.Expire(0, At(10), std::chrono::seconds(10)));
    Deal(dealer, At(10));
    dealer.Committed(dealer.leases()[0], 2);
    ++step;
  };
  const auto steps_out = [&] {
    int64_t out = 0;
    while (dealer.Available(step) == 2) {
      dealer.Begin(Leases(step++, 2));
      EXPECT_THAT(Deal(dealer, At(0)), testing::Not(testing::Contains(1)));
      ++out;
    }
    // A step in which slot 0 finds its way back to it.
    dealer.Remove(2);
    dealer.Remove(3);
    dealer.Begin(Leases(step++, 1));
    Deal(dealer, At(0));
    Add(dealer, {2, 3});
    return out;
  };
  for (const int64_t want : {1, 3, 7}) {
    overtaken();
    EXPECT_EQ(steps_out(), want);
  }
  dealer.Begin(Leases(step, 3));
  Deal(dealer, At(0));
  dealer.Committed(dealer.leases()[0], 1);
  overtaken();
  EXPECT_EQ(steps_out(), 1);
}

TEST(Dealer, IfThereIsNobodyElseWhoSitsOutIsDealtTo) {
  Dealer dealer;
  Add(dealer, {1, 2});
  dealer.Begin(Leases(0, 2));
  Deal(dealer, At(0));
  ASSERT_TRUE(dealer.Expire(0, At(10), std::chrono::seconds(10)));
  Deal(dealer, At(10));
  dealer.Committed(dealer.leases()[0], 2);
  EXPECT_EQ(dealer.Available(1), 1);
  dealer.Begin(Leases(1, 1));
  EXPECT_THAT(Deal(dealer), ElementsAre(2));
  EXPECT_TRUE(dealer.Return(dealer.leases()[0], 2));
  EXPECT_THAT(Deal(dealer), ElementsAre(1)) << "2 cannot, 1 perhaps can";
  dealer.Remove(1);
  EXPECT_EQ(dealer.Available(2), 1);
}

TEST(Dealer, WhatOnlyItsOwnerMayComputeIsLeftOut) {
  Dealer dealer;
  Add(dealer, {7, 8, 9});
  dealer.Begin(Leases(0, 3), {7, 8, 8}, {}, /*only_owners=*/true);
  EXPECT_THAT(Deal(dealer), ElementsAre(7, 8, 8));
  dealer.LeaveOutFree();
  EXPECT_EQ(dealer.left_out(), 0u);
  dealer.Remove(7);
  dealer.Return(Leases(0, 3)[1], 8);
  EXPECT_THAT(Deal(dealer), IsEmpty()) << "not to 9";
  dealer.LeaveOutFree();
  EXPECT_EQ(dealer.left_out(), 2u);
  EXPECT_TRUE(dealer.IsLeftOut(0) && dealer.IsLeftOut(1) && !dealer.IsLeftOut(2));
  dealer.LeaveOutLate(2);
  EXPECT_EQ(dealer.left_out(), 3u);
  EXPECT_THAT(dealer.Ready(1), ElementsAre(9)) << "8 sits out";
  EXPECT_THAT(dealer.Ready(2), ElementsAre(8, 9));
}

}  // namespace
}  // namespace weft::cluster
