#include "cluster/peer_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "cluster/describe.h"
#include "cluster/token.h"
#include "cluster/wire_status.h"

namespace weft::cluster {
namespace {

size_t BytesOf(const Payload& payload) { return payload == nullptr ? 0 : payload->size(); }

size_t PayloadBytes(const Message& message) {
  return std::visit(
      [](const auto& m) -> size_t {
        if constexpr (requires { m.gradient; }) {
          return BytesOf(m.gradient);
        } else if constexpr (requires { m.values; }) {
          return BytesOf(m.values);
        } else {
          return 0;
        }
      },
      message);
}

}  // namespace

bool BetweenDevices(const Message& message) {
  return std::visit(
      []<class M>(const M&) {
        return std::is_same_v<M, Push> || std::is_same_v<M, PushAck> || std::is_same_v<M, Pull> ||
               std::is_same_v<M, Parameters> || std::is_same_v<M, Replicate> ||
               std::is_same_v<M, Replicated> || std::is_same_v<M, RangeState> ||
               std::is_same_v<M, JointPush> || std::is_same_v<M, PushAgain>;
      },
      message);
}

// ---- what the coordinator says

PeerLines::Actions PeerLines::Note(const Envelope& envelope) {
  const Message& message = envelope.message;
  if (envelope.from.device != kCoordinatorDevice) {
    // A line may have broken without this end being told.
    const auto it = peers_.find(envelope.from.device);
    if (it != peers_.end()) it->second.doubted = true;
  } else if (const auto* welcome = std::get_if<Welcome>(&message)) {
    NoteIdentity(*welcome);
    NoteLayout(welcome->layout);
  } else if (const auto* relayout = std::get_if<Relayout>(&message)) {
    NoteLayout(relayout->layout);
  } else if (const auto* reshape = std::get_if<Reshape>(&message)) {
    NoteLayout(reshape->from);
    NoteLayout(reshape->to);
  } else if (const auto* relay = std::get_if<UseRelay>(&message)) {
    NoteEndpoint(relay->relay, relay->endpoint);
  }
  return Take();
}

// As another device, or in another run, what was said and is known is void.
void PeerLines::NoteIdentity(const Welcome& welcome) {
  term_ = welcome.term;
  if (self_ == welcome.device && run_ == welcome.run) return;
  self_ = welcome.device;
  run_ = welcome.run;
  for (const auto& [number, device] : std::exchange(dialed_, {})) Ask(Close{{true, number}});
  for (const auto& [number, device] : std::exchange(accepted_, {})) Ask(Close{{false, number}});
  peers_.clear();
  deadlines_.clear();
}

void PeerLines::NoteLayout(const Layout& layout) {
  for (const Layout::Part& part : layout.parts) {
    NoteEndpoint(part.leader.device, part.endpoint);
    NoteEndpoint(part.standby, part.standby_endpoint);
  }
}

void PeerLines::NoteEndpoint(DeviceId device, const std::string& endpoint) {
  if (device == kCoordinatorDevice || device == self_ || endpoint.empty()) return;
  Peer& peer = peers_[device];
  if (peer.endpoint == endpoint) return;
  peer.endpoint = endpoint;
  peer.next_dial = {};
  peer.failures = 0;
}

// ---- out

PeerLines::Actions PeerLines::Send(TimePoint now, Address from, const cluster::Send& send) {
  Envelope envelope{from, send.to, send.message};
  // Where this device listens its machines do not know.
  if (auto* hello = std::get_if<Hello>(&envelope.message)) hello->endpoint = options_.endpoint;
  if (send.to.device == kCoordinatorDevice || self_ == 0) {
    Ask(Relay{std::move(envelope)});
  } else if (send.to.device == self_) {
    Ask(Deliver{std::move(envelope)});
  } else {
    SendTo(now, std::move(envelope));
  }
  return Take();
}

void PeerLines::SendTo(TimePoint now, Envelope envelope) {
  const DeviceId device = envelope.to.device;
  const auto it = peers_.find(device);
  if (it == peers_.end()) return Ask(Relay{std::move(envelope)});
  Peer& peer = it->second;
  if (peer.phase == Phase::kOpen) return Ask(Write{{true, peer.number}, std::move(envelope)});
  if (peer.accepted && !peer.doubted) {
    return Ask(Write{{false, *peer.accepted}, std::move(envelope)});
  }
  if (peer.phase == Phase::kNone && !peer.endpoint.empty() && now >= peer.next_dial) {
    StartDial(now, device, &peer);
  }
  if (peer.phase == Phase::kNone || !Hold(&peer, &envelope)) Ask(Relay{std::move(envelope)});
}

void PeerLines::StartDial(TimePoint now, DeviceId device, Peer* peer) {
  peer->phase = Phase::kDialing;
  peer->number = ++last_number_;
  peer->deadline = now + options_.dial_timeout;
  peer->next_dial = now + options_.rest;
  dialed_[peer->number] = device;
  deadlines_.insert({peer->deadline, device});
  Ask(Dial{peer->number, peer->endpoint});
}

// False, and nothing is taken, if too much waits already.
bool PeerLines::Hold(Peer* peer, Envelope* envelope) {
  const size_t bytes = PayloadBytes(envelope->message);
  const bool fits = peer->waiting.size() < options_.most_waiting &&
                    peer->waiting_bytes + bytes <= options_.most_waiting_bytes;
  if (!fits) return false;
  peer->waiting_bytes += bytes;
  peer->waiting.push_back(std::move(*envelope));
  return true;
}

void PeerLines::Flush(Peer* peer, PeerLine line) {
  for (Envelope& envelope : std::exchange(peer->waiting, {})) {
    Ask(Write{line, std::move(envelope)});
  }
  peer->waiting_bytes = 0;
}

// ---- a line that this device dials

PeerLines::Actions PeerLines::OnOpen(TimePoint, uint64_t number) {
  const auto it = dialed_.find(number);
  if (it == dialed_.end() || peers_.at(it->second).phase != Phase::kDialing) return {};
  peers_.at(it->second).phase = Phase::kGreeting;
  Ask(Write{{true, number},
            {{self_, Role::kWorker},
             {it->second, Role::kWorker},
             Hello{.name = options_.name,
                   .incarnation = options_.incarnation,
                   .token = options_.token,
                   .program = options_.program,
                   .device = self_}}});
  return Take();
}

void PeerLines::HearAnswer(TimePoint now, DeviceId device, const Envelope& envelope) {
  Peer& peer = peers_.at(device);
  const PeerLine line{true, peer.number};
  const auto* welcome = std::get_if<Welcome>(&envelope.message);
  if (welcome != nullptr && welcome->device == device && welcome->run == run_) {
    peer.phase = Phase::kOpen;
    peer.failures = 0;
    deadlines_.erase({peer.deadline, device});
    Flush(&peer, line);
    for (const Envelope& early : std::exchange(peer.early, {})) Hear(device, early);
    return;
  }
  // What is behind the answer may overtake it.
  if (BetweenDevices(envelope.message)) {
    if (peer.early.size() < options_.most_early) peer.early.push_back(envelope);
    return;
  }
  const auto* refuse = std::get_if<Refuse>(&envelope.message);
  Ask(Close{line});
  GiveUp(now, device, refuse != nullptr ? refuse->reason : "another device answers there");
}

// The line was not made, or is gone.
void PeerLines::GiveUp(TimePoint now, DeviceId device, const std::string& reason) {
  Peer& peer = peers_.at(device);
  dialed_.erase(peer.number);
  deadlines_.erase({peer.deadline, device});
  peer.early.clear();
  const bool was_open = std::exchange(peer.phase, Phase::kNone) == Phase::kOpen;
  if (was_open) return Ask(Lost{device});
  Duration rest = options_.rest;
  for (int i = 0; i < peer.failures && rest < options_.longest_rest; ++i) rest *= 2;
  peer.next_dial = now + std::min(rest, options_.longest_rest);
  ++peer.failures;
  Ask(Emit{Warning{fmt::format(
      "cannot reach device {} at {} ({}): what is for it goes through the coordinator's process",
      device, peer.endpoint, reason)}});
  for (Envelope& envelope : std::exchange(peer.waiting, {})) SendTo(now, std::move(envelope));
  peer.waiting_bytes = 0;
}

// ---- a line that another device has dialled

void PeerLines::Greet(PeerLine line, const Envelope& envelope) {
  const Address self{self_, Role::kWorker};
  if (const Status problem = Problem(envelope); !problem.ok()) {
    Ask(Write{line,
              {self, envelope.from,
               Refuse{CodeNumber(problem.code()), problem.message(),
                      problem.code() == Code::kUnavailable}}});
    return Ask(Close{line});
  }
  const DeviceId device = std::get<Hello>(envelope.message).device;
  Peer& peer = peers_[device];
  const std::optional<uint64_t> older = std::exchange(peer.accepted, line.number);
  peer.doubted = false;
  accepted_[line.number] = device;
  Ask(Write{line,
            {self, {device, Role::kWorker}, Welcome{.device = self_, .term = term_, .run = run_}}});
  if (peer.phase != Phase::kOpen) Flush(&peer, line);
  if (!older) return;
  // It dials again, so for it the older line is gone. What that leads to comes after the answer.
  accepted_.erase(*older);
  Ask(Close{{false, *older}});
  Ask(Lost{device});
}

// Why whoever says this first is not let in.
Status PeerLines::Problem(const Envelope& envelope) const {
  const auto* hello = std::get_if<Hello>(&envelope.message);
  if (hello == nullptr) return base::FailedPrecondition("the first message must be hello");
  if (!options_.token.empty() && !SameToken(hello->token, options_.token)) {
    return {Code::kUnauthenticated, "wrong token"};
  }
  if (self_ == 0) return base::Unavailable("not admitted to the run yet");
  if (envelope.to.device != self_) {
    return base::NotFound(
        fmt::format("this is device {}, not device {}", self_, envelope.to.device));
  }
  if (hello->device == kCoordinatorDevice || hello->device == self_) {
    return base::InvalidArgument(
        fmt::format("device: got {}, want that of another device", hello->device));
  }
  return OkStatus();
}

// ---- in

PeerLines::Actions PeerLines::OnMessage(TimePoint now, PeerLine line, const Envelope& envelope) {
  const auto& known = line.dialed ? dialed_ : accepted_;
  const auto it = known.find(line.number);
  if (it == known.end()) {
    if (!line.dialed) Greet(line, envelope);  // else it is being closed
  } else if (line.dialed && peers_.at(it->second).phase != Phase::kOpen) {
    HearAnswer(now, it->second, envelope);
  } else {
    if (!line.dialed) peers_.at(it->second).doubted = false;
    Hear(it->second, envelope);
  }
  return Take();
}

void PeerLines::Hear(DeviceId device, const Envelope& envelope) {
  const Address from{device, envelope.from.role};  // whatever it says of itself
  if (BetweenDevices(envelope.message) && OfDevice(from.role) && OfDevice(envelope.to.role) &&
      envelope.to.device == self_) {
    return Ask(Deliver{{from, envelope.to, envelope.message}});
  }
  Ask(Emit{
      Warning{fmt::format("{} sent {} to {}, which is not for it to say; dropped", Describe(from),
                          MessageName(envelope.message), Describe(envelope.to))}});
}

PeerLines::Actions PeerLines::OnClosed(TimePoint now, PeerLine line, const std::string& reason) {
  const auto& known = line.dialed ? dialed_ : accepted_;
  const auto it = known.find(line.number);
  if (it == known.end()) return {};
  const DeviceId device = it->second;
  if (line.dialed) {
    GiveUp(now, device, reason);
  } else {
    accepted_.erase(line.number);
    peers_.at(device).accepted.reset();
    Ask(Lost{device});
  }
  if (const Peer& peer = peers_.at(device); peer.endpoint.empty() && !peer.accepted) {
    peers_.erase(device);
  }
  return Take();
}

std::optional<TimePoint> PeerLines::NextWake() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

PeerLines::Actions PeerLines::Tick(TimePoint now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const DeviceId device = deadlines_.begin()->second;
    Ask(Close{{true, peers_.at(device).number}});
    GiveUp(now, device, fmt::format("no answer for {:g} s", base::Seconds(options_.dial_timeout)));
  }
  return Take();
}

bool PeerLines::HasLine(DeviceId device) const {
  const auto it = peers_.find(device);
  return it != peers_.end() && (it->second.phase == Phase::kOpen || it->second.accepted);
}

}  // namespace weft::cluster
