#include "sim/network.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace weft::sim {
namespace {

constexpr int kSlotBits = 20;
constexpr uint64_t kMostLines = uint64_t{1} << kSlotBits;
// The first retry of a SYN, which doubles (RFC 6298, 2.1; Linux).
constexpr Duration kDialRetry = std::chrono::seconds(1);

LinkCounters CountersOf(const Link& link) {
  return {link.gate(true).bytes, link.gate(false).bytes, link.gate(true).busy,
          link.gate(false).busy};
}

}  // namespace

Network::Network(Loop* loop, const NetworkOptions& options)
    : loop_(loop), options_(options), hub_link_(options.hub) {
  for (const SegmentOptions& segment : options_.segments) segments_.emplace_back(segment.link);
}

HostId Network::AddHost(const LinkOptions& link) {
  Host& host = hosts_.emplace_back(Host{.link = Link(link)});
  for (size_t i = 0; i < segments_.size() && !link.segment.empty(); ++i) {
    if (options_.segments[i].name == link.segment) host.segment = &segments_[i];
  }
  CHECK(link.segment.empty() || host.segment != nullptr) << "no segment " << link.segment;
  double arrives = 1;
  size_t hop = 0;
  for (const Link* each : {&host.link, host.segment, &hub_link_}) {
    if (each == nullptr) continue;
    const LinkOptions& options = each->options();
    host.latency += options.latency;
    host.jitter[hop++] = options.jitter;
    host.path.round_trip += 2 * options.latency + options.jitter;
    arrives *= 1 - options.loss;
    host.reordering += options.reordering;
    host.overhead *= (1 + options.duplication) * (1 + options.loss);
  }
  host.path.loss = 1 - arrives;
  return static_cast<HostId>(hosts_.size());
}

LinkCounters Network::Counters(HostId host) const {
  return CountersOf(host == kHub ? hub_link_ : hosts_[AsIndex(host)].link);
}

LinkCounters Network::SegmentCounters(int segment) const {
  return CountersOf(segments_[static_cast<size_t>(segment)]);
}

// ---- connections

Network::Line* Network::Find(ConnectionId connection) {
  const size_t slot = connection % kMostLines;
  if (connection == 0 || slot >= lines_.size() || lines_[slot].id != connection) return nullptr;
  return &lines_[slot];
}

Network::Line* Network::Open(Endpoint* device, HostId host) {
  if (free_lines_.empty()) {
    CHECK(lines_.size() < kMostLines) << "too many connections";
    free_lines_.push_back(static_cast<uint32_t>(lines_.size()));
    lines_.push_back({.ways = {Way(PathOptions{}), Way(PathOptions{})}});
  }
  const uint32_t slot = free_lines_.back();
  free_lines_.pop_back();
  const PathOptions& path = hosts_[AsIndex(host)].path;
  lines_[slot] = {.id = ++last_serial_ << kSlotBits | slot,
                  .host = host,
                  .device = device,
                  .ways = {Way(path), Way(path)}};
  ends_[device].insert(lines_[slot].id);
  return &lines_[slot];
}

cluster::ConnectionId Network::Dial(Endpoint* device, HostId host) {
  CHECK(host != kHub && AsIndex(host) < hosts_.size()) << "no host " << host;
  const ConnectionId connection = Open(device, host)->id;
  TryDial(connection, loop_->now(), kDialRetry);
  return connection;
}

// One SYN, and its answer; `wait` until the next one.
void Network::TryDial(ConnectionId connection, TimePoint began, Duration wait) {
  Line* line = Find(connection);
  if (line == nullptr) return;
  const Host& host = hosts_[AsIndex(line->host)];
  const double lost = 1 - (1 - host.path.loss) * (1 - host.path.loss);
  if (Reaches(*line, false) && Reaches(*line, true) &&
      (lost == 0 || loop_->rng().NextUniform() >= lost)) {
    loop_->After(Latency(host) + Latency(host), [this, connection] { Connect(connection); });
    return;
  }
  const TimePoint next = loop_->now() + wait;
  const TimePoint end = began + options_.transport_timeout;
  if (next >= end) return Tell(connection, false, end - loop_->now(), "connection timed out");
  loop_->At(next, [this, connection, began, wait] { TryDial(connection, began, 2 * wait); });
}

void Network::Connect(ConnectionId connection) {
  Line* line = Find(connection);
  if (line == nullptr || line->device == nullptr) return;
  if (hub_ == nullptr) return Tell(connection, false, {}, "connection refused");
  line->hub = hub_;
  ends_[hub_].insert(connection);
  line->device->OnConnected(connection);
}

// Ends the connection for one end, which is returned.
Endpoint* Network::End(Line& line, bool hub_end) {
  Endpoint* end = std::exchange(hub_end ? line.hub : line.device, nullptr);
  const auto it = ends_.find(end);
  if (it == ends_.end()) return end;
  it->second.erase(line.id);
  if (it->second.empty()) ends_.erase(it);
  return end;
}

