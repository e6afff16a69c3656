// The way of a message through the links of a Network.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "cluster/send_order.h"
#include "sim/network.h"
#include "sim/trace.h"
#include "sim/wire_size.h"

namespace weft::sim {
namespace {

// A lone lost packet is found by the clock; in more than these, by the packets behind it.
constexpr int64_t kFewPackets = 3;
// By which a payload message that is to be overtaken is held back, on average.
constexpr Duration kMeanHold = std::chrono::milliseconds(100);
// After which the owner of a link is told what has passed it, though more passes.
constexpr Duration kLongFlow = std::chrono::seconds(1);

// How probable it is that something befalls one of so many packets.
double OfAny(double probability, int64_t packets) {
  return 1 - std::pow(1 - probability, static_cast<double>(packets));
}

}  // namespace

// A stage that a ticket names; no line if its connection has broken meanwhile.
struct Network::Piece {
  Line* line = nullptr;
  bool back = false;
  int hop = 0;
  Stage& stage() const { return line->ways[back].stages[static_cast<size_t>(hop)]; }
};

Ticket Network::TicketOf(const Line& line, bool back, int hop) const {
  return line.id << 3 | uint64_t{back} << 2 | static_cast<uint64_t>(hop);
}

Network::Piece Network::PieceOf(Ticket ticket) {
  Piece piece{Find(ticket >> 3), (ticket & 4) != 0, static_cast<int>(ticket & 3)};
  if (piece.line != nullptr && (piece.line->broken || !piece.stage().taken)) piece.line = nullptr;
  return piece;
}

// Nothing on the whole way takes time.
bool Network::AllOpen(const Line& line, bool back) {
  for (int hop = 0; hop < line.route->count; ++hop) {
    const Hop at = HopAt(line, back, hop);
    if (!at.link->open(at.up)) return false;
  }
  return true;
}

// What these bytes take at the next server after `hop` that has a limit; 0 if there is none.
Duration Network::TimeAtNext(const Line& line, bool back, int hop, int64_t bytes) {
  for (int next = hop + 1; next < line.route->count; ++next) {
    const Server& server = HopAt(line, back, next).server();
    if (server.limited()) return server.TimeFor(bytes);
  }
  return {};
}

int64_t Network::OnLink(const Line& line, int64_t bytes) const {
  const double overhead = line.route->overhead;
  return static_cast<int64_t>(static_cast<double>(LinkBytes(bytes)) * overhead);
}

// ---- messages

uint32_t Network::NewParcel(ConnectionId connection, bool back) {
  if (free_parcels_.empty()) {
    free_parcels_.push_back(static_cast<uint32_t>(parcels_.size()));
    parcels_.emplace_back();
  }
  const uint32_t number = free_parcels_.back();
  free_parcels_.pop_back();
  Parcel& parcel = parcels_[number];
  parcel.connection = connection;
  parcel.back = back;
  parcel.payload = parcel.end = parcel.copy = false;
  parcel.hop = 0;
  parcel.next = kNone;
  return number;
}

void Network::Release(uint32_t parcel) {
  parcels_[parcel].envelope.message = cluster::Heartbeat{};  // lets go of the payload
  free_parcels_.push_back(parcel);
}

void Network::Send(Endpoint* from, ConnectionId connection, cluster::Envelope envelope) {
  Line* line = Find(connection);
  if (line == nullptr || (from != line->callee && from != line->dialer)) return;
  const bool back = from == line->callee;
  if (line->broken) return AwaitTimeout(*line, back);
  const uint32_t number = NewParcel(connection, back);
  Parcel& parcel = parcels_[number];
  parcel.payload = HasPayload(envelope.message);
  parcel.stream_bytes = parcel.left = StreamBytes(envelope.message, options_.wire);
  parcel.weight = 1;
  if (parcel.payload && options_.unfairness > 0) {
    parcel.weight = loop_->rng().NextUniform(1 - options_.unfairness, 1 + options_.unfairness);
  }
  parcel.envelope = std::move(envelope);
  Way& way = line->ways[back];
  ++way.under_way;
  if (!parcel.payload) return Travel(number, false);
  Queue(way, number);
  Pump(*line, back);
}

// Behind the last of those that it does not overtake.
void Network::Queue(Way& way, uint32_t number) {
  const cluster::SendOrder order = cluster::SendOrderOf(parcels_[number].envelope.message);
  const auto stays_behind = [&](uint32_t other) {
    return !cluster::Overtakes(order, cluster::SendOrderOf(parcels_[other].envelope.message));
  };
  uint32_t before = kNone;
  if (way.first != kNone && stays_behind(way.last)) {
    before = way.last;
  } else {
    for (uint32_t at = way.first; at != kNone; at = parcels_[at].next) {
      if (stays_behind(at)) before = at;
    }
  }
  uint32_t& place = before == kNone ? way.first : parcels_[before].next;
  parcels_[number].next = std::exchange(place, number);
  if (parcels_[number].next == kNone) way.last = number;
}

// Tells the other end, after all that was sent, that this one has closed.
void Network::SendEnd(Line& line, bool back) {
  const uint32_t number = NewParcel(line.id, back);
  parcels_[number].end = true;
  parcels_[number].stream_bytes = 0;
  Travel(number, false);
}

// A small message goes on from link to link; `turn`: it has waited already where it is.
void Network::Travel(uint32_t number, bool turn) {
  Parcel& parcel = parcels_[number];
  Line* line = Find(parcel.connection);
  if (line == nullptr || line->broken) return Release(number);
  Way& way = line->ways[parcel.back];
  const int64_t bytes = OnLink(*line, parcel.stream_bytes);
  const int64_t acks = AckBytes(parcel.stream_bytes);
  TimePoint left = loop_->now();
  for (; parcel.hop < line->route->count; ++parcel.hop, turn = false) {
    const Hop hop = HopAt(*line, parcel.back, parcel.hop);
    const TimePoint begin = BeginSmall(hop.server(), way.begins[parcel.hop], left, bytes);
    if (!turn && begin > loop_->now()) {
      way.begins[parcel.hop] = begin;
      return loop_->At(begin, [this, number] { Travel(number, true); });
    }
    if (hop.gate().cut) {
      hop.gate().messages.push_back(number);
      return Wait(*line, parcel.back, hop.gate());
    }
    hop.link->Count(hop.up, bytes);
    hop.link->Count(!hop.up, acks);
    left = std::max(left, hop.server().Pass(loop_->now(), bytes, options_.most_ahead));
    hop.link->server(!hop.up).Owe(acks);
  }
  Arrive(*line, number, left);
}

// When a small message may begin at a server: so that it ends there no earlier than it has `left`
// the one before, and behind `last`, the last one of its connection that waited for this.
TimePoint Network::BeginSmall(const Server& server, TimePoint last, TimePoint left,
                              int64_t bytes) const {
  const TimePoint begin = server.limited() ? left - server.TimeFor(bytes) : loop_->now();
  return last < loop_->now() ? begin : std::max(begin, last + Duration(1));
}

// ---- pieces

// Lets the pieces of payloads go, one after another, at TCP's pace.
void Network::Pump(Line& line, bool back) {
  Way& way = line.ways[back];
  if (std::exchange(way.pumping, true)) return;
  while (!way.stages[0].taken && way.first != kNone) {
    CutPiece(line, back);
    if (way.pace.next() <= loop_->now()) {
      Start(line, back);
    } else {
      loop_->At(way.pace.next(), [this, ticket = TicketOf(line, back, 0)] {
        const Piece piece = PieceOf(ticket);
        if (piece.line != nullptr) Start(*piece.line, piece.back);
      });
    }
  }
  way.pumping = false;
}

void Network::CutPiece(Line& line, bool back) {
  Way& way = line.ways[back];
  const uint32_t number = way.first;
  Parcel& parcel = parcels_[number];
  int64_t bytes = parcel.left;
  if (!AllOpen(line, back)) {
    const int64_t chunk =
        std::max(options_.least_chunk,
                 (parcel.stream_bytes + options_.most_chunks - 1) / options_.most_chunks);
    bytes = std::min(bytes, static_cast<int64_t>(static_cast<double>(chunk) * parcel.weight));
  }
  parcel.left -= bytes;
  if (parcel.left == 0) way.first = parcel.next;
  way.stages[0] = {
      .taken = true, .last = parcel.left == 0, .parcel = number, .stream_bytes = bytes};
}

void Network::Start(Line& line, bool back) {
  Way& way = line.ways[back];
  way.pace.Sent(loop_->now(), way.stages[0].stream_bytes);
  Enter(line, back, 0);
}

// A piece comes to the link at `hop`.
void Network::Enter(Line& line, bool back, int hop) {
  const Hop at = HopAt(line, back, hop);
  Stage& stage = line.ways[back].stages[static_cast<size_t>(hop)];
  const Ticket ticket = TicketOf(line, back, hop);
  if (at.gate().cut) {
    at.gate().pieces.push_back(ticket);
    Wait(line, back, at.gate());
  } else if (at.server().limited()) {
    at.server().Join(ticket);
    Serve(at.server());
  } else {
    at.link->Count(at.up, OnLink(line, stage.stream_bytes));
    at.link->Count(!at.up, AckBytes(stage.stream_bytes));
    BeginFlow(line, back, hop);
    stage.served = true;
    Advance(line, back, hop);
  }
}

// Something of this direction has come to a gate that is shut.
void Network::Wait(Line& line, bool back, Gate& gate) {
  if (!gate.waiting) gate.waiting = loop_->now();
  AwaitTimeout(line, back);
}

// A gate is open again: what waits there goes on.
void Network::Resume(Link& link, bool up) {
  Gate& gate = link.gate(up);
  gate.cut = false;
  gate.waiting.reset();
  for (uint32_t number : std::exchange(gate.messages, {})) {
    if (Line* line = Find(parcels_[number].connection)) {
      line->ways[parcels_[number].back].stalled.reset();
    }
    Travel(number, true);
  }
  for (Ticket ticket : std::exchange(gate.pieces, {})) {
    const Piece piece = PieceOf(ticket);
    if (piece.line == nullptr) continue;
    piece.line->ways[piece.back].stalled.reset();
    Enter(*piece.line, piece.back, piece.hop);
  }
}

// Begins with the next piece, if the server is free.
void Network::Serve(Server& server) {
  while (const std::optional<Ticket> ticket = server.Next()) {
    const Piece piece = PieceOf(*ticket);
    if (piece.line == nullptr) continue;
    Gate& gate = HopAt(*piece.line, piece.back, piece.hop).gate();
    if (!gate.cut) return BeginService(piece, *ticket);
    gate.pieces.push_back(*ticket);
    Wait(*piece.line, piece.back, gate);
  }
}

void Network::BeginService(const Piece& piece, Ticket ticket) {
  const Hop hop = HopAt(*piece.line, piece.back, piece.hop);
  Stage& stage = piece.stage();
  const int64_t bytes = OnLink(*piece.line, stage.stream_bytes);
  const int64_t acks = AckBytes(stage.stream_bytes);
  hop.link->Count(hop.up, bytes);
  hop.link->Count(!hop.up, acks);
  BeginFlow(*piece.line, piece.back, piece.hop);
  Server& server = hop.server();
  const Duration takes =
      server.Begin(loop_->now(), ticket, bytes + (hop.link->half_duplex() ? acks : 0));
  SetAlarm(server);
  if (piece.hop + 1 == piece.line->route->count || stage.moved) return;
  const Duration next = TimeAtNext(*piece.line, piece.back, piece.hop, bytes);
  if (next.count() == 0) return;  // it goes on when it has passed
  if (next >= takes) return Advance(*piece.line, piece.back, piece.hop);
  stage.alarm = loop_->now() + (takes - next);
  loop_->At(stage.alarm, [this, ticket] { BecomeReady(ticket); });
}

// A piece may begin at the next link, before it has passed this one.
void Network::BecomeReady(Ticket ticket) {
  const Piece piece = PieceOf(ticket);
  if (piece.line == nullptr || piece.stage().alarm != loop_->now()) return;
  if (!piece.stage().moved) Advance(*piece.line, piece.back, piece.hop);
}

void Network::SetAlarm(Server& server) {
  server.alarm = server.end();
  loop_->At(server.alarm, [this, &server] { OnAlarm(server); });
}

// The piece in service has passed, unless small messages have interrupted it.
void Network::OnAlarm(Server& server) {
  if (!server.busy() || server.alarm != loop_->now()) return;
  if (server.end() > loop_->now()) return SetAlarm(server);
  const Ticket ticket = server.End();
  const Piece piece = PieceOf(ticket);
  if (piece.line != nullptr) {
    const Hop hop = HopAt(*piece.line, piece.back, piece.hop);
    if (hop.gate().cut) {
      hop.gate().pieces.push_back(ticket);
      Wait(*piece.line, piece.back, hop.gate());
    } else {
      if (!hop.link->half_duplex()) {
        hop.link->server(!hop.up).Owe(AckBytes(piece.stage().stream_bytes));
      }
      piece.stage().served = true;
      Advance(*piece.line, piece.back, piece.hop);
    }
  }
  Serve(server);
}

// A piece has passed the link at `hop`, or may begin at the next: does what can be done now.
void Network::Advance(Line& line, bool back, int hop) {
  Way& way = line.ways[back];
  const auto index = static_cast<size_t>(hop);
  Stage& stage = way.stages[index];
  if (!stage.moved && hop + 1 < line.route->count) {
    stage.ready = true;
    if (way.stages[index + 1].taken) return;  // its predecessor's Leave comes back to it
    stage.moved = true;
    way.stages[index + 1] = {.taken = true,
                             .last = stage.last,
                             .parcel = stage.parcel,
                             .stream_bytes = stage.stream_bytes};
    Enter(line, back, hop + 1);
  }
  if (stage.served) Leave(line, back, hop);
}

// A piece has passed the link and makes room for the next.
void Network::Leave(Line& line, bool back, int hop) {
  Way& way = line.ways[back];
  Stage& stage = way.stages[static_cast<size_t>(hop)];
  if (hop + 1 == line.route->count && stage.last) {
    // The pace says when the last byte would be acknowledged, a round trip after it was sent.
    const Duration trip = line.route->path.round_trip;
    Arrive(line, stage.parcel, std::max(loop_->now(), way.pace.next() - trip));
  }
  NoteFlow(line, back, hop);
  stage = {};
  if (hop == 0) return Pump(line, back);
  const Stage& before = way.stages[static_cast<size_t>(hop - 1)];
  if (before.taken && before.ready && !before.moved) Advance(line, back, hop - 1);
}

// ---- what the owners of links measure

// A piece begins to pass the link at `hop`, which may be the sender's or the receiver's own.
void Network::BeginFlow(Line& line, bool back, int hop) {
  const bool arrives = hop + 1 == line.route->count;
  if (hop > 0 && !arrives) return;
  bool& passing = line.ways[back].passing[arrives];
  if (std::exchange(passing, true)) return;
  Flow& flow = HopAt(line, back, hop).link->flow(!arrives);
  if (flow.passing++ == 0) flow = {.passing = 1, .since = loop_->now()};
}

// A piece has passed it.
void Network::NoteFlow(Line& line, bool back, int hop) {
  const bool arrives = hop + 1 == line.route->count;
  if (hop > 0 && !arrives) return;
  Way& way = line.ways[back];
  const Stage& stage = way.stages[static_cast<size_t>(hop)];
  Flow& flow = HopAt(line, back, hop).link->flow(!arrives);
  flow.bytes += stage.stream_bytes;
  if (stage.last && std::exchange(way.passing[arrives], false)) --flow.passing;
  const Duration took = loop_->now() - flow.since;
  if (flow.passing > 0 && took < kLongFlow) return;
  Endpoint* owner = arrives == back ? line.dialer : line.callee;
  if (owner != nullptr && took.count() > 0) {
    owner->OnTransfer(!arrives, flow.bytes, base::Seconds(took));
  }
  flow.since = loop_->now();
  flow.bytes = 0;
}

// Nothing of the connection passes any more.
void Network::EndFlows(Line& line, bool back) {
  for (const bool arrives : {false, true}) {
    if (!std::exchange(line.ways[back].passing[arrives], false)) continue;
    const int hop = arrives ? line.route->count - 1 : 0;
    --HopAt(line, back, hop).link->flow(!arrives).passing;
  }
}

// ---- arrival

Duration Network::Latency(const Route& route) {
  Duration sum = route.latency;
  for (Duration jitter : route.jitter) {
    if (jitter.count() > 0) sum += RandomDuration(loop_->rng(), {}, jitter);
  }
  return sum;
}

// What a small message waits for packets that are lost.
Duration Network::LossDelay(const Route& route, int64_t packets) {
  if (route.path.loss <= 0 || packets > kFewPackets) return {};
  const double probability = OfAny(route.path.loss, packets);
  Duration sum{};
  Duration retry = RetryTime(route.path);
  while (sum < options_.transport_timeout && loop_->rng().NextUniform() < probability) {
    sum += retry;
    retry *= 2;
  }
  return sum;
}

// The last byte leaves the last link at `when`.
void Network::Arrive(Line& line, uint32_t number, TimePoint when) {
  const Parcel& parcel = parcels_[number];
  const Route& route = *line.route;
  Way& way = line.ways[parcel.back];
  const int64_t packets = Packets(parcel.stream_bytes);
  const Duration lost = LossDelay(route, packets);
  when = when + Latency(route) + lost;
  if (route.reordering > 0 &&
      loop_->rng().NextUniform() < OfAny(std::min(route.reordering, 1.0), packets)) {
    const Duration jitter = std::accumulate(route.jitter.begin(), route.jitter.end(), Duration(0));
    when = when + std::max(route.latency, jitter);
  }
  TimePoint& last = way.arrival[parcel.payload];
  last = when = std::max({when, last + Duration(1), way.held});
  if (lost.count() > 0) way.held = when;
  if (parcel.payload && options_.reorder_message > 0 &&
      loop_->rng().NextUniform() < options_.reorder_message) {
    when = when + RandomWait(loop_->rng(), kMeanHold);
  }
  loop_->At(when, [this, number] { Deliver(number); });
}

void Network::Deliver(uint32_t number) {
  const Parcel& parcel = parcels_[number];
  const ConnectionId connection = parcel.connection;
  const bool back = parcel.back;
  Line* line = Find(connection);
  if (line == nullptr || line->broken) return Release(number);
  if (parcel.end) {
    Release(number);
    return Tell(connection, !back, {}, "closed by the peer");
  }
  Way& way = line->ways[back];
  if (!parcel.copy) {
    Repeat(*line, number);
    --way.under_way;
    if (way.closing && way.under_way == 0) SendEnd(*line, back);
  }
  Endpoint* to = back ? line->dialer : line->callee;
  if (to != nullptr) {
    ++messages_;
    TraceMessage(loop_, connection << 1 | uint64_t{back}, parcel.envelope);
    to->OnMessage(connection, parcel.envelope);
  }
  Release(number);
}

// Perhaps it arrives once more.
void Network::Repeat(const Line& line, uint32_t number) {
  if (options_.repeat_message <= 0) return;
  if (loop_->rng().NextUniform() >= options_.repeat_message) return;
  const uint32_t again = NewParcel(line.id, parcels_[number].back);
  parcels_[again].envelope = parcels_[number].envelope;
  parcels_[again].copy = true;
  const Duration latency = std::max(line.route->latency, Duration(1));
  loop_->After(RandomDuration(loop_->rng(), latency, 3 * latency),
               [this, again] { Deliver(again); });
}

}  // namespace weft::sim
