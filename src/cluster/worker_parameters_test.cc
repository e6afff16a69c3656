// Which parameters a worker computes with, and what it waits for.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/delta_testing.h"
#include "cluster/testing.h"
#include "cluster/worker.h"

namespace weft::cluster {
namespace {

using testing::Asked;
using ::testing::IsEmpty;
using testing::Sent;
using ::testing::SizeIs;

constexpr Address kCoordinator = {kCoordinatorDevice, Role::kCoordinator};
constexpr Address kLeader = {kCoordinatorDevice, Role::kLeader};
constexpr Range kFront = {0, 2};
constexpr Range kBack = {2, 2};

Lease LeaseOf(int64_t step, int64_t slot = 0) {
  return {
      .id = static_cast<uint64_t>(step * 1000 + slot + 1), .step = step, .slot = slot, .count = 10};
}

Layout LayoutOf(uint64_t number, const std::vector<Range>& ranges, Address leader = kLeader) {
  Layout layout{.number = number, .parts = {}};
  for (const Range& range : ranges) {
    layout.parts.push_back(
        {.range = range, .leader = leader, .endpoint = {}, .standby = 0, .standby_endpoint = {}});
  }
  return layout;
}

class WorkerParameters : public ::testing::Test {
 protected:
  WorkerParameters() {
    worker_.Start(now_);
    Join();
  }
  Actions Join(uint64_t term = 1) {
    worker_.OnConnected(now_);
    Welcome welcome;
    welcome.device = 5;
    welcome.term = term;
    welcome.run = "run";
    welcome.layout = LayoutOf(1, {kFront, kBack});
    welcome.heartbeat_ms = 500;
    return worker_.Handle(now_, kCoordinator, welcome);
  }
  Actions Rejoin(uint64_t term = 1) {
    now_ = *worker_.NextWake();
    worker_.Tick(now_);
    return Join(term);
  }
  Actions Get(const Range& range, int64_t version) {
    const auto values = std::make_shared<Bytes>(Bytes{1});
    return worker_.Handle(
        now_, kLeader, Parameters{.term = 1, .version = version, .values = values, .range = range});
  }
  Actions Step(int64_t step, int64_t version) {
    return worker_.Handle(now_, kCoordinator,
                          Grant{.term = 1, .lease = LeaseOf(step), .version = version});
  }
  Actions Move(const Layout& layout) {
    return worker_.Handle(now_, kCoordinator, Relayout{1, layout});
  }
  // The first lease has begun, and lacks the back.
  void Begin() {
    Get(kFront, 0);
    ASSERT_THAT(Asked<Compute>(Step(0, 0)), SizeIs(1));
  }
  Actions Cancelled() {
    return worker_.OnCannotCompute(now_, {Code::kCancelled, "they did not come"});
  }
  Actions Stream(int64_t slot) {
    return worker_.Handle(
        now_, kCoordinator,
        Grant{.term = 1, .lease = LeaseOf(0, slot), .newest = true, .overlap = true});
  }
  Actions Computed() {
    const auto gradient = std::make_shared<Bytes>(Bytes{1});
    return worker_.OnComputed(now_,
                              {.loss_sum = 5, .parts = {{kFront, gradient}, {kBack, gradient}}});
  }

