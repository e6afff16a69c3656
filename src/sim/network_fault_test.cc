#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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

// ---- faults

TEST(NetworkFaults, ACutLinkHoldsAndAHealedOneGoesOn) {
  World world(HubRate(0, 0));
  world.Add(Rate(8e6));
  world.RunTo(1);
  world.Push(0, 1);
  world.RunTo(1.5);
  world.network.Cut(world.hosts[0], true, true);
  world.Beat(0, 2);
  world.RunTo(4);
  EXPECT_THAT(world.hub.arrivals, IsEmpty());
  world.network.Heal(world.hosts[0]);
  world.RunTo(10);
  ASSERT_THAT(world.hub.Terms(), ElementsAre(2, 1));
  // Retries after 0.2, 0.6, 1.4, 3.0 s.
  EXPECT_NEAR(world.hub.arrivals[0].at, 4.5, 0.01);
  EXPECT_NEAR(world.hub.arrivals[1].at, 4.5 + PushTime(8e6) - 0.5, 0.1);
  EXPECT_THAT(world.At(0).lost, IsEmpty());
}

TEST(NetworkFaults, AOneWayCutStopsThatWayOnly) {
  World world(HubRate(0, 0));
  world.Add(Rate(0));
  world.RunTo(1);
  world.network.Cut(world.hosts[0], false, true);
  world.Beat(0);
  world.Answer(0, cluster::Heartbeat{});
  world.RunTo(2);
  EXPECT_THAT(world.hub.arrivals, SizeIs(1));
  EXPECT_THAT(world.At(0).arrivals, IsEmpty());
}

TEST(NetworkFaults, ACutHubStopsAll) {
  World world(HubRate(0, 1e9));
  world.Add(Rate(0));
  world.Add(Rate(8e6));
  world.RunTo(1);
  world.network.Cut(kHub, true, true);
  world.Beat(0);
  world.Push(1);
  world.RunTo(3);
  EXPECT_THAT(world.hub.arrivals, IsEmpty());
  world.network.Heal(kHub);
  world.RunTo(10);
  EXPECT_THAT(world.hub.arrivals, SizeIs(2));
}

TEST(NetworkFaults, WhatWaitsTooLongBreaksTheConnection) {
  for (bool payload : {false, true}) {
    World world(HubRate(0, 0));
    world.Add(Rate(8e6));
    world.RunTo(1);
    world.network.Cut(world.hosts[0], true, false);
    if (payload) {
      world.Push(0);
    } else {
      world.Beat(0);
    }
    world.RunTo(60);
    EXPECT_THAT(world.At(0).lost, ElementsAre("timed out"));
    EXPECT_NEAR(world.At(0).lost_at, 21, 0.1);
    EXPECT_THAT(world.hub.lost, IsEmpty()) << "nobody can tell it";
    // It finds out when it sends in vain.
    world.Answer(0, cluster::Heartbeat{});
    world.RunTo(81);
    EXPECT_THAT(world.hub.lost, ElementsAre("timed out"));
  }
}

TEST(NetworkFaults, AHealInTimeSavesTheConnection) {
  World world(HubRate(0, 0));
  world.Add(Rate(8e6));
  world.RunTo(1);
  world.network.Cut(world.hosts[0], true, true);
  world.Push(0);
  world.RunTo(10);
  world.network.Heal(world.hosts[0]);
  world.RunTo(60);
  EXPECT_THAT(world.hub.arrivals, SizeIs(1));
  EXPECT_THAT(world.At(0).lost, IsEmpty());
}

TEST(NetworkFaults, ACutBeforeTheNextRetryGoesOn) {
  World world(HubRate(0, 0));
  world.Add(Rate(0));
  world.RunTo(1);
  world.network.Cut(world.hosts[0], true, true);
  world.Beat(0);
  world.RunTo(4.1);
  world.network.Heal(world.hosts[0]);  // the next retry: at 7.2
  world.RunTo(5);
  world.network.Cut(world.hosts[0], true, true);
  world.RunTo(10);
  EXPECT_THAT(world.hub.arrivals, IsEmpty());
  world.network.Heal(world.hosts[0]);
  world.RunTo(20);
  EXPECT_THAT(world.hub.arrivals, SizeIs(1));
}

