// What the hub's process passes on between devices.

#include "sim/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/toy.h"

namespace weft::sim {
namespace {

using cluster::Address;
using cluster::Envelope;
using cluster::Role;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Joins, and keeps what it hears.
struct PlayedDevice : Endpoint {
  PlayedDevice(Loop* its_loop, Network* its_network, uint64_t number)
      : loop(its_loop), network(its_network), incarnation(number) {
    connection = network->Dial(this, network->AddHost({}));
  }
  void OnConnected(cluster::ConnectionId) override {
    Say({}, {}, cluster::Hello{.name = "played", .incarnation = incarnation});
  }
  void OnMessage(cluster::ConnectionId, const Envelope& envelope) override {
    if (const auto* welcome = std::get_if<cluster::Welcome>(&envelope.message)) {
      device = welcome->device;
    } else if (envelope.from.device != 0) {
      heard.push_back(envelope);
      at.push_back(base::Seconds(loop->now() - TimePoint{}));
    }
  }
  void OnDisconnected(cluster::ConnectionId, const std::string&) override {}
  void Say(Address from, Address to, cluster::Message message) {
    network->Send(this, connection, {from, to, std::move(message)});
  }

  Loop* loop;
  Network* network;
  uint64_t incarnation;
  cluster::ConnectionId connection = 0;
  cluster::DeviceId device = 0;
  std::vector<Envelope> heard;  // from other devices
  std::vector<double> at;
};

class HubTest : public ::testing::Test {
 protected:
  void Start(const HubOptions& costs) {
    costs_ = costs;
    Hub::Options options;
    options.process = {.loop = &loop_, .network = &network_, .audience = &audience_};
    options.costs = &costs_;
    options.disk = &disk_;
    options.start = ToyStart(spec_);
    hub_ = std::make_unique<Hub>(options, spec_);
    ASSERT_TRUE(hub_->Start());
    for (uint64_t i = 1; i <= 2; ++i) {
      devices_.push_back(std::make_unique<PlayedDevice>(&loop_, &network_, i));
      RunTo(0.1 * static_cast<double>(i));
    }
    ASSERT_EQ(devices_[1]->device, 2u);
  }
  void RunTo(double at) {
    const TimePoint end(static_cast<int64_t>(at * 1e9));
    while (loop_.Step(end)) {
    }
    loop_.At(end, [] {});
    loop_.Step(end);
  }

  cluster::JobSpec spec_ = [] {
    cluster::JobSpec spec = ToyJob(320, 1, 32);
    spec.start_workers = 3;  // so that nothing begins
    return spec;
  }();
  HubOptions costs_;
  FaultOptions faults_;
  Loop loop_{1};
  Audience audience_;
  Network network_{&loop_, {}};
  Disk disk_{faults_, &loop_.rng()};
  std::unique_ptr<Hub> hub_;
  std::vector<std::unique_ptr<PlayedDevice>> devices_;
};

TEST_F(HubTest, PassesOnWhatDevicesSayToEachOther) {
  Start({});
  PlayedDevice& first = *devices_[0];
  first.Say({77, Role::kWorker}, {2, Role::kLeader}, cluster::Pull{});
  first.Say({77, Role::kLeader}, {2, Role::kWorker}, cluster::PushAck{});
  RunTo(1);
  ASSERT_THAT(devices_[1]->heard, SizeIs(2));
  EXPECT_EQ(devices_[1]->heard[0].from, (Address{1, Role::kWorker})) << "whoever it claims to be";
  EXPECT_EQ(devices_[1]->heard[0].to, (Address{2, Role::kLeader}));
  EXPECT_EQ(devices_[1]->heard[1].from, (Address{1, Role::kLeader}));
  EXPECT_THAT(first.heard, IsEmpty());
}

TEST_F(HubTest, DoesNotLetADeviceSpeakAsTheCoordinator) {
  Start({});
  PlayedDevice& first = *devices_[0];
  first.Say({0, Role::kCoordinator}, {2, Role::kLeader}, cluster::BeginStep{});
  first.Say({1, Role::kCoordinator}, {2, Role::kLeader}, cluster::Pull{});
  first.Say({1, Role::kLeader}, {2, Role::kWorker}, cluster::Grant{});
  first.Say({1, Role::kWorker}, {3, Role::kLeader}, cluster::Pull{});  // nobody
  RunTo(1);
  EXPECT_THAT(devices_[1]->heard, IsEmpty());
  EXPECT_EQ(hub_->leader().version(), 0);
}

TEST_F(HubTest, PassingAPayloadOnTakesTime) {
  Start({.message_seconds = 0.001, .push_seconds = 5, .send_seconds = 0.5});
  RunTo(3);
  const cluster::Range half{0, spec_.parameter_count() / 2};
  // It comes and goes: 2 * 0.5 s of the whole vector. What comes next waits.
  devices_[0]->Say({1, Role::kWorker}, {2, Role::kLeader}, cluster::Pull{});
  devices_[0]->Say({1, Role::kWorker}, {2, Role::kLeader}, cluster::Push{.range = half});
  RunTo(3.1);
  devices_[0]->Say({1, Role::kWorker}, {2, Role::kLeader}, cluster::Pull{});
  RunTo(10);
  ASSERT_THAT(devices_[1]->at, SizeIs(3));
  EXPECT_NEAR(devices_[1]->at[0], 3.001, 0.001);
  EXPECT_NEAR(devices_[1]->at[1], 3.502, 0.001);
  EXPECT_NEAR(devices_[1]->at[2], 3.503, 0.001);
}

}  // namespace
}  // namespace weft::sim
