#include "cluster/split_watch.h"

#include <gtest/gtest.h>

namespace weft::cluster {
namespace {

constexpr bool kFlat = true, kSplit = false;

void Feed(SplitWatch* watch, int steps, SplitWatch::Step step, bool flat) {
  for (int i = 0; i < steps; ++i) watch->Took(step, flat);
}

TEST(SplitWatch, TheExchangeIsWhatIsNotComputing) {
  SplitWatch watch;
  EXPECT_EQ(watch.compute_s(), 0);
  EXPECT_FALSE(watch.exchange_s(true));
  watch.Took({.seconds = 9, .compute_s = 1}, kFlat);  // devices open their data
  EXPECT_FALSE(watch.exchange_s());
  EXPECT_DOUBLE_EQ(*watch.exchange_s(true), 8);
  watch.Took({.seconds = 3, .compute_s = 1}, kFlat);
  EXPECT_FALSE(watch.exchange_s());
  watch.Took({.seconds = 2.5, .compute_s = 1}, kFlat);
  EXPECT_DOUBLE_EQ(*watch.exchange_s(), 1.5);
  EXPECT_DOUBLE_EQ(watch.compute_s(), 1);
  Feed(&watch, 10, {.seconds = 3, .compute_s = 1}, kFlat);
  EXPECT_DOUBLE_EQ(*watch.exchange_s(), 2);
  EXPECT_DOUBLE_EQ(*watch.exchange_s(true), 2);  // the first one is long forgotten
}

TEST(SplitWatch, StepsWhoseComputingIsNotKnownTellNoExchange) {
  SplitWatch watch;
  Feed(&watch, 3, {.seconds = 4}, kFlat);
  EXPECT_FALSE(watch.computing_known());
  EXPECT_FALSE(watch.exchange_s(true));
  EXPECT_DOUBLE_EQ(watch.compute_s(), 4);
  Feed(&watch, 2, {.seconds = 4, .compute_s = 1}, kFlat);
  EXPECT_TRUE(watch.computing_known());
  EXPECT_DOUBLE_EQ(*watch.exchange_s(), 3);
  EXPECT_DOUBLE_EQ(watch.compute_s(), 1);
}

TEST(SplitWatch, ASplitThatPaysStays) {
  SplitWatch watch;
  Feed(&watch, 5, {.seconds = 4, .compute_s = 1}, kFlat);
  watch.BeginTrial(5, 9);
  EXPECT_DOUBLE_EQ(watch.compute_s(), 1);  // still known
  EXPECT_FALSE(watch.exchange_s(true));    // of other leaders
  for (int i = 0; i < 20; ++i) {
    watch.Took({.seconds = 2, .compute_s = 1}, kSplit);
    EXPECT_FALSE(watch.Failed());
  }
  EXPECT_TRUE(watch.MayTry(25));
}

TEST(SplitWatch, ASplitThatDoesNotPayIsTakenBackAndTriedMoreAndMoreSeldom) {
  SplitWatch watch;
  int64_t step = 0;
  int64_t between = SplitWatch::kBetweenTrials;
  for (int trial = 0; trial < 3; ++trial) {
    Feed(&watch, 5, {.seconds = 4, .compute_s = 1}, kFlat);
    watch.BeginTrial(step, 9);
    Feed(&watch, 3, {.seconds = 4, .compute_s = 1}, kSplit);
    EXPECT_FALSE(watch.Failed());  // one more
    watch.Took({.seconds = 4, .compute_s = 1}, kSplit);
    EXPECT_TRUE(watch.Failed());
    EXPECT_FALSE(watch.Failed());  // said once
    watch.Forget();
    EXPECT_FALSE(watch.MayTry(step + between - 1));
    EXPECT_TRUE(watch.MayTry(step + between));
    step += between;
    between *= 2;
  }
}

// Its steps are shorter, but only because devices compute faster than in the steps before.
TEST(SplitWatch, FasterComputingDoesNotSpeakForASplit) {
  SplitWatch watch;
  Feed(&watch, 5, {.seconds = 6, .compute_s = 4}, kFlat);
  watch.BeginTrial(5, 9);
  Feed(&watch, 4, {.seconds = 3, .compute_s = 1}, kSplit);
  EXPECT_TRUE(watch.Failed());
}

// Of a first step of 20 s links explain 2 s: what else it took does not speak for a split.
TEST(SplitWatch, AfterTheFirstStepThePredictionIsTheMeasure) {
  SplitWatch watch;
  watch.Took({.seconds = 20, .compute_s = 1}, kFlat);
  watch.BeginTrial(1, 2);
  Feed(&watch, 4, {.seconds = 3.2, .compute_s = 1}, kSplit);
  EXPECT_TRUE(watch.Failed());
}

TEST(SplitWatch, ATrialThatNeverBeganIsForgotten) {
  SplitWatch watch;
  Feed(&watch, 5, {.seconds = 4, .compute_s = 1}, kFlat);
  watch.BeginTrial(5, 9);
  Feed(&watch, 10, {.seconds = 4, .compute_s = 1}, kFlat);  // a device died: leaders stayed
  EXPECT_FALSE(watch.Failed());
  EXPECT_TRUE(watch.MayTry(15));
}

}  // namespace
}  // namespace weft::cluster
