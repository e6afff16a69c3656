// Connections between devices, without the hub.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "sim/testing_network.h"

namespace weft::sim {
namespace {

using namespace weft::sim::testing;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Devices that answer, and lines between them that are open at second 1.
struct PeerWorld : World {
  using World::World;
  int AddPeer(const LinkOptions& link) {
    const int number = Add(link);
    network.Listen(&At(number), Host(number));
    return number;
  }
  HostId Host(int device) const { return hosts[static_cast<size_t>(device)]; }
  ConnectionId Join(int from, int to) { return network.Dial(&At(from), Host(from), Host(to)); }
  void PushOver(ConnectionId line, int from, uint64_t term = 1) {
    network.Send(&At(from), line, {{}, {}, cluster::Push{.term = term}});
  }
  void BeatOver(ConnectionId line, int from, uint64_t term = 1) {
    network.Send(&At(from), line, {{}, {}, cluster::Heartbeat{.term = term}});
  }
};

NetworkOptions SlowHub() { return HubRate(1000, 1000); }  // so that nothing goes by it unseen

TEST(NetworkPeers, TheSlowestLinkOnTheWayDecides) {
  // Up, down, the other's up, down.
  const struct {
    LinkOptions from, to;
    double rate;
  } cases[] = {{Rate(8e6, 80e6), Rate(80e6, 80e6), 8e6},
               {Rate(80e6, 80e6), Rate(80e6, 8e6), 8e6},
               {Rate(80e6, 1e6), Rate(1e6, 80e6), 80e6}};
  for (const auto& each : cases) {
    PeerWorld world(SlowHub());
    world.AddPeer(each.from);
    world.AddPeer(each.to);
    const ConnectionId line = world.Join(0, 1);
    world.RunTo(1);
    world.PushOver(line, 0);
    world.RunTo(20);
    ASSERT_THAT(world.At(1).arrivals, SizeIs(1));
    const double floor = PushTime(each.rate);
    EXPECT_GE(world.At(1).arrivals[0].at - 1, floor);
    EXPECT_LE(world.At(1).arrivals[0].at - 1, 1.08 * floor) << "a piece at each further link";
    EXPECT_THAT(world.hub.arrivals, IsEmpty());
  }
}

TEST(NetworkPeers, SegmentsOnTheWayArePassedAndASharedOneOnce) {
  NetworkOptions options = SlowHub();
  options.segments = {{"a", Rate(8e6, 80e6)}, {"b", Rate(80e6, 16e6)}};
  options.segments[0].link.latency = milliseconds(10);
  options.segments[1].link.latency = milliseconds(3);
  LinkOptions in_a = Rate(800e6, 800e6), in_b = in_a;
  in_a.segment = "a";
  in_b.segment = "b";
  PeerWorld world(options);
  for (const LinkOptions& link : {in_a, in_a, in_b, in_b}) world.AddPeer(link);
  const struct {
    int from, to;
    double rate, latency;
  } cases[] = {{0, 2, 8e6, 0.013}, {2, 0, 80e6, 0.013}, {0, 1, 8e6, 0.01}, {2, 3, 80e6, 0.003}};
  double now = 10;
  for (const auto& each : cases) {
    const ConnectionId line = world.Join(each.from, each.to);
    world.RunTo(now);
    for (int i = 0; i < 20; ++i) world.PushOver(line, each.from);  // beyond slow start
    world.RunTo(now + 100);
    const auto& arrivals = world.At(each.to).arrivals;
    ASSERT_GE(arrivals.size(), 20U);
    const double floor = 20 * PushTime(each.rate) + each.latency;
    EXPECT_GE(arrivals.back().at - now, floor);
    EXPECT_LE(arrivals.back().at - now, 1.03 * floor + 15 * each.latency) << each.from << each.to;
    now += 100;
  }
}

TEST(NetworkPeers, WhatStaysAtASiteDoesNotPassItsGateway) {
  NetworkOptions options = SlowHub();
  options.segments = {{"out", Rate(8e6, 8e6), true}, {"other", Rate(8e6, 8e6), true}};
  LinkOptions link = Rate(800e6, 800e6), other = link;
  link.segment = "out";
  other.segment = "other";
  PeerWorld world(options);
  for (const LinkOptions& each : {link, link, other}) world.AddPeer(each);
  const ConnectionId within = world.Join(0, 1);
  const ConnectionId across = world.Join(0, 2);
  world.RunTo(1);
  world.PushOver(within, 0);
  world.RunTo(2);
  ASSERT_THAT(world.At(1).arrivals, SizeIs(1));
  EXPECT_LT(world.At(1).arrivals[0].at - 1, 0.2 * PushTime(8e6));
  world.PushOver(across, 0);
  world.RunTo(40);
  ASSERT_THAT(world.At(2).arrivals, SizeIs(1));
  EXPECT_GE(world.At(2).arrivals[0].at - 2, PushTime(8e6));
}

TEST(NetworkPeers, ARadioChannelIsPassedOnceByItsOwnDevices) {
  NetworkOptions options = SlowHub();
  options.segments = {{"radio", {.up_bps = 8e6, .half_duplex = true, .latency = {}}}};
  LinkOptions link = Rate(0);
  link.segment = "radio";
  PeerWorld world(options);
  world.AddPeer(link);
  world.AddPeer(link);
  const ConnectionId line = world.Join(0, 1);
  world.RunTo(1);
  world.PushOver(line, 0);
  world.PushOver(line, 1);  // both ways share it
  world.RunTo(20);
  ASSERT_THAT(world.At(0).arrivals, SizeIs(1));
  ASSERT_THAT(world.At(1).arrivals, SizeIs(1));
  EXPECT_NEAR(world.At(0).arrivals[0].at - 1, 2 * PushTime(8e6), 0.05 * PushTime(8e6));
}

TEST(NetworkPeers, FlowsFromTwoDevicesShareADownlink) {
  PeerWorld world(SlowHub());
  for (int i = 0; i < 3; ++i) world.AddPeer(Rate(80e6, 8e6));
  const ConnectionId first = world.Join(0, 2), second = world.Join(1, 2);
  world.RunTo(1);
  world.PushOver(first, 0);
  world.PushOver(second, 1);
  world.RunTo(20);
  ASSERT_THAT(world.At(2).arrivals, SizeIs(2));
  const double floor = 2 * PushTime(8e6);
  for (const Arrival& arrival : world.At(2).arrivals) {
    EXPECT_NEAR(arrival.at - 1, floor, 0.08 * floor);
  }
  EXPECT_GE(world.At(2).arrivals[1].at - 1, floor);
}

TEST(NetworkPeers, BothWaysAtOnceTakeTheTimeOfOne) {
  PeerWorld world(SlowHub());
  world.AddPeer(Rate(8e6, 8e6));
  world.AddPeer(Rate(8e6, 8e6));
  const ConnectionId line = world.Join(0, 1);
  world.RunTo(1);
  world.PushOver(line, 0);
  world.PushOver(line, 1);
  world.RunTo(20);
  for (int device : {0, 1}) {
    ASSERT_THAT(world.At(device).arrivals, SizeIs(1));
    // Acknowledgements of the other way take 2 %.
    EXPECT_NEAR(world.At(device).arrivals[0].at - 1, PushTime(8e6), 0.06 * PushTime(8e6));
  }
}

TEST(NetworkPeers, WhatGoesToAPeerSharesTheUplinkWithWhatGoesToTheHub) {
  PeerWorld world;
  world.AddPeer(Rate(8e6, 8e6));
  world.AddPeer(Rate(80e6, 80e6));
  const ConnectionId line = world.Join(0, 1);
  world.RunTo(1);
  world.PushOver(line, 0);
  world.Push(0);
  world.RunTo(20);
  ASSERT_THAT(world.At(1).arrivals, SizeIs(1));
  ASSERT_THAT(world.hub.arrivals, SizeIs(1));
  const double floor = 2 * PushTime(8e6);
  EXPECT_NEAR(world.At(1).arrivals[0].at - 1, floor, 0.1 * floor);
  EXPECT_NEAR(world.hub.arrivals[0].at - 1, floor, 0.1 * floor);
}

TEST(NetworkPeers, ASlowPeerHoldsUpNobodyElse) {
  PeerWorld world(SlowHub());
  world.AddPeer(Rate(80e6, 80e6));
  world.AddPeer(Rate(80e6, 1e6));
  world.AddPeer(Rate(80e6, 80e6));
  const ConnectionId slow = world.Join(0, 1), quick = world.Join(0, 2);
  world.RunTo(1);
  world.PushOver(slow, 0);
  world.RunTo(2);
  world.PushOver(quick, 0);
  world.RunTo(30);
  ASSERT_THAT(world.At(2).arrivals, SizeIs(1));
  EXPECT_NEAR(world.At(2).arrivals[0].at - 2, PushTime(80e6), 0.15 * PushTime(80e6));
  ASSERT_THAT(world.At(1).arrivals, SizeIs(1));
  EXPECT_NEAR(world.At(1).arrivals[0].at - 1, PushTime(1e6), 0.03 * PushTime(1e6));
}

TEST(NetworkPeers, BytesAreCountedAtBothLinksAndNotAtTheHub) {
  PeerWorld world;
  world.AddPeer(Rate(8e6, 8e6));
  world.AddPeer(Rate(8e6, 8e6));
  const ConnectionId line = world.Join(0, 1);
  world.RunTo(1);
  world.PushOver(line, 0);
  world.RunTo(20);
  const int64_t stream = StreamBytes(cluster::Push{}, {.push_bytes = kMega});
  const LinkCounters from = world.network.Counters(world.Host(0));
  const LinkCounters to = world.network.Counters(world.Host(1));
  EXPECT_NEAR(static_cast<double>(from.up_bytes), static_cast<double>(LinkBytes(stream)), 1500);
  EXPECT_EQ(to.down_bytes, from.up_bytes);
  EXPECT_EQ(from.down_bytes, to.up_bytes) << "acknowledgements";
  EXPECT_GT(from.down_bytes, 0);
  EXPECT_EQ(world.network.Counters(kHub).down_bytes, 0);
}

TEST(NetworkPeers, ACutLinkOfEitherEndHoldsWhatPasses) {
  for (int cut : {0, 1}) {
    PeerWorld world(SlowHub());
    world.AddPeer(Rate(8e6, 8e6));
    world.AddPeer(Rate(8e6, 8e6));
    const ConnectionId line = world.Join(0, 1);
    world.RunTo(1);
    // The way from 0 to 1 only.
    world.network.Cut(world.Host(cut), cut == 0, cut == 1);
    world.PushOver(line, 0);
    world.BeatOver(line, 1);
    world.RunTo(4);
    EXPECT_THAT(world.At(1).arrivals, IsEmpty());
    EXPECT_THAT(world.At(0).arrivals, SizeIs(1)) << "the other way goes on";
    world.network.Heal(world.Host(cut));
    world.RunTo(20);
    EXPECT_THAT(world.At(1).arrivals, SizeIs(1));
    EXPECT_THAT(world.At(0).lost, IsEmpty());
    // For too long.
    world.network.Cut(world.Host(cut), true, true);
    world.PushOver(line, 0);
    world.RunTo(60);
    EXPECT_THAT(world.At(0).lost, ElementsAre("timed out"));
  }
}

TEST(NetworkPeers, AProcessThatIsKilledBreaksItsLines) {
  for (int killed : {0, 1}) {
    NetworkOptions options;
    options.silent_break = 0;
    PeerWorld world(options);
    world.AddPeer(Rate(8e6, 8e6));
    world.AddPeer(Rate(8e6, 8e6));
    const ConnectionId line = world.Join(0, 1);
    world.RunTo(1);
    world.PushOver(line, 1 - killed);
    world.RunTo(1.2);
    world.network.Vanish(&world.At(killed));
    world.RunTo(5);
    EXPECT_THAT(world.At(killed).arrivals, IsEmpty());
    EXPECT_THAT(world.At(1 - killed).lost, ElementsAre("connection reset"));
    EXPECT_NEAR(world.At(1 - killed).lost_at, 1.2, 0.01);
    // Nobody answers there any more, but the hub knows the survivor.
    world.At(1 - killed).lost.clear();
    world.Join(1 - killed, killed);
    world.RunTo(6);
    EXPECT_THAT(world.At(1 - killed).lost, ElementsAre("connection refused"));
    world.Beat(1 - killed);
    world.RunTo(7);
    EXPECT_THAT(world.hub.arrivals, SizeIs(1));
  }
}

TEST(NetworkPeers, WhoeverListensLaterAnswers) {
  PeerWorld world;
  world.AddPeer(Rate(0));
  world.Add(Rate(0));
  world.Join(0, 1);
  world.RunTo(1);
  EXPECT_THAT(world.At(0).lost, ElementsAre("connection refused"));
  world.network.Listen(&world.At(1), world.Host(1));
  const ConnectionId line = world.Join(0, 1);
  world.RunTo(2);
  world.BeatOver(line, 0, 7);
  world.RunTo(3);
  EXPECT_THAT(world.At(1).Terms(), ElementsAre(7));
}

// A device that numbers what it sends over the line that it has dialled.
struct Caller : Peer {
  using Peer::Peer;
  void OnConnected(ConnectionId opened) override { line = opened; }
  void OnDisconnected(ConnectionId gone, const std::string&) override {
    if (gone == line) line = 0;
  }
  ConnectionId line = 0;
  uint64_t sent = 0;
};

// Devices that dial each other, send and die while links are cut and clogged, for 30 s; then calm.
struct PeerStorm {
  static constexpr int kDevices = 6;
  explicit PeerStorm(uint64_t seed) : world(Options(seed), seed), devices(kDevices) {
    for (int i = 0; i < kDevices; ++i) {
      LinkOptions link = Rate(seed % 2 == 0 ? 0 : 8e6, seed % 3 == 0 ? 0 : 16e6);
      link.half_duplex = seed % 5 == 0;
      link.down_bps = link.half_duplex ? 0 : link.down_bps;
      link.segment = i < 2 ? "air" : i < 4 ? "cable" : "";
      link.latency = milliseconds(5);
      link.loss = seed % 7 == 0 ? 0.01 : 0;
      hosts.push_back(world.network.AddHost(link));
    }
    for (int i = 0; i < kDevices; ++i) Replace(i);
  }
  static NetworkOptions Options(uint64_t seed) {
    NetworkOptions options;
    options.segments = {{"air", {.up_bps = 20e6, .half_duplex = true}}, {"cable", Rate(20e6, 9e6)}};
    options.silent_break = 0.3;
    options.unfairness = seed % 2 == 0 ? 0.5 : 0;
    return options;
  }
  Caller& At(int i) { return *devices[static_cast<size_t>(i)]; }
  HostId Host(int i) const { return hosts[static_cast<size_t>(i)]; }
  int Any() { return static_cast<int>(world.loop.rng().NextBelow(kDevices)); }
  void DialAny(int i) { world.network.Dial(&At(i), Host(i), Host((i + 1 + Any() % 5) % kDevices)); }
  void Replace(int i) {
    auto& device = devices[static_cast<size_t>(i)];
    if (device) world.network.Vanish(device.get());
    if (device) dead.push_back(std::move(device));
    device = std::make_unique<Caller>(&world.loop);
    world.network.Listen(device.get(), Host(i));
  }
  void Say(int i) {
    cluster::Message message = cluster::Heartbeat{.term = ++At(i).sent};
    if (world.loop.rng().NextBelow(2) == 0) message = cluster::Push{.term = At(i).sent};
    world.network.Send(&At(i), At(i).line, {{}, {}, message});
  }
  void DoSomething() {
    base::Rng& rng = world.loop.rng();
    const int i = Any();
    switch (rng.NextBelow(24)) {
      case 0:
        return world.network.Cut(Host(i), rng.NextBelow(2) == 0, rng.NextBelow(2) == 0);
      case 1:
        return world.network.Clog(Host(i), rng.NextBelow(2) == 0 ? 0.01 : 1);
      case 2:
        return Replace(i);
      case 3:
        return world.network.Break(At(i).line, "reset");
      case 4:
      case 5:
      case 6:
        return world.network.Heal(Host(i));
      default:
        if (At(i).line == 0) DialAny(i);
        return Say(i);
    }
  }