// Drops the line once neither end has it open.
void Network::Forget(Line& line) {
  if (line.device != nullptr || line.hub != nullptr) return;
  Drop(line);
  free_lines_.push_back(static_cast<uint32_t>(line.id % kMostLines));
  line.id = 0;
}

// Loses what waits to be sent; what is under way is lost when it arrives.
void Network::Drop(Line& line) {
  line.broken = true;
  for (Way& way : line.ways) {
    for (uint32_t at = std::exchange(way.first, kNone); at != kNone;) {
      Release(std::exchange(at, parcels_[at].next));
    }
    for (Stage& stage : way.stages) {
      if (stage.taken && stage.last && !stage.moved) Release(stage.parcel);
      stage = {};
    }
  }
}

// Ends the connection for one end after `wait`, and says so to it.
void Network::Tell(ConnectionId connection, bool hub_end, Duration wait,
                   const std::string& reason) {
  loop_->After(wait, [this, connection, hub_end, reason] {
    Line* line = Find(connection);
    if (line == nullptr) return;
    Endpoint* told = End(*line, hub_end);
    Forget(*line);
    if (told != nullptr) told->OnDisconnected(connection, reason);
  });
}

void Network::Close(Endpoint* by, ConnectionId connection) {
  Line* line = Find(connection);
  if (line == nullptr || (by != line->hub && by != line->device)) return;
  const bool by_hub = by == line->hub;
  End(*line, by_hub);
  if (!line->broken) {
    line->ways[by_hub].closing = true;
    if (line->ways[by_hub].under_way == 0) SendEnd(*line, by_hub);
  }
  Forget(*line);
}

// ---- faults

// Nothing is cut between the ends, this way.
bool Network::Reaches(const Line& line, bool from_hub) const {
  const Link& link = hosts_[AsIndex(line.host)].link;
  return !link.gate(!from_hub).cut && !hub_link_.gate(from_hub).cut;
}

void Network::BreakLine(Line& line, const std::string& reason) {
  if (line.broken) return;
  Drop(line);
  const Host& host = hosts_[AsIndex(line.host)];
  if (Reaches(line, true)) Tell(line.id, false, Latency(host), reason);
  const bool silent = loop_->rng().NextUniform() < options_.silent_break;
  if (!silent && Reaches(line, false)) Tell(line.id, true, Latency(host), reason);
}

void Network::Break(ConnectionId connection, const std::string& reason) {
  if (Line* line = Find(connection)) BreakLine(*line, reason);
}

void Network::Vanish(Endpoint* endpoint) {
  if (hub_ == endpoint) hub_ = nullptr;
  const auto it = ends_.find(endpoint);
  if (it == ends_.end()) return;
  const std::set<ConnectionId> mine = it->second;
  for (ConnectionId connection : mine) {
    Line& line = *Find(connection);
    BreakLine(line, "connection reset");
    End(line, line.hub == endpoint);
    Forget(line);
  }
}

// Something of this direction waits for a cut link, or was sent into the void.
void Network::AwaitTimeout(Line& line, bool from_hub) {
  std::optional<TimePoint>& stalled = line.ways[from_hub].stalled;
  if (stalled) return;
  stalled = loop_->now();
  loop_->After(options_.transport_timeout, [this, id = line.id, from_hub, since = *stalled] {
    Line* late = Find(id);
    if (late != nullptr && late->ways[from_hub].stalled == since) TimeOut(*late, from_hub);
  });
}

void Network::TimeOut(Line& line, bool from_hub) {
  const bool broke = !line.broken;
  Drop(line);
  Tell(line.id, from_hub, {}, "timed out");
  if (broke && Reaches(line, from_hub)) {
    Tell(line.id, !from_hub, Latency(hosts_[AsIndex(line.host)]), "connection reset");
  }
}

void Network::Cut(HostId host, bool up, bool down) {
  for (bool way : {true, false}) {
    if (!(way ? up : down)) continue;
    Gate& gate = LinkOf(host).gate(way);
    gate.cut = true;
    ++gate.changes;
  }
}

// When TCP tries again what has waited longest: after one retry time, two more, four more, ...
TimePoint Network::NextRetry(const Gate& gate, const PathOptions& path) const {
  Duration wait = RetryTime(path);
  TimePoint next = *gate.waiting + wait;
  while (next < loop_->now()) next = next + (wait *= 2);
  return next;
}

void Network::Heal(HostId host) {
  Link& link = LinkOf(host);
  const PathOptions path = host == kHub ? PathOptions{} : hosts_[AsIndex(host)].path;
  for (bool up : {true, false}) {
    Gate& gate = link.gate(up);
    if (!gate.cut) continue;
    ++gate.changes;
    if (!gate.waiting) {
      gate.cut = false;
      continue;
    }
    loop_->At(NextRetry(gate, path), [this, &link, up, changes = gate.changes] {
      if (link.gate(up).changes == changes) Resume(link, up);
    });
  }
}

void Network::Clog(HostId host, double factor) {
  Link& link = LinkOf(host);
  link.Clog(loop_->now(), factor);
  for (bool up : {true, false}) {
    if (link.server(up).busy()) SetAlarm(link.server(up));
  }
}

}  // namespace weft::sim
