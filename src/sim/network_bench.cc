// Network: messages a second between 10,000 devices and a hub.

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "sim/network.h"

namespace weft::sim {
namespace {

constexpr int kHosts = 10'000;

// Sends one message whenever one comes: `payload` bytes, or a small one.
struct Peer : Endpoint {
  Network* network = nullptr;
  int64_t payload = 0;
  cluster::ConnectionId connection = 0;

  void Answer(cluster::ConnectionId to) {
    cluster::Message message = cluster::Heartbeat{.term = 1};
    if (payload > 0) message = cluster::Push{.term = 1};
    network->Send(this, to, {{}, {}, std::move(message)});
  }
  void OnConnected(cluster::ConnectionId opened) override {
    connection = opened;
    Answer(opened);
  }
  void OnMessage(cluster::ConnectionId from, const cluster::Envelope&) override { Answer(from); }
  void OnDisconnected(cluster::ConnectionId, const std::string&) override {}
};

struct Swarm {
  Swarm(LinkOptions link, LinkOptions hub_link, int64_t payload)
      : network(&loop, {.hub = hub_link, .wire = {.push_bytes = payload}}) {
    hub.network = &network;
    network.Listen(&hub);
    for (int i = 0; i < kHosts; ++i) {
      auto& device = devices.emplace_back(std::make_unique<Peer>());
      device->network = &network;
      device->payload = payload;
      network.Dial(device.get(), network.AddHost(link));
    }
  }
  Loop loop{1};
  Network network;
  Peer hub;
  std::vector<std::unique_ptr<Peer>> devices;
};

void Run(benchmark::State& state, Swarm* swarm) {
  const TimePoint end{int64_t{1} << 60};
  for (int i = 0; i < 100'000; ++i) swarm->loop.Step(end);
  const int64_t before = swarm->network.messages();
  const int64_t events = swarm->loop.events();
  for (auto _ : state) swarm->loop.Step(end);
  const int64_t messages = swarm->network.messages() - before;
  state.counters["messages/s"] =
      benchmark::Counter(static_cast<double>(messages), benchmark::Counter::kIsRate);
  state.counters["events/message"] =
      static_cast<double>(swarm->loop.events() - events) / static_cast<double>(messages);
}

constexpr LinkOptions kDevice{
    .up_bps = 100e6, .down_bps = 100e6, .jitter = std::chrono::microseconds(500)};
constexpr LinkOptions kHubLink{.up_bps = 40e9, .down_bps = 40e9};

void SmallWithoutLimits(benchmark::State& state) {
  Swarm swarm({.jitter = std::chrono::microseconds(500)}, {}, 0);
  Run(state, &swarm);
}
BENCHMARK(SmallWithoutLimits);

void SmallOverLinks(benchmark::State& state) {
  Swarm swarm(kDevice, kHubLink, 0);
  Run(state, &swarm);
}
BENCHMARK(SmallOverLinks);

// Each answered by a small message.
void PayloadsOf1MbOverLinks(benchmark::State& state) {
  Swarm swarm(kDevice, kHubLink, 1'000'000);
  Run(state, &swarm);
}
BENCHMARK(PayloadsOf1MbOverLinks);

// A process that dies, with its one connection among those of all others, and is replaced.
void Vanish(benchmark::State& state) {
  Swarm swarm(kDevice, kHubLink, 0);
  const TimePoint end{int64_t{1} << 60};
  for (int i = 0; i < 100'000; ++i) swarm.loop.Step(end);
  size_t next = 0;
  for (auto _ : state) {
    Peer* device = swarm.devices[next].get();
    swarm.network.Vanish(device);
    swarm.network.Dial(device, static_cast<HostId>(next + 1));
    next = (next + 1) % kHosts;
  }
}
BENCHMARK(Vanish)->Iterations(kHosts);

}  // namespace
}  // namespace weft::sim
