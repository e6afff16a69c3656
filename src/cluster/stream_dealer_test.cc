#include "cluster/stream_dealer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Dealt = StreamDealer::Dealt;

class StreamDealerTest : public ::testing::Test {
 protected:
  // Leases 1, 2, ... of one sample each, as long as there are any.
  std::vector<Dealt> Deal(int64_t ahead = 0) {
    return dealer_.Deal(now_, ahead, [this](DeviceId) -> std::optional<Lease> {
      if (left_ == 0) return std::nullopt;
      --left_;
      const auto id = ++last_;
      return Lease{.id = id,
                   .slot = static_cast<int64_t>(id),
                   .begin = static_cast<int64_t>(id),
                   .count = 1};
    });
  }
  static std::vector<std::pair<uint64_t, DeviceId>> Pairs(const std::vector<Dealt>& dealt) {
    std::vector<std::pair<uint64_t, DeviceId>> pairs;
    for (const Dealt& each : dealt) pairs.emplace_back(each.lease.id, each.device);
    return pairs;
  }
  static Lease LeaseOf(uint64_t id) {
    const auto at = static_cast<int64_t>(id);
    return {.id = id, .slot = at, .begin = at, .count = 1};
  }

  StreamDealer dealer_;
  TimePoint now_{};
  int left_ = 100;
  uint64_t last_ = 0;
};

using Pair = std::pair<uint64_t, DeviceId>;

TEST_F(StreamDealerTest, EachHasOneToComputeBeforeAnyHasOneWaiting) {
  dealer_.Add(1);
  dealer_.Add(2);
  EXPECT_THAT(Pairs(Deal()), ElementsAre(Pair(1, 1), Pair(2, 2), Pair(3, 1), Pair(4, 2)));
  EXPECT_THAT(Deal(), IsEmpty());
  dealer_.Committed(LeaseOf(2), now_);
  EXPECT_THAT(Pairs(Deal()), ElementsAre(Pair(5, 2)));
  EXPECT_EQ(dealer_.open(), 4u);
  EXPECT_FALSE(dealer_.Knows(LeaseOf(2)));
}

TEST_F(StreamDealerTest, AsManyAtATimeAsWereSet) {
  dealer_.Add(1);
  dealer_.SetDepth(3);
  EXPECT_THAT(Deal(), SizeIs(3));
  EXPECT_EQ(dealer_.Load(1), 3u);
}

TEST_F(StreamDealerTest, WhatTheLostHeldGoesToOthersUnderTheSameNumber) {
  dealer_.Add(1);
  left_ = 2;
  Deal();
  dealer_.Remove(1);
  EXPECT_THAT(dealer_.Unheld(), ElementsAre(LeaseOf(1), LeaseOf(2)));
  dealer_.Add(2);
  const auto dealt = Deal();
  EXPECT_THAT(Pairs(dealt), ElementsAre(Pair(1, 2), Pair(2, 2)));
  EXPECT_EQ(dealt[0].before, 1u);
  EXPECT_THAT(dealer_.Unheld(), IsEmpty());
}

TEST_F(StreamDealerTest, ADeviceThatComesBackHoldsNothing) {
  dealer_.Add(1);
  left_ = 2;
  Deal();
  dealer_.Add(1);
  EXPECT_EQ(dealer_.Load(1), 0u);
  EXPECT_THAT(Pairs(Deal()), ElementsAre(Pair(1, 1), Pair(2, 1)));
}

TEST_F(StreamDealerTest, WhatIsReturnedGoesToSomebodyElse) {
  dealer_.Add(1);
  dealer_.Add(2);
  left_ = 2;
  Deal();
  EXPECT_FALSE(dealer_.Return(LeaseOf(1), 2, false)) << "it did not hold it";
  EXPECT_TRUE(dealer_.Return(LeaseOf(1), 1, false));
  EXPECT_FALSE(dealer_.Return(LeaseOf(1), 1, false));
  EXPECT_THAT(Pairs(Deal()), ElementsAre(Pair(1, 2)));
  EXPECT_FALSE(dealer_.Hopeless().has_value());
  EXPECT_TRUE(dealer_.Return(LeaseOf(1), 2, false));
  EXPECT_EQ(dealer_.Hopeless(), LeaseOf(1));
  EXPECT_THAT(Deal(), IsEmpty());
  dealer_.Add(3);
  EXPECT_FALSE(dealer_.Hopeless().has_value()) << "a new one may be able to";
}

TEST_F(StreamDealerTest, TheQuietGetNothing) {
  dealer_.Add(1);
  dealer_.Add(2);
  dealer_.SetQuiet({1});
  left_ = 2;
  EXPECT_THAT(Pairs(Deal()), ElementsAre(Pair(1, 2), Pair(2, 2)));
  dealer_.SetQuiet({});
  left_ = 1;
  EXPECT_THAT(Pairs(Deal()), ElementsAre(Pair(3, 1)));
}

