// The checkers of terms, bounds and progress, each against events made by hand.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/worker.h"
#include "sim/checker_testing.h"

namespace weft::sim {
namespace {

using checking::Job;
using checking::kCoordinator;
using checking::kLeader;
using checking::LeaderAt;
using checking::LeaseOf;
using checking::RecordOf;
using checking::Story;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- fencing

TEST(Terms, AcceptsOneTermAfterAnother) {
  Story story(MakeTermChecker(Job()));
  story.Welcome(1);
  story.PushOf(1, 1, LeaseOf(0, 0));
  story.Ack(1, 1, true, 1);
  story.Commit(RecordOf(0));
  story->OnHubStarted(story.Next(), 2, 0);
  story.PushOf(1, 1, LeaseOf(0, 0));  // has not heard of it yet
  story.Ack(1, 1, false, 0, 2);
  story.Welcome(1, 2);
  story.PushOf(1, 2, LeaseOf(0, 0), 2);
  story.Ack(1, 2, true, 1, 2);
  EXPECT_THAT(story.Found(), IsEmpty());
}

TEST(Terms, FindsATermThatDoesNotRise) {
  Story story(MakeTermChecker(Job()));
  story->OnHubStarted(story.Next(), 1, 0);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("starts under term 1; want more than 1")));
}

TEST(Terms, FindsWhatIsTakenOfAnOlderTerm) {
  Story story(MakeTermChecker(Job()));
  story.Welcome(1);
  story.PushOf(1, 1, LeaseOf(0, 0));
  story->OnHubStarted(story.Next(), 2, 0);
  story.Ack(1, 1, true, 1, 2);
  story.Commit(RecordOf(0));
  EXPECT_THAT(
      story.Found(),
      ElementsAre(HasSubstr("pushed under term 1, is applied; want nothing taken but of "
                            "term 2"),
                  HasSubstr("it carries term 1; want 2"), HasSubstr("it carries term 1; want 2")));
}

TEST(Terms, FindsAWorkerThatKeepsAnOldTerm) {
  Story story(MakeTermChecker(Job()));
  story->OnHubStarted(story.Next(), 2, 0);
  story.Welcome(1, 2);
  story.PushOf(1, 1, LeaseOf(0, 0), 1);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("worker 1 to leader, Push: it carries term "
                                                   "1; want 2")));
}

// ---- bounds

TEST(Bounds, FindsADeviceThatDialsTooOften) {
  Story story(MakeBoundsChecker(Job()));
  story->OnDeviceUp(story.Next(), 0, 1);
  story->OnDial(story.Next(), 0);
  for (double wait : {0.100, 0.150, 0.225}) {
    story.Wait(Duration(static_cast<int64_t>(wait * 1e9)));
    story->OnDial(story.now(), 0);
  }
  EXPECT_THAT(story.Found(), IsEmpty());
  story.Wait(std::chrono::milliseconds(300));
  story->OnDial(story.now(), 0);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("device 0 dials 0.300 s after it last did, 4 "
                                                   "times since it was welcome; want 0.337")));
}

TEST(Bounds, FindsAnUpdateSentAgainWithoutReason) {
  Story story(MakeBoundsChecker(Job()));
  story.Welcome(1);
  story.PushOf(1, 1, LeaseOf(0, 0));
  story.Welcome(1);
  story.PushOf(1, 1, LeaseOf(0, 0));
  story.Deliver(kCoordinator, {1, cluster::Role::kWorker},
                cluster::Grant{.lease = LeaseOf(0, 0), .again = true});
  story.PushOf(1, 1, LeaseOf(0, 0));
  story.Send({1, cluster::Role::kWorker}, kLeader, cluster::Push{.device = 1, .sequence = 1});
  EXPECT_THAT(story.Found(), IsEmpty());
  story.PushOf(1, 1, LeaseOf(0, 0));
  EXPECT_THAT(story.Found(),
              ElementsAre(HasSubstr("sent number 1 4 times with 2 calls for it since")));
}

