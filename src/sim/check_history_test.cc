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
  story.Restart(2, 1);  // steps 1 and 2 are undone
  for (int64_t step = 1; step < 4; ++step) story.Commit(RecordOf(step));
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0});
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 1});
  story->OnEvent(story.Next(), cluster::RunDone{});
  EXPECT_THAT(story.Found(), IsEmpty());
}

TEST(ExactlyOnce, FollowsAHubThatTakesUpWhatWasUndone) {
  Story story(MakeExactlyOnceChecker(Job()));
  for (int64_t step = 0; step < 3; ++step) story.Commit(RecordOf(step));
  story.Restart(2, 1);
  story.Restart(3, 3);  // from a checkpoint of the first start
  story.Commit(RecordOf(3));
  story->OnEvent(story.Next(), cluster::RunDone{});
  EXPECT_THAT(story.Found(), IsEmpty());
  story.Restart(4, 1);
  story.Commit(RecordOf(1));
  story.Commit(RecordOf(3));
  story->OnEvent(story.Next(), cluster::RunDone{});
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("epoch 1: positions 0 to 7 are in no")));
}

// A stream may end without anything applied, so its checkpoint's step says nothing of what it
// holds: not what an earlier start had applied in steps before it.
TEST(ExactlyOnce, KnowsWhatACheckpointHoldsFromWhenItWasAskedFor) {
  const auto save = [](Story* story, uint64_t term, int64_t step) {
    story->Send(checking::kCoordinator, checking::kLeader,
                cluster::BeginStep{.term = term, .step = step - 1, .checkpoint = true});
  };
  for (const bool again : {false, true}) {
    Story story(MakeExactlyOnceChecker(Job()));
    story.Commit(RecordOf(0));
    story.Restart(2, 0);  // step 0 is undone,
    save(&story, 2, 3);   // and a stream of three batches is given up
    story.Restart(3, 3);
    cluster::Committed record = RecordOf(3);
    record.version = 1;
    record.leases = RecordOf(0).leases;
    if (again) story.Commit(record);
    record.leases = RecordOf(1).leases;
    record.version = 2;
    story.Commit(record);
    story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0});
    if (again) {
      EXPECT_THAT(story.Found(), IsEmpty());
    } else {
      EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("positions 0 to 7 are in no committed")));
    }
  }
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
  story.Restart(2, 0);
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

cluster::Committed OfRange(cluster::Committed record, const cluster::Range& range) {
  record.range = range;
  return record;
}
constexpr cluster::Range kLow = {0, 6};
constexpr cluster::Range kHigh = {6, 10};

TEST(ExactlyOnce, CountsEachRange) {
  Story story(MakeExactlyOnceChecker(Job()));
  story.Commit(RecordOf(0));
  story.Commit(OfRange(RecordOf(1), kLow));
  story.Commit(OfRange(RecordOf(1), kHigh));
  story.Commit(OfRange(RecordOf(1), kHigh));  // told again, by its standby
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0});
  EXPECT_THAT(story.Found(), IsEmpty());
  story.Commit(OfRange(RecordOf(2), kLow));
  story.Commit(RecordOf(3));
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 1});
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("epoch 1, values from 6 on: positions 0 to 7 "
                                                   "are in no committed lease")));
}

TEST(ExactlyOnce, KnowsOfSamplesThatAreAbsent) {
  cluster::JobSpec spec = Job();
  spec.shard_samples = {8, 8};
  Story story(MakeExactlyOnceChecker(spec));
  story.Commit(RecordOf(1));
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0, .absent = 8});
  EXPECT_THAT(story.Found(), IsEmpty());
  story->OnEvent(story.Next(), cluster::EpochDone{.epoch = 0, .absent = 5});
  EXPECT_THAT(story.Found(),
              ElementsAre(HasSubstr("8 positions are in no committed lease; want 5")));
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
  story.Restart(2, 1);
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
  story.Commit(RecordOf(0));  // told again
  EXPECT_THAT(story.Found(), IsEmpty());
  cluster::Committed again = RecordOf(0);
  again.version = 2;
  again.leases.clear();
  again.devices.clear();
  story.Commit(again);
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

