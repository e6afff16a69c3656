#pragma once
// Network: devices dial one hub, and each other, over modelled links. A connection is reliable
// until it breaks; then all that was under way is lost. It stands for one gRPC stream over TCP:
//
//   device -> hub:     device's link (up), its segment (up), hub's link (down)
//   device -> device:  the same, then the other's segment (down) and link (down), without the
//   hub's;
//                      a segment that both are in is one medium, passed once (up), or not at all
//                      if it is a gateway
//   back:              reversed
//
// Links. Each passes one piece after another at its rate, first come first served (link.h); a
// payload travels in pieces, of which one connection has at most one at each link in each
// direction, so that those who share a link share it equally. Shares are by pieces: they are equal
// in bytes where payloads are. A piece that begins at one link at t, and ends there at e, may begin
// at the next, where it takes d, at max(t, e - d): packets do not wait for the whole. A next link
// that is slow or busy holds up the ones before, as a full window does. Small messages (without
// payload). They slip between the chunks of their own connection, as in net/, and pass the pieces
// of others, as queues that are fair to flows let them: each waits for those before it and for at
// most `most_ahead` bytes of the piece in service. Order is kept among them, and among messages
// with a payload (but for cluster/send_order.h), not between the two. Bytes. Framing and headers
// are counted (wire_size.h); acknowledgements go back on each link, where they delay the next piece
// of the other direction. TCP. Slow start, window and random loss set a pace (tcp.h). In a message
// of up to three packets each lost one costs a retry time, which doubles, and holds up all behind
// it; reordered packets cost one more jitter, duplicated ones bandwidth. Latency comes once, after
// the last link. A cut direction holds what comes to it; when it is healed, all goes on when TCP
// would next try the oldest. What waits for transport_timeout breaks the connection for its sender;
// the other end is told if it can be reached, else it finds out when it sends in vain. Unlike TCP,
// which is short of acknowledgements then, the direction that is not cut goes on.
//
// Neglected: that acknowledgements limit a sender whose other direction is far slower; queues that
// overflow; TLS and HTTP/2 settings and window updates; the bytes of dialing and closing; a retry
// time for the end of a large message; that a sender's buffers hold more than one chunk.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cluster/action.h"
#include "cluster/message.h"
#include "sim/link.h"
#include "sim/loop.h"
#include "sim/options.h"
#include "sim/tcp.h"

namespace weft::sim {

// A box with a link, in which processes run.
using HostId = int;
inline constexpr HostId kHub = 0;

struct NetworkOptions {
  LinkOptions hub;  // up: out of the hub
  std::vector<SegmentOptions> segments;
  WireOptions wire;
  // As in FaultOptions; between devices, of the end that was dialled.
  double silent_break = 0;
  double repeat_message = 0;
  double reorder_message = 0;
  // What cannot be delivered for so long breaks its connection (TCP_USER_TIMEOUT, which gRPC sets).
  Duration transport_timeout = std::chrono::seconds(20);
  // A payload of n bytes travels in pieces of max(least_chunk, n / most_chunks).
  int64_t least_chunk = 16 << 10;
  int64_t most_chunks = 16;
  // How unequally payloads share a link, as TCP flows do for seconds: the pieces of one are larger
  // or smaller than those of another by up to so much of their size, uniform. 0: equally.
  double unfairness = 0;
  // Bytes of a payload that a small message cannot overtake: those of the chunks (net/options.h)
  // that the sender's kernel has taken.
  int64_t most_ahead = 256 << 10;
};

struct LinkCounters {
  int64_t up_bytes = 0;  // on the wire, headers and acknowledgements included
  int64_t down_bytes = 0;
  Duration up_busy{};  // time in which they passed
  Duration down_busy{};
};

// One end: a process.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  // What it dialled is open. Who was dialled hears of a connection by its first message.
  virtual void OnConnected(cluster::ConnectionId connection) = 0;
  virtual void OnMessage(cluster::ConnectionId connection, const cluster::Envelope& envelope) = 0;
  // Not called for a connection that this end closed.
  virtual void OnDisconnected(cluster::ConnectionId connection, const std::string& reason) = 0;
  // So many bytes of payloads have passed its own link in so long: from when one began to when none
  // was left, or about every second of that. May come from within Send. For measuring: it must not
  // call the network.
  virtual void OnTransfer(bool /*up*/, int64_t /*bytes*/, double /*seconds*/) {}
};