TEST_F(StreamDealerTest, NobodyIsFurtherAheadOfTheSlowestThanAllowed) {
  dealer_.Add(1);
  dealer_.Add(2);
  Deal(/*ahead=*/2);  // 1 and 3 to device 1, 2 and 4 to device 2
  dealer_.Committed(LeaseOf(1), now_);
  EXPECT_THAT(Pairs(Deal(2)), ElementsAre(Pair(5, 1)));
  dealer_.Committed(LeaseOf(3), now_);
  EXPECT_THAT(Deal(2), IsEmpty());
  dealer_.Committed(LeaseOf(2), now_);
  EXPECT_THAT(Pairs(Deal(2)), ElementsAre(Pair(6, 1), Pair(7, 2)));
}

TEST_F(StreamDealerTest, WhoHoldsNothingKeepsNobodyWaiting) {
  dealer_.Add(1);
  Deal(1);
  for (const uint64_t id : {1, 2}) dealer_.Committed(LeaseOf(id), now_);
  dealer_.Add(2);
  dealer_.SetQuiet({2});
  EXPECT_THAT(Deal(1), SizeIs(2));
}

TEST_F(StreamDealerTest, ALeaseThatItsHolderDoesNotKnowOfIsFreeAfterAWhile) {
  dealer_.Add(1);
  left_ = 1;
  Deal();
  now_ = now_ + seconds(1);
  EXPECT_FALSE(dealer_.ExpireOf(1, now_, seconds(2)));
  now_ = now_ + seconds(1);
  EXPECT_TRUE(dealer_.ExpireOf(1, now_, seconds(2)));
  EXPECT_THAT(Pairs(Deal()), ElementsAre(Pair(1, 1)));
}

// Three leases of one second each, then one that takes longer than four times that.
TEST_F(StreamDealerTest, AnOverdueLeaseIsDealtToAnotherAsWellAndTheFirstCounts) {
  dealer_.Add(1);
  dealer_.Add(2);
  left_ = 4;
  Deal();
  now_ = now_ + seconds(1);
  for (const uint64_t id : {1, 2, 3}) dealer_.Committed(LeaseOf(id), now_);
  now_ = now_ + seconds(2);
  EXPECT_FALSE(dealer_.ExpireOverdue(now_, seconds(1)));
  now_ = now_ + seconds(1);
  EXPECT_FALSE(dealer_.ExpireOverdue(now_, seconds(5))) << "not before the least";
  EXPECT_TRUE(dealer_.ExpireOverdue(now_, seconds(1)));
  EXPECT_FALSE(dealer_.ExpireOverdue(now_, seconds(1))) << "once is enough for now";
  EXPECT_THAT(Pairs(Deal()), ElementsAre(Pair(4, 1)));
  EXPECT_EQ(dealer_.Load(2), 1u) << "it still has it";
  dealer_.Committed(LeaseOf(4), now_);
  EXPECT_EQ(dealer_.Load(1), 0u);
  EXPECT_EQ(dealer_.Load(2), 0u);
  EXPECT_EQ(dealer_.open(), 0u);
}

TEST_F(StreamDealerTest, WhatIsForgottenIsNotDealtAgain) {
  dealer_.Add(1);
  left_ = 1;
  Deal();
  dealer_.Remove(1);
  dealer_.Forget(LeaseOf(1));
  dealer_.Add(2);
  EXPECT_THAT(Deal(), IsEmpty());
  EXPECT_EQ(dealer_.open(), 0u);
}

// ---- one that cannot be computed

constexpr Lease kLease = {.id = 1, .count = 4};

class OneLease : public ::testing::Test {
 protected:
  OneLease() {
    dealer_.Add(1);
    dealer_.Add(2);
  }
  // There is one lease in all.
  std::vector<StreamDealer::Dealt> Deal() {
    return dealer_.Deal({}, 0, [this](DeviceId) { return std::exchange(fresh_, std::nullopt); });
  }

  StreamDealer dealer_;
  std::optional<Lease> fresh_ = kLease;
};

TEST_F(OneLease, ALeaseThatNobodyCanComputeIsHopeless) {
  EXPECT_THAT(Deal(), SizeIs(1));
  EXPECT_TRUE(dealer_.Return(kLease, 1, /*refused=*/false));
  EXPECT_FALSE(dealer_.Hopeless());
  EXPECT_EQ(Deal().at(0).device, 2u);
  EXPECT_TRUE(dealer_.Return(kLease, 2, /*refused=*/false));
  EXPECT_EQ(dealer_.Hopeless(), kLease);
  EXPECT_FALSE(dealer_.TryAgain(kLease));
  EXPECT_THAT(Deal(), IsEmpty());
}

TEST_F(OneLease, WhoseUpdateWasRefusedCanTryAgain) {
  Deal();
  dealer_.Return(kLease, 1, /*refused=*/true);
  Deal();
  dealer_.Return(kLease, 2, /*refused=*/false);
  EXPECT_EQ(dealer_.Hopeless(), kLease);
  EXPECT_TRUE(dealer_.TryAgain(kLease));
  EXPECT_FALSE(dealer_.Hopeless());
  EXPECT_EQ(Deal().at(0).device, 1u);
}

}  // namespace
}  // namespace weft::cluster
