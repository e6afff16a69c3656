#pragma once
// Network: devices dial one hub. A connection is reliable until it breaks; then all that was under
// way is lost. As on the real wire, messages with a payload may be overtaken by those without;
// order is kept within each of the two.

#include <cstdint>
#include <map>
#include <string>

#include "cluster/action.h"
#include "cluster/message.h"
#include "sim/loop.h"
#include "sim/options.h"

namespace weft::sim {

struct NetworkOptions {
  Duration least_latency = std::chrono::microseconds(100);
  Duration most_latency = std::chrono::milliseconds(5);
  // How probable it is that the hub is never told that a connection broke, as when power fails.
  double silent_break = 0.3;
};

using HostId = int;

// One end: a process.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual void OnConnected(cluster::ConnectionId connection) = 0;
  virtual void OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) = 0;
  // Not called for a connection that this end closed.
  virtual void OnDisconnected(cluster::ConnectionId connection, const std::string& reason) = 0;
};

class Network {
 public:
  Network(Loop* loop, const NetworkOptions& options) : loop_(loop), options_(options) {}

  // Who answers; null: nobody does.
  void set_hub(Endpoint* hub) { hub_ = hub; }

  // OnConnected or OnDisconnected follows.
  cluster::ConnectionId Dial(Endpoint* device, HostId host);
  HostId AddHost(const LinkOptions&) { return 1; }
  void Cut(HostId, bool, bool) {}
  void Heal(HostId) {}
  void Clog(HostId, double) {}

  // Messages over a connection that is not open are lost.
  void Send(Endpoint* from, cluster::ConnectionId connection, const cluster::Envelope& envelope);
  // What `by` has sent still arrives.
  void Close(Endpoint* by, cluster::ConnectionId connection);
  // Both ends are told after a while; the hub perhaps not.
  void Break(cluster::ConnectionId connection, const std::string& reason);
  // The process is gone: its connections break and it hears nothing more.
  void Vanish(Endpoint* endpoint);

  Duration Latency() {
    return RandomDuration(loop_->rng(), options_.least_latency, options_.most_latency);
  }

 private:
  struct Line {
    Endpoint* device = nullptr;  // null: this end is gone or has closed
    Endpoint* hub = nullptr;
    bool broken = false;    // nothing arrives any more
    TimePoint lanes[2][2];  // [from hub][with payload]: the last arrival
  };
  void BreakLine(cluster::ConnectionId connection, Line& line, const std::string& reason);
  void Forget(cluster::ConnectionId connection);
  void Tell(cluster::ConnectionId connection, Endpoint* Line::*end, TimePoint when,
            const std::string& reason);

  Loop* loop_;
  const NetworkOptions options_;
  Endpoint* hub_ = nullptr;
  cluster::ConnectionId last_ = 0;
  std::map<cluster::ConnectionId, Line> lines_;  // that are open for someone
};

}  // namespace weft::sim