  World world;
  std::vector<HostId> hosts;
  std::vector<std::unique_ptr<Caller>> devices;
  std::vector<std::unique_ptr<Caller>> dead;
};

TEST(NetworkPeers, NoStormBreaksOrderOrLastsForEver) {
  size_t arrived = 0;
  for (uint64_t seed = 1; seed <= 100 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    PeerStorm storm(seed);
    for (double at = 0; at < 30; at += 0.02) {
      storm.world.RunTo(at);
      storm.DoSomething();
    }
    for (int i = 0; i < PeerStorm::kDevices; ++i) {
      storm.world.network.Heal(storm.Host(i));
      storm.world.network.Clog(storm.Host(i), 1);
    }
    storm.world.RunTo(150);
    std::map<std::pair<ConnectionId, bool>, uint64_t> last;
    for (const auto& device : storm.devices) {
      for (const Arrival& arrival : device->arrivals) {
        uint64_t& before = last[{arrival.connection, arrival.payload}];
        EXPECT_GT(arrival.term, before);
        before = arrival.term;
      }
      arrived += device->arrivals.size();
      device->arrivals.clear();
    }
    // A ring of fresh processes.
    for (int i = 0; i < PeerStorm::kDevices; ++i) storm.Replace(i);
    for (int i = 0; i < PeerStorm::kDevices; ++i) {
      storm.world.network.Dial(&storm.At(i), storm.Host(i),
                               storm.Host((i + 1) % PeerStorm::kDevices));
    }
    storm.world.RunTo(180);
    for (int i = 0; i < PeerStorm::kDevices; ++i) {
      storm.world.network.Send(&storm.At(i), storm.At(i).line, {{}, {}, cluster::Push{}});
    }
    storm.world.RunTo(240);
    for (int i = 0; i < PeerStorm::kDevices; ++i) EXPECT_THAT(storm.At(i).arrivals, SizeIs(1)) << i;
  }
  EXPECT_GT(arrived, 2000U);
}

TEST(NetworkPeers, SameSeedSameHash) {
  const auto hash = [](uint64_t seed) {
    NetworkOptions options;
    options.repeat_message = options.reorder_message = 0.2;
    options.segments = {{"wifi", Rate(20e6, 20e6)}};
    PeerWorld world(options, seed);
    std::vector<ConnectionId> lines;
    for (int i = 0; i < 5; ++i) {
      LinkOptions link{.up_bps = 8e6, .jitter = milliseconds(3), .loss = 0.01, .reordering = 0.01};
      link.segment = i < 3 ? "wifi" : "";
      world.AddPeer(link);
    }
    for (int i = 0; i < 5; ++i) lines.push_back(world.Join(i, (i + 1) % 5));
    world.RunTo(30);
    for (int i = 0; i < 5; ++i) {
      for (uint64_t n = 0; n < 5; ++n) {
        world.PushOver(lines[static_cast<size_t>(i)], i, n);
        world.BeatOver(lines[static_cast<size_t>(i)], (i + 1) % 5, n);
      }
    }
    world.network.Cut(world.Host(2), true, false);
    world.RunTo(35);
    world.network.Heal(world.Host(2));
    world.RunTo(200);
    for (int i = 0; i < 5; ++i) EXPECT_GE(world.At(i).arrivals.size(), 10U) << i;
    return world.loop.trace_hash();
  };
  EXPECT_EQ(hash(1), hash(1));
  EXPECT_NE(hash(1), hash(2));
}

}  // namespace
}  // namespace weft::sim
