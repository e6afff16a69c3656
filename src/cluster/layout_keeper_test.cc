#include "cluster/layout_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Address kHub = {kCoordinatorDevice, Role::kLeader};
constexpr Range kFirst = {0, 5};
constexpr Range kSecond = {5, 3};

Address LeaderAt(DeviceId device) { return {device, Role::kLeader}; }

Layout::Part PartOf(const Range& range, DeviceId leader, DeviceId standby) {
  return {.range = range,
          .leader = LeaderAt(leader),
          .endpoint = leader == 0 ? "" : "host:" + std::to_string(leader),
          .standby = standby,
          .standby_endpoint = standby == 0 ? "" : "host:" + std::to_string(standby)};
}

Seated SeatOf(uint64_t layout, const Range& range, bool standby) {
  return {
      .term = 1, .layout = layout, .range = range, .version = 0, .standby = standby, .problem = {}};
}

class LayoutKeeperTest : public ::testing::Test {
 protected:
  // Device 1 leads the first range and stands by for the second, which device 2 leads.
  void Split() {
    const Reshape change =
        keeper_.Begin(1, {.parts = {PartOf(kFirst, 1, 2), PartOf(kSecond, 2, 1)}});
    const uint64_t number = change.to.number;
    keeper_.OnSeated(LeaderAt(1), SeatOf(number, kFirst, false));
    keeper_.OnSeated(LeaderAt(1), SeatOf(number, kSecond, true));
    keeper_.OnSeated(LeaderAt(2), SeatOf(number, kSecond, false));
    ASSERT_TRUE(keeper_.OnSeated(LeaderAt(2), SeatOf(number, kFirst, true)));
  }

  LayoutKeeper keeper_{8, kHub};
};

TEST_F(LayoutKeeperTest, AtFirstTheHubLeadsAll) {
  EXPECT_TRUE(keeper_.flat());
  EXPECT_EQ(keeper_.layout().number, 1u);
  EXPECT_NE(keeper_.Led(kHub, {0, 8}), nullptr);
  EXPECT_EQ(keeper_.Led(LeaderAt(1), {0, 8}), nullptr);
  EXPECT_EQ(keeper_.Led(kHub, {0, 4}), nullptr);
  EXPECT_FALSE(keeper_.NeedsStandby());
}

TEST_F(LayoutKeeperTest, ALayoutHoldsOnceAllSeatsAreTaken) {
  const Reshape change = keeper_.Begin(3, {.parts = {PartOf(kFirst, 1, 2), PartOf(kSecond, 2, 1)}});
  EXPECT_EQ(change.term, 3u);
  EXPECT_EQ(change.from.number, 1u);
  EXPECT_EQ(change.to.number, 2u);
  EXPECT_THAT(keeper_.concerned(), ElementsAre(0, 1, 2));
  EXPECT_TRUE(keeper_.changing());
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(1), SeatOf(2, kFirst, false)));
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(1), SeatOf(2, kFirst, false))) << "said twice";
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(1), SeatOf(2, kSecond, true)));
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(2), SeatOf(1, kSecond, false))) << "of another layout";
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(2), SeatOf(2, kSecond, false)));
  EXPECT_TRUE(keeper_.flat()) << "the old one still holds";
  EXPECT_TRUE(keeper_.OnSeated(LeaderAt(2), SeatOf(2, kFirst, true)));
  EXPECT_FALSE(keeper_.changing());
  EXPECT_FALSE(keeper_.flat());
  EXPECT_NE(keeper_.Led(LeaderAt(2), kSecond), nullptr);
  EXPECT_TRUE(keeper_.Leads(1));
  EXPECT_FALSE(keeper_.Leads(3));
}

TEST_F(LayoutKeeperTest, TheStandbyLeadsWhenItsLeaderIsGone) {
  Split();
  const LayoutKeeper::Loss loss = keeper_.Lose(1);
  EXPECT_TRUE(loss.changed);
  EXPECT_THAT(loss.promoted, ElementsAre(kFirst));
  EXPECT_FALSE(loss.orphaned.has_value());
  const Layout& layout = keeper_.layout();
  EXPECT_EQ(layout.number, 3u);
  EXPECT_EQ(layout.parts[0].leader, LeaderAt(2));
  EXPECT_EQ(layout.parts[0].endpoint, "host:2");
  EXPECT_EQ(layout.parts[0].standby, 0u);
  EXPECT_EQ(layout.parts[0].standby_endpoint, "");
  EXPECT_EQ(layout.parts[1].leader, LeaderAt(2));
  EXPECT_EQ(layout.parts[1].standby, 0u) << "device 1 stood by for it";
  EXPECT_TRUE(keeper_.NeedsStandby());
}

TEST_F(LayoutKeeperTest, ARangeThatNobodyHoldsIsOrphaned) {
  Split();
  keeper_.Lose(1);
  EXPECT_TRUE(keeper_.Lose(2).orphaned.has_value());
}