TEST(AtMostOnce, TakesLeasesOfAStreamInAnyOrder) {
  Story story(MakeAtMostOnceChecker(Job()));
  story.Send(checking::kCoordinator, checking::kLeader, cluster::BeginStream{.term = 1});
  cluster::Committed one = RecordOf(1);
  one.leases.resize(1);
  one.version = 1;
  cluster::Committed other = RecordOf(0);
  other.version = 2;
  story.Commit(one);
  story.Commit(other);
  EXPECT_THAT(story.Found(), IsEmpty());
  one.version = 3;
  story.Commit(one);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("committed with lease 1048577 twice")));
}

TEST(AtMostOnce, FindsAVersionToldInTwoWays) {
  Story story(MakeAtMostOnceChecker(Job()));
  story.Commit(OfRange(RecordOf(0), kLow));
  cluster::Committed other = OfRange(RecordOf(0), kLow);
  other.devices = {1, 3};
  story.Commit(other);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("version 1 is told as step 0 with 2 leases")));
}

TEST(AtMostOnce, TakesOtherDevicesInOtherRanges) {
  Story story(MakeAtMostOnceChecker(Job()));
  story.Commit(OfRange(RecordOf(0), kLow));
  cluster::Committed other = OfRange(RecordOf(0), kHigh);
  other.devices = {1, 3};
  story.Commit(other);
  EXPECT_THAT(story.Found(), IsEmpty());
}

// ---- survival

TEST(Survival, AcceptsARestartFromTheLastCheckpoint) {
  Story story(MakeSurvivalChecker(Job()));
  story.Step(0, 1);
  story.HubRests(*LeaderAt(1));
  story->OnEvent(story.Next(), cluster::CheckpointSaved{.step = 1});
  story.Step(1, 2);
  story.HubRests(*LeaderAt(2));
  story.Restart(2, 1);
  story.HubRests(*LeaderAt(1));
  EXPECT_THAT(story.Found(), IsEmpty());
}

TEST(Survival, FindsAStartBeforeTheLastCheckpoint) {
  Story story(MakeSurvivalChecker(Job()));
  story->OnEvent(story.Next(), cluster::CheckpointSaved{.step = 2});
  story.Restart(2, 1);
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

// Device 5 leads all, and device 6 stands by.
class Standby : public ::testing::Test {
 protected:
  Standby() {
    cluster::Layout::Part part{.range = kAll, .leader = kFive, .standby = 6};
    story_->OnEvent(story_.Next(), cluster::LeadersChanged{2, {part}, "a new plan"});
    story_.PushOf(1, 1, LeaseOf(0, 0));
    cluster::Replicate copy{.term = 1, .range = kAll, .record = RecordOf(0)};
    copy.applied = {{1, 71, 1, LeaseOf(0, 0).id}};
    story_.Send(kFive, kSix, copy);
  }
  void Confirm() {
    story_.Send(kSix, kFive, cluster::Replicated{.term = 1, .range = kAll, .version = 1});
  }
  void Tell() {
    cluster::Committed record = OfRange(RecordOf(0), kAll);
    story_.Send(kFive, {1, cluster::Role::kWorker},
                cluster::PushAck{.term = 1, .sequence = 1, .applied = true, .version = 1});
    story_.Send(kFive, checking::kCoordinator, record);
  }

  static constexpr cluster::Range kAll = {0, 16};
  static constexpr cluster::Address kFive = {5, cluster::Role::kLeader};
  static constexpr cluster::Address kSix = {6, cluster::Role::kLeader};
  Story story_{MakeSurvivalChecker(Job())};
};

TEST_F(Standby, HasAllThatIsTold) {
  Confirm();
  Tell();
  EXPECT_THAT(story_.Found(), IsEmpty());
}

TEST_F(Standby, IsFoundToBeBehind) {
  Tell();
  EXPECT_THAT(story_.Found(),
              ElementsAre(HasSubstr("number 1 of device 1 is acknowledged as applied before"),
                          HasSubstr("version 1 of 0+16 is committed before its standby")));
}

TEST_F(Standby, IsWantedInANewPlan) {
  cluster::Layout::Part part{.range = kAll, .leader = kFive};
  story_->OnEvent(story_.Next(), cluster::LeadersChanged{3, {part}, "a new plan"});
  EXPECT_THAT(story_.Found(), ElementsAre(HasSubstr("leaves 0+16 with leader 5 alone")));
}

}  // namespace
}  // namespace weft::sim
