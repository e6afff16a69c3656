#include "sim/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "sim/testing_network.h"

namespace weft::sim {
namespace {

using namespace weft::sim::testing;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// ---- rates

TEST(Network, OneFlowTakesBytesOverRate) {
  World world(HubRate(0, 0));
  world.Add(Rate(8e6));
  world.RunTo(1);
  world.Push(0);
  world.RunTo(10);
  ASSERT_THAT(world.hub.arrivals, SizeIs(1));
  EXPECT_NEAR(world.hub.arrivals[0].at - 1, PushTime(8e6), 0.001);
}

TEST(Network, EqualLinksInSeriesTakeTheTimeOnce) {
  for (double hub : {8e6, 16e6, 1e9}) {
    World world(HubRate(hub, hub));
    world.Add(Rate(8e6));
    world.RunTo(1);
    world.Push(0);
    world.RunTo(10);
    ASSERT_THAT(world.hub.arrivals, SizeIs(1));
    EXPECT_NEAR(world.hub.arrivals[0].at - 1, PushTime(8e6), 0.03 * PushTime(8e6)) << hub;
  }
}

TEST(Network, TheSlowestLinkOfThreeDecides) {
  for (size_t slow = 0; slow < 3; ++slow) {
    double rates[] = {80e6, 80e6, 80e6};
    rates[slow] = 8e6;
    NetworkOptions options = HubRate(rates[2], rates[2]);
    options.segments = {{"wifi", Rate(rates[1], rates[1])}};
    World world(options);
    LinkOptions link = Rate(rates[0], rates[0]);
    link.segment = "wifi";
    world.Add(link);
    world.RunTo(1);
    world.Push(0);
    world.RunTo(10);
    ASSERT_THAT(world.hub.arrivals, SizeIs(1));
    EXPECT_NEAR(world.hub.arrivals[0].at - 1, PushTime(8e6), 0.03 * PushTime(8e6)) << slow;
  }
}

TEST(Network, TheWayBackIsTheSame) {
  NetworkOptions options = HubRate(8e6, 80e6);
  options.wire.parameters_bytes = kMega;
  World world(options);
  world.Add(Rate(80e6, 8e6));
  world.RunTo(1);
  world.Answer(0, cluster::Parameters{});
  world.RunTo(10);
  ASSERT_THAT(world.At(0).arrivals, SizeIs(1));
  EXPECT_NEAR(world.At(0).arrivals[0].at - 1, PushTime(8e6), 0.03 * PushTime(8e6));
}

TEST(Network, ParametersLeaveInTheOrderOfTheirRangesAndBehindUpdates) {
  NetworkOptions options = HubRate(8e6, 80e6);
  options.wire.parameters_bytes = kMega;
  World world(options);
  world.Add(Rate(80e6, 80e6));
  world.RunTo(1);
  const auto answer = [&](uint64_t term, int64_t begin) {
    world.Answer(0, cluster::Parameters{.term = term, .range = {begin, 10}});
  };
  answer(1, 40);  // begins at once, and is interrupted
  answer(2, 30);
  answer(3, 10);
  answer(4, 20);
  world.Answer(0, cluster::Push{.term = 5});
  answer(6, 50);
  world.RunTo(30);
  EXPECT_THAT(world.At(0).Terms(), ElementsAre(5, 3, 4, 2, 1, 6));
}

TEST(Network, FlowsShareTheHubFairly) {
  World world(HubRate(0, 8e6));
  for (int i = 0; i < 4; ++i) world.Add(Rate(80e6));
  world.RunTo(1);
  for (int i = 0; i < 4; ++i) world.Push(i);
  world.RunTo(20);
  ASSERT_THAT(world.hub.arrivals, SizeIs(4));
  const double all = 4 * PushTime(8e6);
  for (const Arrival& arrival : world.hub.arrivals) {
    EXPECT_NEAR(arrival.at - 1, all, 0.05 * all);
  }
}

TEST(Network, ASlowUplinkDoesNotHoldUpOthers) {
  World world(HubRate(0, 80e6));
  world.Add(Rate(1e6));
  world.Add(Rate(80e6));
  world.RunTo(1);
  world.Push(0);
  world.RunTo(1.5);
  world.Push(1);
  world.RunTo(20);
  ASSERT_THAT(world.hub.arrivals, SizeIs(2));
  EXPECT_EQ(world.hub.arrivals[0].connection, world.Id(1));
  const double piece = PushTime(80e6) / 16;  // of the other, that may be in service
  EXPECT_NEAR(world.hub.arrivals[0].at - 1.5, PushTime(80e6), 1.1 * piece);
  EXPECT_NEAR(world.hub.arrivals[1].at - 1, PushTime(1e6), 0.03 * PushTime(1e6));
}

TEST(Network, HalfDuplexTakesBothWaysInTurn) {
  NetworkOptions options = HubRate(0, 0);
  options.wire.parameters_bytes = kMega;
  for (bool half : {false, true}) {
    World world(options);
    LinkOptions link = Rate(8e6, 8e6);
    link.half_duplex = half;
    world.Add(link);
    world.RunTo(1);
    world.Push(0);
    world.Answer(0, cluster::Parameters{});
    world.RunTo(20);
    ASSERT_THAT(world.hub.arrivals, SizeIs(1));
    ASSERT_THAT(world.At(0).arrivals, SizeIs(1));
    const double want = (half ? 2 : 1) * PushTime(8e6);
    EXPECT_NEAR(world.hub.arrivals[0].at - 1, want, 0.05 * want) << half;
    EXPECT_NEAR(world.At(0).arrivals[0].at - 1, want, 0.05 * want) << half;
  }
}

TEST(Network, ASegmentIsShared) {
  NetworkOptions options = HubRate(0, 0);
  options.segments = {{"wifi", Rate(8e6, 8e6)}, {"other", Rate(8e6)}};
  World world(options);
  LinkOptions link = Rate(80e6);
  link.segment = "wifi";
  for (int i = 0; i < 3; ++i) world.Add(link);
  link.segment = "other";
  world.Add(link);
  world.RunTo(1);
  for (int i = 0; i < 4; ++i) world.Push(i);
  world.RunTo(20);
  ASSERT_THAT(world.hub.arrivals, SizeIs(4));
  EXPECT_EQ(world.hub.arrivals[0].connection, world.Id(3));
  EXPECT_NEAR(world.hub.arrivals[0].at - 1, PushTime(8e6), 0.03 * PushTime(8e6));
  EXPECT_NEAR(world.hub.arrivals[3].at - 1, 3 * PushTime(8e6), 0.09 * PushTime(8e6));
  EXPECT_GT(world.network.SegmentCounters(0).up_bytes,
            3 * world.network.SegmentCounters(1).up_bytes - 3000);
}

TEST(Network, ASmallMessagePassesALongPayload) {
  for (int sender : {0, 1}) {  // on the same connection, and on another
    World world(HubRate(0, 8e6));
    world.Add(Rate(0));
    world.Add(Rate(0));
    world.RunTo(1);
    world.Push(0);
    world.RunTo(1.1);
    world.Beat(sender);
    world.RunTo(20);
    ASSERT_THAT(world.hub.arrivals, SizeIs(2));
    EXPECT_FALSE(world.hub.arrivals[0].payload);
    EXPECT_LT(world.hub.arrivals[0].at - 1.1, 1.1 * PushTime(8e6) / 16) << "a piece's time";
    EXPECT_NEAR(world.hub.arrivals[1].at - 1, PushTime(8e6), 0.01);
  }
}

TEST(Network, CountsBytesBothWays) {
  World world(HubRate(0, 0));
  world.Add(Rate(8e6, 8e6));
  world.RunTo(1);
  world.Push(0);
  world.RunTo(10);
  const int64_t stream = StreamBytes(cluster::Push{}, {.push_bytes = kMega});
  const LinkCounters device = world.network.Counters(world.hosts[0]);
  EXPECT_NEAR(static_cast<double>(device.up_bytes), static_cast<double>(LinkBytes(stream)), 1500);
  EXPECT_NEAR(Seconds(device.up_busy), PushTime(8e6), 0.002);
  EXPECT_NEAR(static_cast<double>(device.down_bytes), static_cast<double>(AckBytes(stream)), 1500);
  const LinkCounters hub = world.network.Counters(kHub);
  EXPECT_EQ(hub.down_bytes, device.up_bytes);
  EXPECT_EQ(hub.up_bytes, device.down_bytes);
  EXPECT_EQ(world.network.messages(), 1);
}

// ---- latency and loss

TEST(Network, LatenciesAddUp) {
  NetworkOptions options;
  options.hub.latency = milliseconds(5);
  options.segments.resize(1);
  options.segments[0].name = "wifi";
  options.segments[0].link.latency = milliseconds(20);
  World world(options);
  LinkOptions link;
  link.segment = "wifi";
  link.latency = milliseconds(100);
  link.jitter = milliseconds(10);
  world.Add(link);
  world.RunTo(1);
  for (uint64_t i = 0; i < 20; ++i) world.Beat(0, i);
  world.RunTo(3);
  ASSERT_THAT(world.hub.arrivals, SizeIs(20));
  EXPECT_GE(world.hub.arrivals[0].at, 1.125);
  EXPECT_LE(world.hub.arrivals[19].at, 1.1351);
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(world.hub.arrivals[i].term, i);
}

TEST(Network, LossLowersThroughputAsMathisSays) {
  NetworkOptions options = HubRate(0, 0);
  World world(options);
  world.Add({.up_bps = 1e9, .latency = milliseconds(50), .loss = 0.01});
  world.RunTo(1);
  for (int i = 0; i < 20; ++i) world.Push(0);
  world.RunTo(2000);
  ASSERT_THAT(world.hub.arrivals, SizeIs(20));
  const double rate = 20.0 * kMega / (world.hub.arrivals.back().at - 1);
  EXPECT_NEAR(rate, 1448 / 0.1 * 1.22 / 0.1, 0.03 * rate);
}

TEST(Network, ALostLonePacketCostsARetryTime) {
  World world(HubRate(0, 0));
  world.Add({.latency = milliseconds(10), .loss = 0.1});
  world.RunTo(20);
  ASSERT_THAT(world.At(0).connected, SizeIs(1));
  int late = 0;
  for (int i = 0; i < 1000; ++i) {
    const double sent = 20.0 + 10 * i;
    world.Beat(0);
    world.RunTo(sent + 10);
    const double took = world.hub.arrivals.back().at - sent;
    if (took < 0.011) continue;
    ++late;
    EXPECT_GE(took, 0.010 + 0.220);
  }
  EXPECT_NEAR(late, 100, 30);
  EXPECT_THAT(world.hub.arrivals, SizeIs(1000));
}

TEST(Network, WhatFollowsALostPacketWaitsForIt) {
  World world(HubRate(0, 0));
  world.Add({.latency = milliseconds(10), .loss = 0.2});
  world.RunTo(20);
  for (uint64_t i = 0; i < 50; ++i) world.Beat(0, i);
  world.RunTo(100);
  ASSERT_THAT(world.hub.arrivals, SizeIs(50));
  for (uint64_t i = 0; i < 50; ++i) EXPECT_EQ(world.hub.arrivals[i].term, i);
  EXPECT_GT(world.hub.arrivals.back().at, 20.2);
}

TEST(Network, ReorderedPacketsCostTimeAndDuplicatedOnesBytes) {
  World world(HubRate(0, 0));
  world.Add({.latency = milliseconds(10), .reordering = 1});
  world.Add({.up_bps = 8e6, .latency = {}, .duplication = 0.5});
  world.RunTo(1);
  world.Beat(0);
  world.Push(1);
  world.RunTo(10);
  ASSERT_THAT(world.hub.arrivals, SizeIs(2));
  EXPECT_NEAR(world.hub.arrivals[0].at, 1.020, 0.0001);
  EXPECT_NEAR(world.hub.arrivals[1].at - 1, 1.5 * PushTime(8e6), 0.01);
}

// ---- ends

TEST(Network, WhatWasSentBeforeACloseArrives) {
  World world(HubRate(0, 0));
  world.Add(Rate(8e6));
  world.RunTo(1);
  world.Push(0, 1);
  world.Push(0, 2);
  world.Beat(0, 3);
  world.network.Close(&world.At(0), world.Id(0));
  world.RunTo(10);
  EXPECT_THAT(world.hub.Terms(), ElementsAre(3, 1, 2));
  EXPECT_THAT(world.hub.lost, ElementsAre("closed by the peer"));
  EXPECT_THAT(world.At(0).lost, IsEmpty());
}

TEST(Network, ABreakLosesWhatIsUnderWay) {
  for (double silent : {0.0, 1.0}) {
    NetworkOptions options = HubRate(0, 0);
    options.silent_break = silent;
    World world(options);
    world.Add(Rate(8e6));
    world.RunTo(1);
    world.Push(0);
    world.Push(0);
    world.RunTo(1.3);
    world.network.Break(world.Id(0), "reset");
    world.RunTo(10);
    EXPECT_THAT(world.hub.arrivals, IsEmpty());
    EXPECT_THAT(world.At(0).lost, ElementsAre("reset"));
    EXPECT_THAT(world.hub.lost, SizeIs(silent == 0 ? 1 : 0));
  }
}

TEST(Network, AProcessThatVanishesHearsNothingAndItsPiecesMakeRoom) {
  World world(HubRate(0, 8e6));
  world.Add(Rate(0));
  world.Add(Rate(0));
  world.RunTo(1);
  world.Push(0);
  world.Push(1);
  world.Answer(0, cluster::Heartbeat{});
  world.network.Vanish(&world.At(0));
  world.RunTo(10);
  EXPECT_THAT(world.At(0).arrivals, IsEmpty());
  EXPECT_THAT(world.At(0).lost, IsEmpty());
  EXPECT_THAT(world.hub.lost, ElementsAre("connection reset"));
  ASSERT_THAT(world.hub.arrivals, SizeIs(1));
  EXPECT_NEAR(world.hub.arrivals[0].at - 1, PushTime(8e6), 0.1 * PushTime(8e6));
}

TEST(Network, AHubThatVanishesIsMissedByAll) {
  World world(HubRate(0, 0));
  for (int i = 0; i < 3; ++i) world.Add(Rate(0));
  world.RunTo(1);
  world.network.Vanish(&world.hub);
  world.Add(Rate(0));
  world.RunTo(2);
  for (int i = 0; i < 4; ++i) EXPECT_THAT(world.At(i).lost, SizeIs(1)) << i;
  EXPECT_EQ(world.At(3).lost[0], "connection refused");
}

TEST(Network, ManyMessagesToOneAfterAnotherKeepTheirOrder) {
  World world(HubRate(0, 80e6));
  world.Add({.up_bps = 8e6, .latency = milliseconds(1), .jitter = milliseconds(50)});
  world.RunTo(1);
  for (uint64_t i = 0; i < 10; ++i) world.Push(0, i);
  world.RunTo(60);
  EXPECT_THAT(world.hub.Terms(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
}

// Whatever becomes of a message, its payload is let go.
TEST(Network, PayloadsAreLetGo) {
  NetworkOptions options = HubRate(80e6, 80e6);
  options.repeat_message = options.reorder_message = 0.3;
  World world(options);
  const auto payload = std::make_shared<const Bytes>(10);
  for (int i = 0; i < 6; ++i) world.Add(Rate(8e6));
  world.RunTo(1);
  for (int i = 0; i < 6; ++i) {
    for (int n = 0; n < 3; ++n) world.Send(i, cluster::Push{.gradient = payload});
  }
  EXPECT_EQ(payload.use_count(), 19);
  world.RunTo(2.5);
  world.network.Vanish(&world.At(1));
  world.network.Break(world.Id(2), "reset");
  world.network.Close(&world.At(3), world.Id(3));
  world.network.Cut(world.hosts[4], true, true);
  world.network.Cut(world.hosts[5], true, true);
  world.RunTo(9);
  world.network.Heal(world.hosts[5]);
  world.RunTo(60);
  world.network.Heal(world.hosts[4]);
  world.RunTo(100);
  EXPECT_EQ(payload.use_count(), 1);
}

TEST(Network, SameSeedSameHash) {
  const auto hash = [](uint64_t seed) {
    NetworkOptions options = HubRate(20e6, 20e6);
    options.repeat_message = options.reorder_message = 0.2;
    World world(options, seed);
    for (int i = 0; i < 5; ++i) {
      world.Add({.up_bps = 8e6, .jitter = milliseconds(3), .loss = 0.01, .reordering = 0.01});
    }
    world.RunTo(30);
    for (uint64_t i = 0; i < 5; ++i) {
      for (int device = 0; device < 5; ++device) {
        world.Push(device, i);
        world.Beat(device, i);
      }
    }
    world.network.Cut(world.hosts[2], true, false);
    world.RunTo(35);
    world.network.Heal(world.hosts[2]);
    world.RunTo(200);
    EXPECT_GE(world.hub.arrivals.size(), 50U);
    return world.loop.trace_hash();
  };
  EXPECT_EQ(hash(1), hash(1));
  EXPECT_NE(hash(1), hash(2));
}

}  // namespace
}  // namespace weft::sim
