// The store in the simulated process of the coordinator: what a device asks for comes, over a link
// and in as long as its bytes take.

#include <gtest/gtest.h>

#include "sim/cluster.h"
#include "sim/toy.h"
#include "sim/wire_size.h"

namespace weft::sim {
namespace {

constexpr int64_t kSampleBytes = 1000;
constexpr double kRate = 8e6;  // bits a second

// A device that says hello and then asks.
struct Asker : Endpoint {
  Asker(Loop* its_loop, Network* its_network) : loop(its_loop), network(its_network) {}
  void OnConnected(cluster::ConnectionId opened) override {
    connection = opened;
    Send({0, cluster::Role::kCoordinator}, cluster::Hello{.name = "asker", .incarnation = 1});
  }
  void OnMessage(cluster::ConnectionId, const cluster::Envelope& envelope) override {
    if (const auto* hello = std::get_if<cluster::Welcome>(&envelope.message)) welcome = *hello;
    if (const auto* got = std::get_if<cluster::Samples>(&envelope.message)) {
      samples.push_back(*got);
      from = envelope.from;
      at = base::Seconds(loop->now() - TimePoint{});
    }
  }
  void OnDisconnected(cluster::ConnectionId, const std::string&) override {}
  void Send(cluster::Address to, cluster::Message message) {
    network->Send(this, connection, {{0, cluster::Role::kWorker}, to, std::move(message)});
  }
  void Ask(uint64_t term, int64_t count) {
    Send({0, cluster::Role::kStore},
         cluster::AskSamples{.term = term,
                             .request = 1,
                             .indices = std::vector<int64_t>(static_cast<size_t>(count), 3)});
  }

  Loop* loop;
  Network* network;
  cluster::ConnectionId connection = 0;
  cluster::Welcome welcome;
  std::vector<cluster::Samples> samples;
  cluster::Address from;
  double at = 0;
};

struct Feeding {
  Feeding() {
    ClusterOptions options;
    options.job = ToyJob(5000, 1, 100);
    options.job.fed_sample_bytes = kSampleBytes;
    cluster = std::make_unique<Cluster>(options);
    asker = std::make_unique<Asker>(&cluster->loop(), &cluster->network());
    cluster->Run(std::chrono::milliseconds(100));
    const HostId host =
        cluster->network().AddHost({.up_bps = kRate, .down_bps = kRate, .latency = {}});
    cluster->network().Dial(asker.get(), host);
    cluster->Run(std::chrono::seconds(1));
  }
  std::unique_ptr<Cluster> cluster;
  std::unique_ptr<Asker> asker;
};

TEST(HubStore, FeedsWhoAsks) {
  Feeding run;
  ASSERT_NE(run.asker->welcome.device, 0u);
  const double asked = base::Seconds(run.cluster->loop().now() - TimePoint{});
  run.asker->Ask(run.asker->welcome.term, 400);
  run.cluster->Run(std::chrono::seconds(1));
  ASSERT_EQ(run.asker->samples.size(), 1u);
  EXPECT_EQ(run.asker->samples[0].count, 400);
  EXPECT_EQ(run.asker->from, (cluster::Address{0, cluster::Role::kStore}));
  const WireOptions wire{.sample_bytes = kSampleBytes};
  const double floor =
      8 * static_cast<double>(LinkBytes(StreamBytes(run.asker->samples[0], wire))) / kRate;
  EXPECT_GT(floor, 0.4);
  EXPECT_GT(run.asker->at - asked, floor);
  EXPECT_LT(run.asker->at - asked, 1.1 * floor);
}

TEST(HubStore, IsSilentUnderAnotherTerm) {
  Feeding run;
  run.asker->Ask(run.asker->welcome.term + 1, 4);
  run.cluster->Run(std::chrono::seconds(1));
  EXPECT_TRUE(run.asker->samples.empty());
}

TEST(HubStore, KnowsWhatThereIs) {
  Feeding run;
  run.asker->Ask(run.asker->welcome.term, 4195);  // over 4 MiB
  run.cluster->Run(std::chrono::seconds(1));
  ASSERT_EQ(run.asker->samples.size(), 1u);
  EXPECT_NE(run.asker->samples[0].problem, "");
}

// Two devices on links that carry the whole set in 3 s.
ClusterOptions FedJob(int64_t sample_bytes) {
  ClusterOptions options;
  options.job = ToyJob(3000, 3, 300);
  options.job.deterministic = true;
  options.job.slots = 2;
  options.job.fed_sample_bytes = sample_bytes;
  options.devices = EqualDevices(2, 1e-6);
  for (DeviceOptions& device : options.devices) {
    device.link.up_bps = device.link.down_bps = kRate;
  }
  return options;
}

TEST(HubStore, FedDevicesLearnTheSameAndLater) {
  Cluster holding(FedJob(0)), fed(FedJob(kSampleBytes));
  ASSERT_TRUE(holding.Run());
  ASSERT_TRUE(fed.Run());
  EXPECT_EQ(fed.done()->how, cluster::RunDone::How::kCompleted);
  EXPECT_EQ(fed.done()->lost_samples, 0);
  EXPECT_EQ(fed.done()->duplicated_samples, 0);
  EXPECT_EQ(fed.parameters(), holding.parameters());
  // A device needs half of the set in the first epoch, and not all of it in three.
  EXPECT_GT(fed.result().virtual_s, holding.result().virtual_s + 1.5);
  EXPECT_LT(fed.result().virtual_s, holding.result().virtual_s + 4);
}

TEST(HubStore, ADeviceWithLittleStorageIsFedAgain) {
  ClusterOptions options = FedJob(kSampleBytes);
  Cluster all(options);
  for (DeviceOptions& device : options.devices) device.storage_bytes = 300 * kSampleBytes;
  Cluster little(options);
  ASSERT_TRUE(all.Run());
  ASSERT_TRUE(little.Run());
  EXPECT_EQ(little.parameters(), all.parameters());
  EXPECT_GT(little.result().hub.up_bytes, 1.2 * static_cast<double>(all.result().hub.up_bytes));
}

}  // namespace
}  // namespace weft::sim