// Threads: one. Calls no Endpoint but from events of the loop.
class Network {
 public:
  Network(Loop* loop, const NetworkOptions& options);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // A segment that it names must be one of the options.
  HostId AddHost(const LinkOptions& link);

  // From now on it answers whoever dials this host, in the place of any other; null: nobody does.
  void Listen(Endpoint* endpoint, HostId host = kHub);

  // From one host to another. OnConnected or OnDisconnected follows.
  cluster::ConnectionId Dial(Endpoint* dialer, HostId from, HostId to = kHub);
  // Messages over a connection that is not open are lost.
  void Send(Endpoint* from, cluster::ConnectionId connection, cluster::Envelope envelope);
  // What `by` has sent still arrives.
  void Close(Endpoint* by, cluster::ConnectionId connection);
  // Both ends are told after a while, if they can be reached; who was dialled perhaps not.
  void Break(cluster::ConnectionId connection, const std::string& reason);
  // The process is gone: its connections break and it hears nothing more.
  void Vanish(Endpoint* endpoint);

  // Cuts the directions that are true; of the hub, for all connections.
  void Cut(HostId host, bool up, bool down);
  void Heal(HostId host);
  // The link's rates are multiplied; 1 heals it. A link without limit counts as one of 1 Gbit/s.
  void Clog(HostId host, double factor);

  LinkCounters Counters(HostId host) const;
  LinkCounters SegmentCounters(int segment) const;  // by its place in the options
  // That have arrived.
  int64_t messages() const { return messages_; }

 private:
  using ConnectionId = cluster::ConnectionId;
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr int kMaxHops = 4;

  // A message under way; by its place in parcels_.
  struct Parcel {
    ConnectionId connection = 0;
    cluster::Envelope envelope;
    int64_t stream_bytes = 0;
    int64_t left = 0;   // of those of a payload, not yet in a piece
    double weight = 1;  // of its pieces
    bool back = false;  // from who was dialled to who has dialled
    bool payload = false;
    bool end = false;   // no message: its sender has closed
    bool copy = false;  // a repetition
    uint8_t hop = 0;
    uint32_t next = kNone;
  };

  // A piece of a payload at one link of its way.
  struct Stage {
    bool taken = false;
    bool last = false;    // piece of its parcel
    bool served = false;  // has passed this link
    bool ready = false;   // may begin at the next
    bool moved = false;   // stands there
    uint32_t parcel = kNone;
    int64_t stream_bytes = 0;
    TimePoint alarm;  // at which it becomes ready; another one is void
  };

  // One direction of a connection.
  struct Way {
    explicit Way(const PathOptions& path) : pace(path) {}
    Pace pace;
    uint32_t first = kNone;  // of the parcels with a payload that have bytes left
    uint32_t last = kNone;
    bool pumping = false;
    std::array<Stage, kMaxHops> stages;
    std::array<TimePoint, kMaxHops> begins{};  // of the last small message that waited, by hop
    std::array<TimePoint, 2> arrival{};        // the last one, [with payload]
    TimePoint held;                            // nothing arrives before: a lost packet is awaited
    int64_t under_way = 0;                     // parcels
    bool closing = false;
    std::optional<TimePoint> stalled;  // since when something waits for a cut link
    std::array<bool, 2> passing{};     // a payload is passing the link of [sender, receiver]
  };

  // One direction of one link.
  struct Hop {
    Link* link = nullptr;
    bool up = false;
    Server& server() const { return link->server(up); }
    Gate& gate() const { return link->gate(up); }
  };

  // The links between two hosts, and what they make of a connection together.
  struct Route {
    std::array<std::array<Hop, kMaxHops>, 2> hops;  // [back], in the order of passing
    int count = 0;                                  // of hops
    PathOptions path{};
    Duration latency{};
    std::array<Duration, kMaxHops> jitter{};
    double reordering = 0;
    double overhead = 1;  // bytes on the wire for each byte to send
  };

