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

Network::Network(Loop* loop, const NetworkOptions& options) : loop_(loop), options_(options) {
  for (const SegmentOptions& segment : options_.segments) segments_.emplace_back(segment.link);
  hosts_.push_back({.link = Link(options_.hub)});
}

HostId Network::AddHost(const LinkOptions& link) {
  Host& host = hosts_.emplace_back(Host{.link = Link(link)});
  for (size_t i = 0; i < segments_.size() && !link.segment.empty(); ++i) {
    if (options_.segments[i].name != link.segment) continue;
    host.segment = &segments_[i];
    host.gateway = options_.segments[i].gateway;
  }
  CHECK(link.segment.empty() || host.segment != nullptr) << "no segment " << link.segment;
  host.to_hub = RouteBetween(host, At(kHub));
  return static_cast<HostId>(hosts_.size()) - 1;
}

Network::Route Network::RouteBetween(Host& from, Host& to) const {
  // Each link, and whether what passes it goes up, there and back.
  struct Pass {
    Link* link;
    bool there;
    bool back;
  };
  const bool same = from.segment == to.segment;
  const bool within = same && from.gateway;
  const std::array<Pass, kMaxHops> passes = {{
      {&from.link, true, false},
      {within ? nullptr : from.segment, true, same},
      {same ? nullptr : to.segment, false, true},
      {&to.link, false, true},
  }};
  Route route;
  double arrives = 1;
  for (const Pass& pass : passes) {
    if (pass.link == nullptr) continue;
    const LinkOptions& options = pass.link->options();
    const auto hop = static_cast<size_t>(route.count++);
    route.hops[false][hop] = {pass.link, pass.there};
    route.hops[true][hop] = {pass.link, pass.back};
    route.latency += options.latency;
    route.jitter[hop] = options.jitter;
    route.path.round_trip += 2 * options.latency + options.jitter;
    arrives *= 1 - options.loss;
    route.reordering += options.reordering;
    route.overhead *= (1 + options.duplication) * (1 + options.loss);
  }
  route.path.loss = 1 - arrives;
  std::reverse(route.hops[true].begin(), route.hops[true].begin() + route.count);
  return route;
}

const Network::Route* Network::RouteTo(HostId from, HostId to) {
  if (to == kHub) return &At(from).to_hub;
  const auto [it, is_new] = peer_routes_.try_emplace({from, to});
  if (is_new) it->second = RouteBetween(At(from), At(to));
  return &it->second;
}

LinkCounters Network::Counters(HostId host) const { return CountersOf(At(host).link); }

LinkCounters Network::SegmentCounters(int segment) const {
  return CountersOf(segments_[static_cast<size_t>(segment)]);
}

// ---- connections

Network::Line* Network::Find(ConnectionId connection) {
  const size_t slot = connection % kMostLines;
  if (connection == 0 || slot >= lines_.size() || lines_[slot].id != connection) return nullptr;
  return &lines_[slot];
}

Network::Line* Network::Open(Endpoint* dialer, HostId from, HostId to) {
  if (free_lines_.empty()) {
    CHECK(lines_.size() < kMostLines) << "too many connections";
    free_lines_.push_back(static_cast<uint32_t>(lines_.size()));
    lines_.push_back({.ways = {Way(PathOptions{}), Way(PathOptions{})}});
  }
  const uint32_t slot = free_lines_.back();
  free_lines_.pop_back();
  const Route* route = RouteTo(from, to);
  lines_[slot] = {.id = ++last_serial_ << kSlotBits | slot,
                  .to = to,
                  .route = route,
                  .dialer = dialer,
                  .ways = {Way(route->path), Way(route->path)}};
  ends_[dialer].insert(lines_[slot].id);
  return &lines_[slot];
}

void Network::Listen(Endpoint* endpoint, HostId host) {
  if (At(host).answers != nullptr) listening_.erase(At(host).answers);
  At(host).answers = endpoint;
  if (endpoint != nullptr) listening_[endpoint] = host;
}

cluster::ConnectionId Network::Dial(Endpoint* dialer, HostId from, HostId to) {
  const auto known = [&](HostId host) { return static_cast<size_t>(host) < hosts_.size(); };
  CHECK(known(from) && known(to) && from != kHub && from != to) << from << " dials " << to;
  const ConnectionId connection = Open(dialer, from, to)->id;
  TryDial(connection, loop_->now(), kDialRetry);
  return connection;
}

// One SYN, and its answer; `wait` until the next one.
void Network::TryDial(ConnectionId connection, TimePoint began, Duration wait) {
  Line* line = Find(connection);
  if (line == nullptr) return;
  const Route& route = *line->route;
  const double lost = 1 - (1 - route.path.loss) * (1 - route.path.loss);
  if (Reaches(*line, false) && Reaches(*line, true) &&
      (lost == 0 || loop_->rng().NextUniform() >= lost)) {
    loop_->After(Latency(route) + Latency(route), [this, connection] { Connect(connection); });
    return;
  }
  const TimePoint next = loop_->now() + wait;
  const TimePoint end = began + options_.transport_timeout;
  if (next >= end) return Tell(connection, false, end - loop_->now(), "connection timed out");
  loop_->At(next, [this, connection, began, wait] { TryDial(connection, began, 2 * wait); });
}

