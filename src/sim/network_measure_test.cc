// What the owner of a link is told of its rate.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "sim/testing_network.h"

namespace weft::sim {
namespace {

using namespace weft::sim::testing;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Measured {
  bool up = false;
  int64_t bytes = 0;
  double seconds = 0;
  double rate() const { return static_cast<double>(bytes) / seconds; }
};

struct Meterer : Peer {
  using Peer::Peer;
  void OnTransfer(bool up, int64_t bytes, double seconds) override {
    measured.push_back({up, bytes, seconds});
  }
  std::vector<Measured> measured;
};

// Devices 0, 1, ... of a World, which listen to each other and measure.
struct MeteredWorld : World {
  using World::World;
  Meterer& AddMetered(const LinkOptions& link) {
    hosts.push_back(network.AddHost(link));
    metered.push_back(std::make_unique<Meterer>(&loop));
    network.Listen(metered.back().get(), hosts.back());
    ids.push_back(network.Dial(metered.back().get(), hosts.back()));
    return *metered.back();
  }
  ConnectionId Join(size_t from, size_t to) {
    return network.Dial(metered[from].get(), hosts[from], hosts[to]);
  }
  void PushOver(ConnectionId line, size_t from) {
    network.Send(metered[from].get(), line, {{}, {}, cluster::Push{}});
  }
  std::vector<std::unique_ptr<Meterer>> metered;
};

constexpr double kRate = 8e6;
// A stream's bytes a second on a link of that rate: headers take the rest.
double StreamRate() {
  const int64_t stream = StreamBytes(cluster::Push{}, {.push_bytes = kMega});
  return static_cast<double>(stream) / PushTime(kRate);
}

TEST(NetworkMeasure, ALoneTransferTellsTheRateOfTheSlowestLink) {
  MeteredWorld world;
  Meterer& sender = world.AddMetered(Rate(kRate, kRate));
  Meterer& receiver = world.AddMetered(Rate(10 * kRate, 10 * kRate));
  world.RunTo(1);
  const ConnectionId line = world.Join(0, 1);
  world.RunTo(2);
  world.PushOver(line, 0);
  world.RunTo(10);
  ASSERT_THAT(sender.measured, ::testing::Not(IsEmpty()));
  ASSERT_THAT(receiver.measured, ::testing::Not(IsEmpty()));
  EXPECT_TRUE(sender.measured[0].up);
  EXPECT_FALSE(receiver.measured[0].up);
  EXPECT_NEAR(sender.measured[0].rate(), StreamRate(), 0.01 * StreamRate());
  EXPECT_NEAR(receiver.measured[0].rate(), StreamRate(), 0.1 * StreamRate());
}

TEST(NetworkMeasure, TransfersOnTheWayTogetherCountTogether) {
  MeteredWorld world;
  Meterer& sender = world.AddMetered(Rate(kRate, kRate));
  for (int i = 0; i < 3; ++i) world.AddMetered(Rate(10 * kRate, 10 * kRate));
  world.RunTo(1);
  std::vector<ConnectionId> lines;
  for (size_t to : {1, 2, 3}) lines.push_back(world.Join(0, to));
  world.RunTo(2);
  for (const ConnectionId line : lines) world.PushOver(line, 0);
  world.RunTo(20);
  int64_t bytes = 0;
  for (const Measured& each : sender.measured) {
    EXPECT_TRUE(each.up);
    EXPECT_NEAR(each.rate(), StreamRate(), 0.2 * StreamRate());
    EXPECT_LT(each.seconds, 1.5) << "told about every second";
    bytes += each.bytes;
  }
  EXPECT_EQ(bytes, 3 * StreamBytes(cluster::Push{}, {.push_bytes = kMega}));
  EXPECT_GT(sender.measured.size(), 1U);
}

TEST(NetworkMeasure, ABrokenTransferIsForgotten) {
  MeteredWorld world;
  Meterer& sender = world.AddMetered(Rate(kRate, kRate));
  world.AddMetered(Rate(kRate, kRate));
  world.RunTo(1);
  const ConnectionId first = world.Join(0, 1), second = world.Join(0, 1);
  world.RunTo(2);
  world.PushOver(first, 0);
  world.RunTo(2.3);
  world.network.Break(first, "test");
  world.RunTo(30);
  EXPECT_THAT(sender.measured, IsEmpty());
  world.PushOver(second, 0);
  world.RunTo(40);
  ASSERT_THAT(sender.measured, SizeIs(::testing::Ge(1U)));
  EXPECT_NEAR(sender.measured[0].rate(), StreamRate(), 0.05 * StreamRate())
      << "not since the first began";
}

TEST(NetworkMeasure, NothingIsLearntWhereNothingTakesTime) {
  MeteredWorld world;
  Meterer& sender = world.AddMetered({});
  world.AddMetered({});
  world.RunTo(1);
  const ConnectionId line = world.Join(0, 1);
  world.RunTo(2);
  world.PushOver(line, 0);
  world.RunTo(3);
  EXPECT_THAT(sender.measured, IsEmpty());
}

}  // namespace
}  // namespace weft::sim
