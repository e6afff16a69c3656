// The checkers of what counts, each against events made by hand: a story that keeps the promise,
// and some that break it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/checker_testing.h"

namespace weft::sim {
namespace {

using checking::Job;
using checking::LeaderAt;
using checking::LeaseOf;
using checking::RecordOf;
using checking::Story;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- exactly once

TEST(ExactlyOnce, AcceptsWholeEpochsAlsoAcrossARestart) {
  Story story(MakeExactlyOnceChecker(Job()));
  for (int64_t step = 0; step < 3; ++step) story.Commit(RecordOf(step));
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0});
  story->OnHubStarted(story.Next(), 2, 1);  // steps 1 and 2 are undone
  for (int64_t step = 1; step < 4; ++step) story.Commit(RecordOf(step));
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0});
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 1});
  story->OnEvent(story.Next(), cluster::RunDone{});
  EXPECT_THAT(story.Found(), IsEmpty());
}

TEST(ExactlyOnce, FollowsAHubThatTakesUpWhatWasUndone) {
  Story story(MakeExactlyOnceChecker(Job()));
  for (int64_t step = 0; step < 3; ++step) story.Commit(RecordOf(step));
  story->OnHubStarted(story.Next(), 2, 1);
  story->OnHubStarted(story.Next(), 3, 3);  // from a checkpoint of the first start
  story.Commit(RecordOf(3));
  story->OnEvent(story.Next(), cluster::RunDone{});
  EXPECT_THAT(story.Found(), IsEmpty());
  story->OnHubStarted(story.Next(), 4, 1);
  story.Commit(RecordOf(1));
  story.Commit(RecordOf(3));
  story->OnEvent(story.Next(), cluster::RunDone{});
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("epoch 1: positions 0 to 7 are in no")));
}

TEST(ExactlyOnce, FindsALostLease) {
  Story story(MakeExactlyOnceChecker(Job()));
  cluster::Committed half = RecordOf(0);
  half.leases.pop_back();
  half.samples = 4;
  story.Commit(half);
  story.Commit(RecordOf(1));
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0});
  EXPECT_THAT(story.Found(), ElementsAre("0.006 s: epoch 0: positions 4 to 7 are in no committed "
                                         "lease; want one"));
}

TEST(ExactlyOnce, FindsALeaseThatCountsTwice) {
  Story story(MakeExactlyOnceChecker(Job()));
  cluster::Committed twice = RecordOf(0);
  twice.leases[1] = twice.leases[0];
  story.Commit(twice);
  story.Commit(RecordOf(1));
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0});
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("positions 0 to 3 are in more than one")));
}

TEST(ExactlyOnce, FindsAStepThatARestartForgot) {
  Story story(MakeExactlyOnceChecker(Job()));
  story.Commit(RecordOf(0));
  story->OnHubStarted(story.Next(), 2, 0);
  story.Commit(RecordOf(1));
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0});
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("positions 0 to 7 are in no committed lease")));
}

TEST(ExactlyOnce, FindsWrongSumsAndALedgerThatAdmitsLosses) {
  Story story(MakeExactlyOnceChecker(Job()));
  cluster::Committed wrong = RecordOf(0);
  wrong.samples = 9;
  story.Commit(wrong);
  story.Commit(RecordOf(1));
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0, .lost = 2});
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("recorded with 9 samples; want the 8"),
                                         HasSubstr("the ledger says 2 lost, 0 duplicated")));
}

// ---- at most once

TEST(AtMostOnce, AcceptsRepeatsBeatenUpdatesAndARestart) {
  Story story(MakeAtMostOnceChecker(Job()));
  story.PushOf(3, 1, LeaseOf(0, 1));
  story.PushOf(3, 1, LeaseOf(0, 1));  // sent again after a reconnect
  story.Step(0, 1);
  story.Ack(3, 1, false, 1);  // device 2 was faster
  story.Ack(1, 1, true, 1);   // asked a second time
  story.Step(1, 2);
  story->OnHubStarted(story.Next(), 2, 1);
  story.PushOf(1, 3, LeaseOf(1, 1), 2);
  story.PushOf(2, 3, LeaseOf(1, 0), 2);
  story.Ack(1, 3, true, 2, 2);
  story.Ack(2, 3, true, 2, 2);
  cluster::Committed swapped = RecordOf(1);
  swapped.devices = {2, 1};
  story.Commit(swapped);
  EXPECT_THAT(story.Found(), IsEmpty());
}