  TimePoint now_{};
  Worker worker_{{.name = "pi", .incarnation = 7}};
};

TEST_F(WorkerParameters, AStepBeginsWithTheFirstRangeAndTheOthersAreHandedOver) {
  Get(kFront, 0);
  const Actions begun = Step(0, 0);
  const auto pulls = Sent<Pull>(begun);
  ASSERT_THAT(pulls, SizeIs(1));
  EXPECT_EQ(pulls[0].range, kBack);
  const auto computes = Asked<Compute>(begun);
  ASSERT_THAT(computes, SizeIs(1));
  ASSERT_THAT(computes[0].pieces, SizeIs(2));
  EXPECT_EQ(computes[0].pieces[0].range, kFront);
  EXPECT_NE(computes[0].pieces[0].values, nullptr);
  EXPECT_EQ(computes[0].pieces[1].range, kBack);
  EXPECT_EQ(computes[0].pieces[1].version, 0);
  EXPECT_EQ(computes[0].pieces[1].values, nullptr);
  const auto handed = Asked<HandPiece>(Get(kBack, 0));
  ASSERT_THAT(handed, SizeIs(1));
  EXPECT_EQ(handed[0].piece, 1U);
  EXPECT_NE(handed[0].values, nullptr);
  EXPECT_THAT(Asked<HandPiece>(Get(kBack, 0)), IsEmpty()) << "twice";
  const auto pushes = Sent<Push>(Computed());
  ASSERT_THAT(pushes, SizeIs(2));
  for (const Push& push : pushes) EXPECT_EQ(push.version, 0);
}

TEST_F(WorkerParameters, AStepDoesNotBeginWithoutTheFirstRange) {
  Get(kBack, 0);
  EXPECT_THAT(Asked<Compute>(Step(0, 0)), IsEmpty());
  EXPECT_THAT(Asked<Compute>(Get(kFront, 0)), SizeIs(1));
}

TEST_F(WorkerParameters, AStreamWaitsForAllRanges) {
  Get(kFront, 0);
  EXPECT_THAT(Asked<Compute>(Stream(0)), IsEmpty());
  EXPECT_THAT(Asked<Compute>(Get(kBack, 0)), SizeIs(1));
}

TEST_F(WorkerParameters, WhatComesOfTheVersionBeforeIsNotHandedOver) {
  Get(kFront, 1);
  ASSERT_THAT(Asked<Compute>(Step(1, 1)), SizeIs(1));
  EXPECT_THAT(Asked<HandPiece>(Get(kBack, 0)), IsEmpty());
  EXPECT_THAT(Asked<HandPiece>(Get(kBack, 1)), SizeIs(1));
}

TEST_F(WorkerParameters, TheNextStepEndsTheWait) {
  Begin();
  EXPECT_THAT(Asked<GiveUp>(Step(1, 1)), SizeIs(1));
  EXPECT_THAT(Asked<HandPiece>(Get(kBack, 1)), IsEmpty());
  Get(kFront, 1);
  const Actions next = Cancelled();
  EXPECT_THAT(Sent<ReturnLease>(next), IsEmpty()) << "nobody wants it";
  ASSERT_THAT(Asked<Compute>(next), SizeIs(1));
  EXPECT_EQ(Asked<Compute>(next)[0].lease, LeaseOf(1));
}

TEST_F(WorkerParameters, AStepWithAllPiecesIsNotGivenUp) {
  Begin();
  Get(kBack, 0);
  EXPECT_THAT(Asked<GiveUp>(Step(1, 1)), IsEmpty());
}

TEST_F(WorkerParameters, ALostConnectionEndsTheWait) {
  Begin();
  EXPECT_THAT(Asked<GiveUp>(worker_.OnDisconnected(now_, "gone")), SizeIs(1));
  Rejoin();
  // Granted again before the math has ended: computed once it has.
  EXPECT_THAT(Asked<Compute>(Step(0, 0)), IsEmpty());
  EXPECT_THAT(Asked<HandPiece>(Get(kBack, 0)), IsEmpty());
  const Actions next = Cancelled();
  EXPECT_THAT(Sent<ReturnLease>(next), IsEmpty());
  ASSERT_THAT(Asked<Compute>(next), SizeIs(1));
  EXPECT_EQ(Asked<Compute>(next)[0].lease, LeaseOf(0));
}

TEST_F(WorkerParameters, ALeaseWithAllPiecesOutlivesALostConnection) {
  Begin();
  Get(kBack, 0);
  EXPECT_THAT(Asked<GiveUp>(worker_.OnDisconnected(now_, "gone")), IsEmpty());
  Rejoin();
  EXPECT_THAT(Sent<Push>(Computed()), SizeIs(2));
}

TEST_F(WorkerParameters, AnotherTermEndsTheWait) {
  Begin();
  worker_.OnDisconnected(now_, "gone");
  Rejoin(2);
  EXPECT_THAT(Sent<ReturnLease>(Cancelled()), IsEmpty());
}

TEST_F(WorkerParameters, OtherRangesEndTheWait) {
  Begin();
  EXPECT_THAT(Asked<GiveUp>(Move(LayoutOf(2, {kFront, {2, 1}, {3, 1}}))), SizeIs(1));
}

TEST_F(WorkerParameters, AnotherLeaderOfTheRangeIsAsked) {
  Begin();
  constexpr Address kOther = {9, Role::kLeader};
  const Actions moved = Move(LayoutOf(2, {kFront, kBack}, kOther));
  EXPECT_THAT(Asked<GiveUp>(moved), IsEmpty());
  const auto pulls = Sent<Pull>(moved);
  ASSERT_THAT(pulls, SizeIs(1));
  EXPECT_EQ(pulls[0].range, kBack);
  EXPECT_EQ(pulls[0].version, 0);
  EXPECT_THAT(Asked<HandPiece>(Get(kBack, 0)), SizeIs(1));
}

TEST_F(WorkerParameters, LeavingEndsTheWait) {
  Begin();
  const Actions left = worker_.Leave(now_, "asked to");
  EXPECT_THAT(Asked<GiveUp>(left), SizeIs(1));
  EXPECT_THAT(Asked<Stop>(left), SizeIs(1));
}

// Another device has computed the lease as well.
TEST_F(WorkerParameters, ALeaderThatHasGoneOnIsAskedForThePieceBefore) {
  Begin();
  const auto pulls = Sent<Pull>(Get(kBack, 1));
  ASSERT_THAT(pulls, SizeIs(1));
  EXPECT_EQ(pulls[0].version, 0);
  EXPECT_THAT(Asked<HandPiece>(Get(kBack, 0)), SizeIs(1));
}

TEST_F(WorkerParameters, AStepThatIsAppliedEverywhereIsGivenUp) {
  Begin();
  EXPECT_THAT(Asked<GiveUp>(Get(kFront, 1)), IsEmpty());
  EXPECT_THAT(Asked<GiveUp>(Get(kBack, 1)), SizeIs(1));
}

TEST_F(WorkerParameters, AStepIsComputedWithItsOwnParametersThoughALeaderIsAheadOfIt) {
  Get(kFront, 3);
  const auto pulls = Sent<Pull>(Step(2, 2));
  ASSERT_THAT(pulls, SizeIs(2));
  for (const Pull& pull : pulls) EXPECT_EQ(pull.version, 2);
  EXPECT_THAT(Asked<Compute>(Get(kBack, 2)), IsEmpty());
  const auto computes = Asked<Compute>(Get(kFront, 2));
  ASSERT_THAT(computes, SizeIs(1));
  for (const Piece& piece : computes[0].pieces) EXPECT_EQ(piece.version, 2);
}

TEST_F(WorkerParameters, ALeaderThatHasNothingSoOldIsNotAskedAgain) {
  Get(kFront, 3);
  Step(2, 2);
  Get(kBack, 2);
  const Actions actions = Get(kFront, 4);
  EXPECT_THAT(Asked<Compute>(actions), IsEmpty());
  EXPECT_THAT(Sent<Pull>(actions), IsEmpty());
}

TEST_F(WorkerParameters, InAStreamTheLastLeaseThatItHasWaitsForWhatItsUpdatesMake) {
  Get(kFront, 0);
  Get(kBack, 0);
  Stream(0);
  Stream(1);
  EXPECT_THAT(Asked<Compute>(Computed()), IsEmpty());
  Get(kFront, 1);
  EXPECT_THAT(Asked<Compute>(Get(kBack, 1)), SizeIs(1));
}

// The coordinator here has no timeout: it waits for two heartbeats.
TEST_F(WorkerParameters, ItDoesNotWaitForEver) {
  Get(kFront, 0);
  Get(kBack, 0);
  Stream(0);
  Stream(1);
  EXPECT_THAT(Asked<Compute>(Computed()), IsEmpty());
  const TimePoint computed = now_;
  std::vector<Compute> computes;
  while (computes.empty() && now_ < computed + std::chrono::seconds(20)) {
    now_ = *worker_.NextWake();
    computes = Asked<Compute>(worker_.Tick(now_));
  }
  EXPECT_THAT(computes, SizeIs(1));
  EXPECT_GE(now_ - computed, std::chrono::seconds(1));
}

// Differences of the parameters: a worker of two ranges, each with a log of its leader.
class WorkerDifferences : public WorkerParameters {
 protected:
  WorkerDifferences() { worker_.UseCodec(std::make_unique<testing::FewLargest>(1)); }