void Network::Connect(ConnectionId connection) {
  Line* line = Find(connection);
  if (line == nullptr || line->dialer == nullptr) return;
  Endpoint* answers = At(line->to).answers;
  if (answers == nullptr) return Tell(connection, false, {}, "connection refused");
  line->callee = answers;
  ends_[answers].insert(connection);
  line->dialer->OnConnected(connection);
}

// Ends the connection for one end, which is returned.
Endpoint* Network::End(Line& line, bool of_callee) {
  Endpoint* end = std::exchange(of_callee ? line.callee : line.dialer, nullptr);
  const auto it = ends_.find(end);
  if (it == ends_.end()) return end;
  it->second.erase(line.id);
  if (it->second.empty()) ends_.erase(it);
  return end;
}

// Drops the line once neither end has it open.
void Network::Forget(Line& line) {
  if (line.dialer != nullptr || line.callee != nullptr) return;
  Drop(line);
  free_lines_.push_back(static_cast<uint32_t>(line.id % kMostLines));
  line.id = 0;
}

// Loses what waits to be sent; what is under way is lost when it arrives.
void Network::Drop(Line& line) {
  line.broken = true;
  for (const bool back : {false, true}) {
    Way& way = line.ways[back];
    EndFlows(line, back);
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
void Network::Tell(ConnectionId connection, bool of_callee, Duration wait,
                   const std::string& reason) {
  loop_->After(wait, [this, connection, of_callee, reason] {
    Line* line = Find(connection);
    if (line == nullptr) return;
    Endpoint* told = End(*line, of_callee);
    Forget(*line);
    if (told != nullptr) told->OnDisconnected(connection, reason);
  });
}

void Network::Close(Endpoint* by, ConnectionId connection) {
  Line* line = Find(connection);
  if (line == nullptr || (by != line->callee && by != line->dialer)) return;
  const bool by_callee = by == line->callee;
  End(*line, by_callee);
  if (!line->broken) {
    line->ways[by_callee].closing = true;
    if (line->ways[by_callee].under_way == 0) SendEnd(*line, by_callee);
  }
  Forget(*line);
}

// ---- faults

// Nothing is cut between the ends, this way.
bool Network::Reaches(const Line& line, bool back) const {
  for (int hop = 0; hop < line.route->count; ++hop) {
    if (HopAt(line, back, hop).gate().cut) return false;
  }
  return true;
}

void Network::BreakLine(Line& line, const std::string& reason) {
  if (line.broken) return;
  Drop(line);
  if (Reaches(line, true)) Tell(line.id, false, Latency(*line.route), reason);
  const bool silent = loop_->rng().NextUniform() < options_.silent_break;
  if (!silent && Reaches(line, false)) Tell(line.id, true, Latency(*line.route), reason);
}

void Network::Break(ConnectionId connection, const std::string& reason) {
  if (Line* line = Find(connection)) BreakLine(*line, reason);
}

void Network::Vanish(Endpoint* endpoint) {
  if (const auto here = listening_.find(endpoint); here != listening_.end()) {
    At(here->second).answers = nullptr;
    listening_.erase(here);
  }
  const auto it = ends_.find(endpoint);
  if (it == ends_.end()) return;
  const std::set<ConnectionId> mine = it->second;
  for (ConnectionId connection : mine) {
    Line& line = *Find(connection);
    BreakLine(line, "connection reset");
    End(line, line.callee == endpoint);
    Forget(line);
  }
}

// Something of this direction waits for a cut link, or was sent into the void.
void Network::AwaitTimeout(Line& line, bool back) {
  std::optional<TimePoint>& stalled = line.ways[back].stalled;
  if (stalled) return;
  stalled = loop_->now();
  loop_->After(options_.transport_timeout, [this, id = line.id, back, since = *stalled] {
    Line* late = Find(id);
    if (late != nullptr && late->ways[back].stalled == since) TimeOut(*late, back);
  });
}

void Network::TimeOut(Line& line, bool back) {
  const bool broke = !line.broken;
  Drop(line);
  Tell(line.id, back, {}, "timed out");
  if (broke && Reaches(line, back)) {
    Tell(line.id, !back, Latency(*line.route), "connection reset");
  }
}

void Network::Cut(HostId host, bool up, bool down) {
  for (bool way : {true, false}) {
    if (!(way ? up : down)) continue;
    Gate& gate = At(host).link.gate(way);
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
  Link& link = At(host).link;
  const PathOptions path = At(host).to_hub.path;  // of the hub itself: no time at all
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
  Link& link = At(host).link;
  link.Clog(loop_->now(), factor);
  for (bool up : {true, false}) {
    if (link.server(up).busy()) SetAlarm(link.server(up));
  }
}

}  // namespace weft::sim