  struct Line {
    ConnectionId id = 0;
    HostId to = 0;
    const Route* route = nullptr;
    Endpoint* dialer = nullptr;  // null: this end is gone or has closed
    Endpoint* callee = nullptr;  // likewise, or not connected yet
    bool broken = false;         // nothing arrives any more
    std::array<Way, 2> ways;     // [back]
  };

  struct Host {
    Link link;
    Link* segment = nullptr;
    bool gateway = false;  // the segment is one
    Endpoint* answers = nullptr;
    Route to_hub{};
  };

  // network.cc: connections, ends and faults.
  Line* Find(ConnectionId connection);
  Route RouteBetween(Host& from, Host& to) const;
  const Route* RouteTo(HostId from, HostId to);
  Line* Open(Endpoint* dialer, HostId from, HostId to);
  void TryDial(ConnectionId connection, TimePoint began, Duration wait);
  void Connect(ConnectionId connection);
  Endpoint* End(Line& line, bool of_callee);
  bool Reaches(const Line& line, bool back) const;
  void BreakLine(Line& line, const std::string& reason);
  void Drop(Line& line);
  void Forget(Line& line);
  void Tell(ConnectionId connection, bool of_callee, Duration wait, const std::string& reason);
  void AwaitTimeout(Line& line, bool back);
  void TimeOut(Line& line, bool back);
  void Resume(Link& link, bool up);
  TimePoint NextRetry(const Gate& gate, const PathOptions& path) const;
  Host& At(HostId host) { return hosts_[static_cast<size_t>(host)]; }
  const Host& At(HostId host) const { return hosts_[static_cast<size_t>(host)]; }

  // network_path.cc: the way of a message.
  static const Hop& HopAt(const Line& line, bool back, int hop) {
    return line.route->hops[back][static_cast<size_t>(hop)];
  }
  Ticket TicketOf(const Line& line, bool back, int hop) const;
  struct Piece;
  Piece PieceOf(Ticket ticket);
  bool AllOpen(const Line& line, bool back);
  Duration TimeAtNext(const Line& line, bool back, int hop, int64_t bytes);
  int64_t OnLink(const Line& line, int64_t bytes) const;
  uint32_t NewParcel(ConnectionId connection, bool back);
  void Release(uint32_t parcel);
  void SendSmall(Line& line, uint32_t number);
  void SendEnd(Line& line, bool back);
  void Queue(Way& way, uint32_t number);
  void Travel(uint32_t number, bool turn);
  TimePoint BeginSmall(const Server& server, TimePoint last, TimePoint left, int64_t bytes) const;
  void Pump(Line& line, bool back);
  void CutPiece(Line& line, bool back);
  void Start(Line& line, bool back);
  void Enter(Line& line, bool back, int hop);
  void Wait(Line& line, bool back, Gate& gate);
  void Serve(Server& server);
  void BeginService(const Piece& piece, Ticket ticket);
  void SetAlarm(Server& server);
  void OnAlarm(Server& server);
  void BecomeReady(Ticket ticket);
  void Advance(Line& line, bool back, int hop);
  void Leave(Line& line, bool back, int hop);
  void BeginFlow(Line& line, bool back, int hop);
  void NoteFlow(Line& line, bool back, int hop);
  void EndFlows(Line& line, bool back);
  void Arrive(Line& line, uint32_t number, TimePoint when);
  Duration Latency(const Route& route);
  Duration LossDelay(const Route& route, int64_t packets);
  void Deliver(uint32_t number);
  void Repeat(const Line& line, uint32_t number);

  Loop* loop_;
  const NetworkOptions options_;
  std::deque<Link> segments_;
  std::deque<Host> hosts_;                                  // by HostId
  std::map<std::pair<HostId, HostId>, Route> peer_routes_;  // of those that have dialled
  std::unordered_map<const Endpoint*, HostId> listening_;
  std::deque<Line> lines_;  // by the low bits of the connection
  std::vector<uint32_t> free_lines_;
  uint64_t last_serial_ = 0;
  std::unordered_map<const Endpoint*, std::set<ConnectionId>> ends_;  // open, or being dialled
  std::deque<Parcel> parcels_;
  std::vector<uint32_t> free_parcels_;
  int64_t messages_ = 0;
};

}  // namespace weft::sim