  static Payload Whole(const std::vector<float>& values) {
    auto packet = std::make_shared<Bytes>();
    EXPECT_TRUE(codec::MakeDense()->Encode(values, {}, packet.get()).ok());
    return packet;
  }
  Actions GetWhole(const Range& range, int64_t version, const std::vector<float>& values) {
    return worker_.Handle(
        now_, kLeader,
        Parameters{
            .term = 1, .version = version, .values = Whole(values), .range = range, .log = 40});
  }
  // That adds 1 to the first value.
  static Payload Delta(int64_t base, uint32_t versions) {
    auto delta = std::make_shared<Bytes>();
    base::ByteWriter out(delta.get());
    out.Put(uint32_t{8 + 6});
    out.Put(versions);
    out.Put(base);
    out.Put(uint32_t{0});
    out.Put(uint16_t{0x3F80});
    return delta;
  }
  Actions GetDelta(const Range& range, int64_t base, int64_t version, Payload delta,
                   uint64_t log = 40) {
    return worker_.Handle(now_, kLeader,
                          Parameters{.term = 1,
                                     .version = version,
                                     .values = std::move(delta),
                                     .range = range,
                                     .log = log,
                                     .base = base});
  }
};

TEST_F(WorkerDifferences, APullSaysWhatIsHeld) {
  const auto first = Sent<Pull>(Step(0, 0));
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(first[0].log, 0u);
  EXPECT_EQ(first[0].base, -1);
  GetWhole(kFront, 0, {1, 2});
  Get(kBack, 0);  // of no log
  const auto next = Sent<Pull>(Computed());
  ASSERT_THAT(next, SizeIs(2));
  EXPECT_EQ(next[0].log, 40u);
  EXPECT_EQ(next[0].base, 0);
  EXPECT_EQ(next[1].log, 0u);
  EXPECT_EQ(next[1].base, -1);
}

TEST_F(WorkerDifferences, BeforeTheCodecIsKnownAllIsPulledWhole) {
  worker_.OnDisconnected(now_, "cut");
  Rejoin(2);
  worker_.Handle(now_, kLeader,
                 Parameters{.term = 2, .values = Whole({1, 2}), .range = kFront, .log = 40});
  const auto pulls = Sent<Pull>(
      worker_.Handle(now_, kCoordinator, Grant{.term = 2, .lease = LeaseOf(1), .version = 1}));
  ASSERT_THAT(pulls, SizeIs(2));
  EXPECT_EQ(pulls[0].range, kFront);
  EXPECT_EQ(pulls[0].base, -1);
}

TEST_F(WorkerDifferences, MakeWholePackets) {
  Step(2, 2);
  GetWhole(kBack, 0, {3, 4});
  GetDelta(kBack, 0, 2, Delta(0, 2));
  const auto computes = Asked<Compute>(GetWhole(kFront, 2, {1, 2}));
  ASSERT_THAT(computes, SizeIs(1));
  ASSERT_THAT(computes[0].pieces, SizeIs(2));
  EXPECT_EQ(*computes[0].pieces[1].values, *Whole({4, 4}));
}

TEST_F(WorkerDifferences, ForWhatIsNotHeldAreDroppedAndAllIsPulled) {
  GetWhole(kFront, 0, {1, 2});
  GetWhole(kBack, 0, {3, 4});
  Step(2, 2);
  auto damaged = std::make_shared<Bytes>(*Delta(0, 2));
  damaged->front() ^= 1;
  const auto whole_again = [&](const Actions& actions) {
    const auto pulls = Sent<Pull>(actions);
    ASSERT_THAT(pulls, SizeIs(1));
    EXPECT_EQ(pulls[0].range, kFront);
    EXPECT_EQ(pulls[0].version, 2);
    EXPECT_EQ(pulls[0].log, 0u);
    EXPECT_EQ(pulls[0].base, -1);
    EXPECT_THAT(Asked<Compute>(actions), IsEmpty());
  };
  whole_again(GetDelta(kFront, 1, 2, Delta(1, 1)));
  whole_again(GetDelta(kFront, 0, 2, Delta(0, 2), 41));
  whole_again(GetDelta(kFront, 0, 2, damaged));
  whole_again(GetDelta(kFront, 0, 2, Delta(0, 1)));
  whole_again(GetDelta(kFront, 0, 2, nullptr));
  EXPECT_THAT(Asked<Compute>(GetWhole(kFront, 2, {5, 6})), SizeIs(1));
  EXPECT_THAT(GetDelta(kFront, 1, 4, Delta(1, 3)), IsEmpty()) << "nobody asked for it";
}

TEST_F(WorkerDifferences, NothingNewerEndsTheWaitOfAStream) {
  GetWhole(kFront, 0, {1, 2});
  GetWhole(kBack, 0, {3, 4});
  Stream(0);
  Stream(1);
  EXPECT_THAT(Asked<Compute>(Computed()), IsEmpty());
  GetDelta(kFront, 0, 0, nullptr);
  EXPECT_THAT(Asked<Compute>(GetDelta(kBack, 0, 0, nullptr)), SizeIs(1));
}

}  // namespace
}  // namespace weft::cluster
