#include "sim/network.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

namespace weft::sim {
namespace {

bool HasPayload(const cluster::Message& message) {
  return std::holds_alternative<cluster::Push>(message) ||
         std::holds_alternative<cluster::Parameters>(message);
}

}  // namespace

cluster::ConnectionId Network::Dial(Endpoint* device, HostId) {
  const cluster::ConnectionId connection = ++last_;
  lines_[connection].device = device;
  loop_->After(Latency(), [this, connection] {
    const auto it = lines_.find(connection);
    if (it == lines_.end() || it->second.device == nullptr) return;
    it->second.hub = hub_;
    if (hub_ == nullptr) return Tell(connection, &Line::device, loop_->now(), "connection refused");
    it->second.device->OnConnected(connection);
  });
  return connection;
}

void Network::Send(Endpoint* from, cluster::ConnectionId connection,
                   const cluster::Envelope& envelope) {
  const auto it = lines_.find(connection);
  if (it == lines_.end()) return;
  Line& line = it->second;
  const bool from_hub = from == line.hub;
  if (from != (from_hub ? line.hub : line.device)) return;
  TimePoint& lane = line.lanes[from_hub][HasPayload(envelope.message)];
  lane = std::max(lane + Duration(1), loop_->now() + Latency());
  loop_->At(lane, [this, connection, from_hub, envelope] {
    const auto at = lines_.find(connection);
    if (at == lines_.end() || at->second.broken) return;
    Endpoint* to = from_hub ? at->second.device : at->second.hub;
    if (to != nullptr) to->OnMessage(connection, envelope);
  });
}

// Ends the connection for one end at `when`, and says so to it.
void Network::Tell(cluster::ConnectionId connection, Endpoint* Line::*end, TimePoint when,
                   const std::string& reason) {
  loop_->At(when, [this, connection, end, reason] {
    const auto it = lines_.find(connection);
    if (it == lines_.end()) return;
    Endpoint* told = std::exchange(it->second.*end, nullptr);
    Forget(connection);
    if (told != nullptr) told->OnDisconnected(connection, reason);
  });
}

// Drops the line once neither end has it open.
void Network::Forget(cluster::ConnectionId connection) {
  const auto it = lines_.find(connection);
  if (it->second.device == nullptr && it->second.hub == nullptr) lines_.erase(it);
}

void Network::Close(Endpoint* by, cluster::ConnectionId connection) {
  const auto it = lines_.find(connection);
  if (it == lines_.end()) return;
  Line& line = it->second;
  const bool by_hub = by == line.hub;
  (by_hub ? line.hub : line.device) = nullptr;
  const TimePoint sent = std::max({line.lanes[by_hub][0], line.lanes[by_hub][1], loop_->now()});
  const bool broken = line.broken;
  Forget(connection);
  if (broken) return;
  Tell(connection, by_hub ? &Line::device : &Line::hub, sent + Duration(1), "closed by the peer");
}

void Network::BreakLine(cluster::ConnectionId connection, Line& line, const std::string& reason) {
  if (std::exchange(line.broken, true)) return;
  Tell(connection, &Line::device, loop_->now() + Latency(), reason);
  const bool silent = loop_->rng().NextUniform() < options_.silent_break;
  if (!silent) Tell(connection, &Line::hub, loop_->now() + Latency(), reason);
}

void Network::Break(cluster::ConnectionId connection, const std::string& reason) {
  const auto it = lines_.find(connection);
  if (it != lines_.end()) BreakLine(connection, it->second, reason);
}

void Network::Vanish(Endpoint* endpoint) {
  if (hub_ == endpoint) hub_ = nullptr;
  std::vector<cluster::ConnectionId> mine;
  for (auto& [connection, line] : lines_) {
    if (line.device != endpoint && line.hub != endpoint) continue;
    BreakLine(connection, line, "connection reset");
    if (line.device == endpoint) line.device = nullptr;
    if (line.hub == endpoint) line.hub = nullptr;
    mine.push_back(connection);
  }
  for (cluster::ConnectionId connection : mine) Forget(connection);
}

}  // namespace weft::sim