TEST(Bounds, FindsALeaseDealtAgainAndAgain) {
  Story story(MakeBoundsChecker(Job()));
  story.Send(kCoordinator, kLeader,
             cluster::BeginStep{.step = 0, .leases = {LeaseOf(0, 0), LeaseOf(0, 1)}});
  story->OnEvent(story.Next(), cluster::DeviceLeft{});
  for (int k = 0; k < 9; ++k) {
    story->OnEvent(story.Next(), cluster::LeaseRedealt{.lease = LeaseOf(0, 1)});
  }
  EXPECT_THAT(story.Found(), IsEmpty());
  story->OnEvent(story.Next(), cluster::LeaseRedealt{.lease = LeaseOf(0, 1)});
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("lease 2 is dealt again for the 10. time")));
}

TEST(Bounds, FindsPullsThatNobodyCanHaveSent) {
  Story story(MakeBoundsChecker(Job()));
  const auto leader = LeaderAt(0);
  story.Welcome(1);
  for (cluster::DeviceId device : {1u, 2u}) {
    leader->Handle({}, {device, cluster::Role::kWorker}, cluster::Pull{0, device, 1});
    story.HubRests(*leader);
  }
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("2 pulls wait at the leader; want at most one a "
                                                   "device and relay, 1")));
}

TEST(Bounds, FindsMoreReplicasThanAStandbyMayBeBehind) {
  Story story(MakeBoundsChecker(Job()));
  const cluster::Address standby = {6, cluster::Role::kLeader};
  const auto replicate = [&](int64_t version) {
    cluster::Replicate copy{.term = 1, .range = {0, 16}};
    copy.record.version = version;
    story.Send({5, cluster::Role::kLeader}, standby, copy);
  };
  for (int64_t version = 1; version <= 8; ++version) replicate(version);
  story.Deliver(standby, {5, cluster::Role::kLeader},
                cluster::Replicated{.term = 1, .range = {0, 16}, .version = 3});
  replicate(11);
  EXPECT_THAT(story.Found(), IsEmpty());
  replicate(12);
  EXPECT_THAT(story.Found(), ElementsAre(HasSubstr("its standby, which has confirmed 3")));
}

// ---- progress

class Progress : public testing::Test {
 protected:
  Progress() {
    worker_.Start({});
    worker_.OnConnected({});
    worker_.Handle({}, kCoordinator, cluster::Welcome{.device = 1, .term = 1});
  }
  void Look() { story_->OnDeviceRest(story_.Next(), 0, worker_); }

  Story story_{MakeProgressChecker(Job(), std::chrono::seconds(10))};
  cluster::Worker worker_{{.name = "a"}};
};

TEST_F(Progress, FindsARunThatStandsStill) {
  Look();
  story_.Wait(std::chrono::seconds(9));
  Look();
  story_.Commit(RecordOf(0));
  story_.Wait(std::chrono::seconds(9));
  Look();
  EXPECT_THAT(story_.Found(), IsEmpty());
  story_.Wait(std::chrono::seconds(2));
  Look();
  EXPECT_THAT(story_.Found(), ElementsAre(HasSubstr("no step was committed for 11.0 s while 1 "
                                                    "devices had joined")));
}

TEST_F(Progress, AsksNothingWithoutDevicesOrHubOrAfterTheEnd) {
  Look();
  story_->OnDeviceDown(story_.Next(), 0);
  story_.Wait(std::chrono::seconds(20));
  Look();  // another process
  story_->OnHubKilled(story_.Next());
  story_.Wait(std::chrono::seconds(20));
  Look();
  story_->OnHubStarted(story_.Next(), 2, 0);
  Look();
  story_->OnEvent(story_.Next(), cluster::RunDone{});
  story_.Wait(std::chrono::seconds(20));
  Look();
  EXPECT_THAT(story_.Found(), IsEmpty());
}

// ---- all of them

TEST(AllCheckers, HaveNamesAndSayWhatTheyFound) {
  const auto all = AllCheckers(Job());
  EXPECT_EQ(all.size(), 9u);
  EXPECT_THAT(ViolationsOf(all), IsEmpty());
  for (const auto& checker : all) checker->OnHubStarted({}, 0, 0);
  EXPECT_THAT(ViolationsOf(all),
              ElementsAre("fencing: 0.000 s: the hub starts under term 0; want more than 0"));
}

TEST(AllCheckers, KeepABoundedList) {
  const auto checker = MakeTermChecker(Job());
  for (int k = 0; k < 100; ++k) checker->OnHubStarted({}, 0, 0);
  EXPECT_EQ(checker->violations().size(), Checker::kMostKept);
}

}  // namespace
}  // namespace weft::sim