TEST(AtMostOnce, FindsAStepCommittedTwice) {
  Story story(MakeAtMostOnceChecker(Job()));
  story.Step(0, 1);
  story.Commit(RecordOf(0));
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("step 0 is committed; want step 1")));
}

TEST(AtMostOnce, FindsALeaseCommittedTwice) {
  Story story(MakeAtMostOnceChecker(Job()));
  cluster::Committed twice = RecordOf(0);
  twice.leases[1] = twice.leases[0];
  story.Commit(twice);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("committed with lease 1 twice")));
}

TEST(AtMostOnce, FindsTwoUpdatesAppliedForOneLease) {
  Story story(MakeAtMostOnceChecker(Job()));
  story.PushOf(3, 1, LeaseOf(0, 1));
  story.Step(0, 1);
  story.Ack(3, 1, true, 1);
  EXPECT_THAT(story.Found(),
              ElementsAre(HasSubstr("number 1 of device 3 is acknowledged as applied for lease 2, "
                                    "which step 0 took from device 2")));
}

TEST(AtMostOnce, FindsTwoNumbersOfOneDeviceAppliedForOneLease) {
  Story story(MakeAtMostOnceChecker(Job()));
  story.PushOf(1, 7, LeaseOf(0, 0));
  story.Ack(1, 7, true, 1);
  story.Step(0, 1);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("lease 1 is acknowledged as applied for the "
                                                   "numbers")));
}

TEST(AtMostOnce, FindsTwoFates) {
  Story story(MakeAtMostOnceChecker(Job()));
  story.PushOf(1, 1, LeaseOf(0, 0));
  story.Ack(1, 1, false, 0);
  story.Step(0, 1);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("both as applied and as refused")));
}

TEST(AtMostOnce, FindsANumberUsedForTwoLeases) {
  Story story(MakeAtMostOnceChecker(Job()));
  story.PushOf(1, 1, LeaseOf(0, 0));
  story.PushOf(1, 1, LeaseOf(0, 1));
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("device 1 sends number 1 for lease 2")));
}

// ---- survival

TEST(Survival, AcceptsARestartFromTheLastCheckpoint) {
  Story story(MakeSurvivalChecker(Job()));
  story.Step(0, 1);
  story.HubRests(*LeaderAt(1));
  story->OnEvent(story.Next(), cluster::CheckpointSaved{.step = 1});
  story.Step(1, 2);
  story.HubRests(*LeaderAt(2));
  story->OnHubStarted(story.Next(), 2, 1);
  story.HubRests(*LeaderAt(1));
  EXPECT_THAT(story.Found(), IsEmpty());
}

TEST(Survival, FindsAStartBeforeTheLastCheckpoint) {
  Story story(MakeSurvivalChecker(Job()));
  story->OnEvent(story.Next(), cluster::CheckpointSaved{.step = 2});
  story->OnHubStarted(story.Next(), 2, 1);
  EXPECT_THAT(story.Found(), ElementsAre("0.003 s: the hub starts at step 1; want 2, which was "
                                         "saved, or later"));
}

TEST(Survival, FindsAVersionThatFalls) {
  Story story(MakeSurvivalChecker(Job()));
  story.HubRests(*LeaderAt(2));
  story.HubRests(*LeaderAt(1));
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("falls from 2 to 1")));
}

TEST(Survival, FindsAnAcknowledgementBeforeTheUpdate) {
  Story story(MakeSurvivalChecker(Job()));
  story.PushOf(1, 1, LeaseOf(0, 0));
  story.Ack(1, 1, true, 0);
  story.HubRests(*LeaderAt(0));
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("acknowledged as applied in version 0"),
                                         HasSubstr("the parameters are of version 0; want 1")));
}

}  // namespace
}  // namespace weft::sim
