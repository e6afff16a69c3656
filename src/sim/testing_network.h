#pragma once
// A network with a hub and devices that keep what they hear, for the tests of this room.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/network.h"
#include "sim/wire_size.h"

namespace weft::sim::testing {

using base::Seconds;
using cluster::ConnectionId;

inline constexpr int64_t kMega = 1'000'000;

struct Arrival {
  double at = 0;  // seconds
  bool payload = false;
  uint64_t term = 0;
  ConnectionId connection = 0;
};

// Keeps what it hears.
struct Peer : Endpoint {
  explicit Peer(Loop* its_loop) : loop(its_loop) {}
  void OnConnected(ConnectionId opened) override { connected.push_back(opened); }
  void OnMessage(ConnectionId from, const cluster::Envelope& envelope) override {
    Arrival arrival{Seconds(loop->now() - TimePoint{}), HasPayload(envelope.message), 0, from};
    if (const auto* push = std::get_if<cluster::Push>(&envelope.message)) arrival.term = push->term;
    if (const auto* set = std::get_if<cluster::Parameters>(&envelope.message)) {
      arrival.term = set->term;
    }
    if (const auto* small = std::get_if<cluster::Heartbeat>(&envelope.message)) {
      arrival.term = small->term;
    }
    arrivals.push_back(arrival);
  }
  void OnDisconnected(ConnectionId, const std::string& reason) override {
    lost.push_back(reason);
    lost_at = Seconds(loop->now() - TimePoint{});
  }
  std::vector<uint64_t> Terms() const {
    std::vector<uint64_t> terms;
    for (const Arrival& arrival : arrivals) terms.push_back(arrival.term);
    return terms;
  }

  Loop* loop;
  std::vector<ConnectionId> connected;
  std::vector<Arrival> arrivals;
  std::vector<std::string> lost;
  double lost_at = 0;
};

// A hub and devices, all connected at second 1.
struct World {
  explicit World(NetworkOptions options = {}, uint64_t seed = 1)
      : loop(seed), network(&loop, (options.wire.push_bytes = kMega, options)), hub(&loop) {
    network.Listen(&hub);
  }
  int Add(const LinkOptions& link) {
    hosts.push_back(network.AddHost(link));
    devices.push_back(std::make_unique<Peer>(&loop));
    ids.push_back(network.Dial(devices.back().get(), hosts.back()));
    return static_cast<int>(ids.size()) - 1;
  }
  void RunTo(double end) {
    while (loop.Step(Second(end))) {
    }
    loop.At(Second(end), [] {});
    loop.Step(Second(end));
  }
  static TimePoint Second(double at) { return {static_cast<int64_t>(at * 1e9)}; }
  void Push(int device, uint64_t term = 0) { Send(device, cluster::Push{.term = term}); }
  void Beat(int device, uint64_t term = 0) { Send(device, cluster::Heartbeat{.term = term}); }
  void Send(int device, cluster::Message message) {
    network.Send(&At(device), Id(device), {{}, {}, std::move(message)});
  }
  void Answer(int device, cluster::Message message) {
    network.Send(&hub, Id(device), {{}, {}, std::move(message)});
  }
  Peer& At(int device) { return *devices[static_cast<size_t>(device)]; }
  ConnectionId Id(int device) { return ids[static_cast<size_t>(device)]; }

  Loop loop;
  Network network;
  Peer hub;
  std::vector<std::unique_ptr<Peer>> devices;
  std::vector<HostId> hosts;
  std::vector<ConnectionId> ids;
};

inline LinkOptions Rate(double up, double down = 0) {
  return {.up_bps = up, .down_bps = down, .latency = {}};
}
inline NetworkOptions HubRate(double up, double down) { return {.hub = Rate(up, down)}; }

// What a push of one megabyte takes at so many bits a second.
inline double PushTime(double bps) {
  const int64_t stream = StreamBytes(cluster::Push{}, {.push_bytes = kMega});
  return 8 * static_cast<double>(LinkBytes(stream)) / bps;
}

}  // namespace weft::sim::testing