TEST_F(LayoutKeeperTest, WhoHoldsNothingIsNoLoss) {
  Split();
  const LayoutKeeper::Loss loss = keeper_.Lose(3);
  EXPECT_FALSE(loss.changed);
  EXPECT_THAT(loss.promoted, IsEmpty());
  EXPECT_EQ(keeper_.layout().number, 2u);
}

TEST_F(LayoutKeeperTest, ALossEndsTheChangeThatItConcerns) {
  for (const DeviceId lost : {1, 2, 3}) {
    LayoutKeeper keeper(8, kHub);
    keeper.Begin(1, {.parts = {PartOf({0, 8}, 1, 2)}});
    EXPECT_EQ(keeper.Lose(lost).abandoned, lost != 3) << lost;
    EXPECT_EQ(keeper.changing(), lost == 3) << lost;
    EXPECT_TRUE(keeper.flat());
  }
}

TEST_F(LayoutKeeperTest, AStandbyThatIsSeatedCountsThoughOthersAreNot) {
  Split();
  keeper_.Lose(1);  // device 2 leads both alone
  const Reshape change = keeper_.BeginSeating(1, {{kFirst, 3, "host:3"}, {kSecond, 4, "host:4"}});
  EXPECT_EQ(change.to.number, 4u);
  EXPECT_TRUE(keeper_.seating());
  EXPECT_THAT(keeper_.concerned(), ElementsAre(2, 3, 4));
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(3), SeatOf(4, kFirst, true)));
  EXPECT_EQ(keeper_.layout().parts[0].standby, 0u) << "others have not been told";
  EXPECT_FALSE(keeper_.Lose(9).changed);
  EXPECT_EQ(keeper_.layout().parts[0].standby, 0u);
  const LayoutKeeper::Loss loss = keeper_.Lose(4);
  EXPECT_TRUE(loss.changed);
  EXPECT_TRUE(loss.abandoned);
  EXPECT_FALSE(keeper_.changing());
  EXPECT_EQ(keeper_.layout().number, 5u);
  EXPECT_EQ(keeper_.layout().parts[0].standby, 3u);
  EXPECT_EQ(keeper_.layout().parts[0].standby_endpoint, "host:3");
  EXPECT_EQ(keeper_.layout().parts[1].standby, 0u);
  keeper_.BeginSeating(1, {{kSecond, 3, "host:3"}});
  const LayoutKeeper::Loss leader = keeper_.Lose(2);
  EXPECT_THAT(leader.promoted, ElementsAre(kFirst));
  EXPECT_EQ(leader.orphaned, kSecond);
}

TEST_F(LayoutKeeperTest, ASeatedStandbyThatLeadsDoesNotStandByForItself) {
  Split();
  keeper_.Lose(1);
  keeper_.BeginSeating(1, {{kFirst, 3, "host:3"}, {kSecond, 4, "host:4"}});
  keeper_.OnSeated(LeaderAt(3), SeatOf(4, kFirst, true));
  EXPECT_TRUE(keeper_.Relieve({2}).abandoned);
  const Layout::Part& first = keeper_.layout().parts[0];
  EXPECT_EQ(first.leader, LeaderAt(3));
  EXPECT_EQ(first.standby, 0u);
  EXPECT_EQ(keeper_.layout().parts[1].leader, LeaderAt(2)) << "nobody else has it";
}

TEST_F(LayoutKeeperTest, OnceAllStandbysAreSeatedTheirLayoutHolds) {
  Split();
  keeper_.Lose(1);
  keeper_.BeginSeating(1, {{kFirst, 3, "host:3"}, {kSecond, 3, "host:3"}});
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(3), SeatOf(4, kFirst, true)));
  EXPECT_TRUE(keeper_.OnSeated(LeaderAt(3), SeatOf(4, kSecond, true)));
  EXPECT_EQ(keeper_.layout().number, 4u);
  EXPECT_FALSE(keeper_.NeedsStandby());
  EXPECT_EQ(keeper_.layout().parts[1].leader, LeaderAt(2));
}

TEST_F(LayoutKeeperTest, NumbersAreNeverGivenTwice) {
  keeper_.Begin(1, {.parts = {PartOf({0, 8}, 1, 2)}});
  keeper_.Abandon();
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(1), SeatOf(2, {0, 8}, false)));
  EXPECT_EQ(keeper_.layout().number, 3u) << "so that it can be told";
  EXPECT_EQ(keeper_.Begin(1, {.parts = {PartOf({0, 8}, 1, 2)}}).to.number, 4u);
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(1), SeatOf(2, {0, 8}, false)));
  EXPECT_FALSE(keeper_.OnSeated(LeaderAt(1), SeatOf(4, {0, 8}, false)));
  EXPECT_TRUE(keeper_.OnSeated(LeaderAt(2), SeatOf(4, {0, 8}, true)));
}

}  // namespace
}  // namespace weft::cluster