TEST(NetworkFaults, DialingIntoACutTriesAgainThenFails) {
  World world(HubRate(0, 0));
  world.hosts.push_back(world.network.AddHost(Rate(0)));
  world.network.Cut(1, false, true);
  Peer first(&world.loop);
  world.network.Dial(&first, 1);
  world.RunTo(30);
  EXPECT_THAT(first.lost, ElementsAre("connection timed out"));
  EXPECT_NEAR(first.lost_at, 20, 0.01);
  Peer second(&world.loop);
  world.network.Dial(&second, 1);
  world.RunTo(32);
  world.network.Heal(1);
  world.RunTo(50);
  EXPECT_THAT(second.connected, SizeIs(1));
}

TEST(NetworkFaults, NobodyAnswers) {
  World world(HubRate(0, 0));
  world.network.Listen(nullptr);
  world.Add(Rate(0));
  world.RunTo(1);
  EXPECT_THAT(world.At(0).lost, ElementsAre("connection refused"));
}

TEST(NetworkFaults, AClogSlowsAndEnds) {
  World world(HubRate(0, 0));
  world.Add(Rate(8e6));
  world.RunTo(1);
  world.Push(0);
  world.RunTo(1.5);
  world.network.Clog(world.hosts[0], 0.001);
  world.RunTo(3.5);
  world.network.Clog(world.hosts[0], 1);
  world.RunTo(30);
  ASSERT_THAT(world.hub.arrivals, SizeIs(1));
  EXPECT_NEAR(world.hub.arrivals[0].at - 1, 2 + PushTime(8e6), 0.01);
}

TEST(NetworkFaults, MessagesAreRepeated) {
  NetworkOptions options = HubRate(0, 0);
  options.hub.latency = milliseconds(1);
  options.repeat_message = 1;
  World world(options);
  world.Add(Rate(0));
  world.RunTo(1);
  world.Beat(0, 7);
  world.RunTo(2);
  ASSERT_THAT(world.hub.Terms(), ElementsAre(7, 7));
  const double later = world.hub.arrivals[1].at - world.hub.arrivals[0].at;
  EXPECT_GE(later, 0.001);
  EXPECT_LE(later, 0.003);
}

TEST(NetworkFaults, PayloadsAreOvertaken) {
  NetworkOptions options = HubRate(0, 0);
  options.reorder_message = 0.5;
  World world(options);
  world.Add(Rate(0));
  world.RunTo(1);
  for (uint64_t i = 1; i <= 20; ++i) world.Push(0, i);
  world.RunTo(10);
  EXPECT_THAT(world.hub.arrivals, SizeIs(20));
  EXPECT_FALSE(std::is_sorted(world.hub.arrivals.begin(), world.hub.arrivals.end(),
                              [](const Arrival& a, const Arrival& b) { return a.term < b.term; }));
}

// A device that numbers what it sends, and begins again from 1 on each connection.
struct Counting : Peer {
  using Peer::Peer;
  void OnConnected(ConnectionId opened) override { connection = opened; }
  void OnDisconnected(ConnectionId, const std::string&) override { connection = 0; }
  ConnectionId connection = 0;
  uint64_t sent = 0;
};

