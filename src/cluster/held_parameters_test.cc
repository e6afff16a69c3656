#include "cluster/held_parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

using Got = HeldParameters::Got;
using ::testing::SizeIs;

constexpr Range kAll = {0, 8};
constexpr Range kFirst = {0, 4};
constexpr Range kSecond = {4, 4};

Layout LayoutOf(const std::vector<Range>& ranges) {
  Layout layout{.number = 1, .parts = {}};
  for (const Range& range : ranges) {
    layout.parts.push_back(
        {.range = range, .leader = {}, .endpoint = {}, .standby = 0, .standby_endpoint = {}});
  }
  return layout;
}

Parameters Of(const Range& range, int64_t version) {
  return {1, version, std::make_shared<Bytes>(Bytes{static_cast<uint8_t>(version)}), range};
}

TEST(HeldParameters, NothingIsHeldAtFirst) {
  HeldParameters held;
  held.SetCut(LayoutOf({kAll}));
  EXPECT_FALSE(held.AtLeast(0).has_value());
  EXPECT_FALSE(held.Exactly(0).has_value());
  EXPECT_FALSE(held.Versions().has_value());
  EXPECT_EQ(held.NewestOf(kAll), -1);
}

TEST(HeldParameters, TheNewestAndTheOneBeforeAreHeld) {
  HeldParameters held;
  held.SetCut(LayoutOf({kAll}));
  for (const int64_t version : {3, 4, 5}) EXPECT_EQ(held.Put(Of(kAll, version)), Got::kTaken);
  EXPECT_EQ(held.Put(Of(kAll, 5)), Got::kNotWanted) << "twice";
  EXPECT_EQ(held.Put(Of(kAll, 3)), Got::kNotWanted) << "older";
  EXPECT_EQ(held.Put(Of(kFirst, 9)), Got::kNotWanted) << "of another cut";
  EXPECT_EQ(held.Put({1, 6, nullptr, kAll}), Got::kNotWanted);
  EXPECT_FALSE(held.Exactly(3).has_value());
  EXPECT_EQ(held.Exactly(4)->at(0).values->at(0), 4);
  EXPECT_EQ(held.Exactly(5)->at(0).values->at(0), 5);
  EXPECT_EQ(held.AtLeast(4)->at(0).version, 5);
  EXPECT_FALSE(held.AtLeast(6).has_value());
  EXPECT_EQ(held.NewestOf(kAll), 5);
}

TEST(HeldParameters, AVersionIsThereOnceAllRangesHaveIt) {
  HeldParameters held;
  held.SetCut(LayoutOf({kFirst, kSecond}));
  held.Put(Of(kFirst, 1));
  EXPECT_FALSE(held.Versions().has_value());
  held.Put(Of(kSecond, 1));
  held.Put(Of(kSecond, 2));
  EXPECT_EQ(held.Versions()->oldest, 1);
  EXPECT_EQ(held.Versions()->newest, 2);
  const auto first = held.Exactly(1);
  ASSERT_TRUE(first.has_value());
  ASSERT_THAT(*first, SizeIs(2));
  EXPECT_EQ(first->at(1).version, 1) << "the one before";
  EXPECT_FALSE(held.Exactly(2).has_value());
  EXPECT_FALSE(held.AtLeast(2).has_value());
  EXPECT_EQ(held.AtLeast(1)->at(1).version, 2);
}

TEST(HeldParameters, AVersionHasBegunOnceItsFirstRangeIsThere) {
  HeldParameters held;
  held.SetCut(LayoutOf({kFirst, kSecond}));
  held.Put(Of(kSecond, 1));
  EXPECT_FALSE(held.Begun(1).has_value());
  held.Put(Of(kFirst, 1));
  held.Put(Of(kFirst, 2));
  const auto begun = held.Begun(2);
  ASSERT_TRUE(begun.has_value());
  ASSERT_THAT(*begun, SizeIs(2));
  EXPECT_EQ(begun->at(0).values->at(0), 2);
  EXPECT_EQ(begun->at(1).values, nullptr) << "older";
  EXPECT_EQ(begun->at(1).version, 2);
  EXPECT_NE(held.Begun(1)->at(1).values, nullptr);
  held.Put(Of(kSecond, 3));
  EXPECT_FALSE(held.Begun(2).has_value()) << "newer, and 2 was not seen";
}

TEST(HeldParameters, WhatIsHeldInOtherRangesStaysUntilTheNewOnesHaveCome) {
  HeldParameters held;
  held.SetCut(LayoutOf({kAll}));
  held.Put(Of(kAll, 1));
  held.SetCut(LayoutOf({kFirst, kSecond}));
  EXPECT_EQ(held.NewestOf(kAll), 1);
  EXPECT_EQ(held.NewestOf(kFirst), -1);
  held.Put(Of(kFirst, 2));
  EXPECT_THAT(*held.AtLeast(1), SizeIs(1)) << "the old ones";
  held.Put(Of(kSecond, 2));
  EXPECT_THAT(*held.AtLeast(1), SizeIs(2));
  EXPECT_EQ(held.NewestOf(kAll), -1);
}

TEST(HeldParameters, ARangeThatStaysIsNotAskedForAgain) {
  HeldParameters held;
  held.SetCut(LayoutOf({kFirst, kSecond}));
  held.Put(Of(kFirst, 1));
  held.Put(Of(kSecond, 1));
  held.SetCut(LayoutOf({kFirst, {4, 2}, {6, 2}}));
  EXPECT_EQ(held.NewestOf(kFirst), 1);
  EXPECT_EQ(held.NewestOf({4, 2}), -1);
  EXPECT_THAT(*held.AtLeast(1), SizeIs(2));
}

TEST(HeldParameters, TheSameRangesAgainChangeNothing) {
  HeldParameters held;
  held.SetCut(LayoutOf({kFirst, kSecond}));
  held.Put(Of(kFirst, 1));
  held.Put(Of(kSecond, 1));
  held.SetCut(LayoutOf({kFirst, kSecond}));
  EXPECT_EQ(held.Versions()->oldest, 1);
}

TEST(HeldParameters, ClearForgetsAll) {
  HeldParameters held;
  held.SetCut(LayoutOf({kAll}));
  held.Put(Of(kAll, 1));
  held.Clear();
  EXPECT_FALSE(held.AtLeast(0).has_value());
  EXPECT_EQ(held.Put(Of(kAll, 2)), Got::kNotWanted) << "of no cut";
}

}  // namespace
}  // namespace weft::cluster