// Devices that send, dial and die while links are cut and clogged, for 30 s; then calm.
struct Storm {
  explicit Storm(uint64_t seed) : world(Options(seed), seed) {
    for (int i = 0; i < 6; ++i) {
      LinkOptions link = Rate(seed % 2 == 0 ? 0 : 8e6, seed % 3 == 0 ? 0 : 16e6);
      link.half_duplex = seed % 5 == 0;
      link.down_bps = link.half_duplex ? 0 : link.down_bps;
      link.segment = i < 3 ? "wifi" : "";
      link.latency = milliseconds(5);
      link.loss = seed % 7 == 0 ? 0.01 : 0;
      hosts.push_back(world.network.AddHost(link));
      Replace(i);
    }
  }
  static NetworkOptions Options(uint64_t seed) {
    NetworkOptions options = HubRate(seed % 4 == 0 ? 0 : 50e6, 50e6);
    options.segments = {{"wifi", Rate(20e6, 20e6)}};
    options.silent_break = 0.3;
    return options;
  }
  void Replace(int i) {
    const auto at = static_cast<size_t>(i);
    if (devices.size() <= at) devices.resize(at + 1);
    if (devices[at]) world.network.Vanish(devices[at].get());
    if (devices[at]) dead.push_back(std::move(devices[at]));
    devices[at] = std::make_unique<Counting>(&world.loop);
    world.network.Dial(devices[at].get(), hosts[at]);
  }
  void DoSomething() {
    base::Rng& rng = world.loop.rng();
    const auto i = static_cast<int>(rng.NextBelow(6));
    const HostId host = rng.NextBelow(20) == 0 ? kHub : hosts[static_cast<size_t>(i)];
    Counting& device = *devices[static_cast<size_t>(i)];
    switch (rng.NextBelow(24)) {
      case 0:
        return world.network.Cut(host, rng.NextBelow(2) == 0, rng.NextBelow(2) == 0);
      case 1:
        return world.network.Clog(host, 0.01);
      case 2:
        return world.network.Clog(host, 1);
      case 3:
        return Replace(i);
      case 4:
        return world.network.Break(device.connection, "reset");
      case 5:
      case 6:
      case 7:
      case 8:
        return world.network.Heal(host);
      default:
        break;
    }
    if (device.connection == 0 && rng.NextBelow(10) == 0) return Replace(i);
    cluster::Message message = cluster::Heartbeat{.term = ++device.sent};
    if (rng.NextBelow(2) == 0) message = cluster::Push{.term = device.sent};
    world.network.Send(&device, device.connection, {{}, {}, message});
    world.network.Send(&world.hub, device.connection, {{}, {}, message});
  }
  void Calm() {
    for (size_t i = 0; i < hosts.size(); ++i) {
      world.network.Heal(hosts[i]);
      world.network.Clog(hosts[i], 1);
      Replace(static_cast<int>(i));
    }
    world.network.Heal(kHub);
    world.network.Clog(kHub, 1);
  }

  World world;
  std::vector<HostId> hosts;
  std::vector<std::unique_ptr<Counting>> devices;
  std::vector<std::unique_ptr<Counting>> dead;
};

void ExpectOrder(const std::vector<Arrival>& arrivals) {
  std::map<std::pair<ConnectionId, bool>, uint64_t> last;
  for (const Arrival& arrival : arrivals) {
    uint64_t& before = last[{arrival.connection, arrival.payload}];
    EXPECT_GT(arrival.term, before);
    before = arrival.term;
  }
}

TEST(NetworkFaults, NoStormBreaksOrderOrLastsForEver) {
  for (uint64_t seed = 1; seed <= 100 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Storm storm(seed);
    for (double at = 0; at < 30; at += 0.02) {
      storm.world.RunTo(at);
      storm.DoSomething();
    }
    storm.Calm();
    storm.world.RunTo(150);
    EXPECT_GT(storm.world.hub.arrivals.size(), 20U);
    ExpectOrder(storm.world.hub.arrivals);
    for (const auto& device : storm.devices) {
      ExpectOrder(device->arrivals);
      ASSERT_NE(device->connection, 0U);
      storm.world.network.Send(device.get(), device->connection,
                               {{}, {}, cluster::Push{.term = 1'000'000}});
    }
    storm.world.hub.arrivals.clear();
    storm.world.RunTo(180);
    EXPECT_THAT(storm.world.hub.arrivals, SizeIs(6));
  }
}

}  // namespace
}  // namespace weft::sim
