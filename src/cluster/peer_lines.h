#pragma once
// PeerLines: how what the machines of a device send reaches the other devices of the run: over a
// line of their own where there is one or one can be dialled, else through the coordinator's
// process, which has a way to each.
//
//   none --first message--> dialing -> greeting -> open
//     ^--- resting <-----------+----------+---------+    (refused, too slow, lost)
//
// Where a device is dialled stands in the layouts (message.h). A line is kept once it is open, and
// serves both ways; each device may dial the other. What is sent while it is made waits for it, and
// goes through the coordinator's process if that fails, as all does while the line rests.
// Who dials says Hello, with the token of the run and for whom it takes the other; who is dialled
// answers with Welcome, or with Refuse and closes. A token is all that a device proves itself by,
// here as to the coordinator.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "cluster/action.h"
#include "cluster/message.h"

namespace weft::cluster {

// Whether a worker or a leader may say this to one on another device. All else is between a device
// and the coordinator's process, and is not heard from other devices.
bool BetweenDevices(const Message& message);
// Whether a device may speak for this role.
constexpr bool OfDevice(Role role) {
  return role == Role::kWorker || role == Role::kLeader || role == Role::kRelay;
}

// A connection between two devices, numbered by this class if this device dials it, else by the
// host.
struct PeerLine {
  bool dialed = false;
  uint64_t number = 0;
  auto operator<=>(const PeerLine&) const = default;
};

struct PeerOptions {
  std::string name;
  std::string token;  // of the run; empty: any is let in
  std::string program;
  uint64_t incarnation = 0;
  std::string endpoint;  // where this device listens, said to the coordinator; empty: nowhere
  Duration dial_timeout = std::chrono::seconds(2);  // until the other has answered
  // From one dial to the next, or from one that failed: that doubles with each, up to the longest.
  Duration rest = std::chrono::seconds(1);
  Duration longest_rest = std::chrono::seconds(30);
  // Of what waits for a line; more goes through the coordinator's process.
  size_t most_waiting = 1024;
  size_t most_waiting_bytes = size_t{256} << 20;  // of payloads
  size_t most_early = 16;  // messages that are kept until it is known who sent them
};

// Threads: one.
class PeerLines {
 public:
  // ---- what it asks of its host, to be done in order

  // Dial, then call OnOpen or OnClosed.
  struct Dial {
    uint64_t number = 0;
    std::string endpoint;
  };
  struct Write {
    PeerLine line;
    Envelope envelope;
  };
  // Close once what was written has gone out; OnClosed need not be called.
  struct Close {
    PeerLine line;
  };
  // Send over the connection to the coordinator.
  struct Relay {
    Envelope envelope;
  };
  // For a machine of this device, once it is done with what it does now.
  struct Deliver {
    Envelope envelope;
  };
  // An open line to this device is gone, and what was under way on it.
  struct Lost {
    DeviceId device = 0;
  };
  using Action = std::variant<Dial, Write, Close, Relay, Deliver, Lost, Emit>;
  using Actions = std::vector<Action>;

  explicit PeerLines(PeerOptions options) : options_(std::move(options)) {}

  // A machine of this device sends.
  Actions Send(TimePoint now, Address from, const cluster::Send& send);
  // What came over the connection to the coordinator, before it is handled: from it, this device's
  // id and who is where; from another device, that this one perhaps hears it in no other way.
  Actions Note(const Envelope& envelope);

  // A line that was dialled is connected.
  Actions OnOpen(TimePoint now, uint64_t number);
  Actions OnMessage(TimePoint now, PeerLine line, const Envelope& envelope);
  // A line is gone, or could not be made.
  Actions OnClosed(TimePoint now, PeerLine line, const std::string& reason);

  std::optional<TimePoint> NextWake() const;
  Actions Tick(TimePoint now);

  // To which a line is open.
  bool HasLine(DeviceId device) const;

 private:
  enum class Phase { kNone, kDialing, kGreeting, kOpen };
  struct Peer {
    std::string endpoint;  // empty: cannot be dialled
    Phase phase = Phase::kNone;
    uint64_t number = 0;               // of the line that this device dials
    TimePoint deadline;                // for the other's answer
    TimePoint next_dial;               // not before
    int failures = 0;                  // since a line was open
    std::optional<uint64_t> accepted;  // the line that it has dialled
    bool doubted = false;              // it speaks past that line: nothing is sent over it
    std::deque<Envelope> waiting;
    size_t waiting_bytes = 0;
    std::vector<Envelope> early;  // heard over the dialled line before its answer
  };

  void NoteIdentity(const Welcome& welcome);
  void NoteLayout(const Layout& layout);
  void NoteEndpoint(DeviceId device, const std::string& endpoint);
  void SendTo(TimePoint now, Envelope envelope);
  void StartDial(TimePoint now, DeviceId device, Peer* peer);
  bool Hold(Peer* peer, Envelope* envelope);
  void Flush(Peer* peer, PeerLine line);
  void GiveUp(TimePoint now, DeviceId device, const std::string& reason);
  void Greet(PeerLine line, const Envelope& envelope);
  Status Problem(const Envelope& envelope) const;
  void Hear(DeviceId device, const Envelope& envelope);
  void HearAnswer(TimePoint now, DeviceId device, const Envelope& envelope);
  void Ask(Action action) { actions_.push_back(std::move(action)); }
  Actions Take() { return std::exchange(actions_, {}); }

  const PeerOptions options_;
  DeviceId self_ = 0;  // 0: not admitted yet
  std::string run_;
  uint64_t term_ = 0;
  std::map<DeviceId, Peer> peers_;
  std::map<uint64_t, DeviceId> dialed_;    // by number; until they are gone
  std::map<uint64_t, DeviceId> accepted_;  // likewise, once they have said who they are
  std::set<std::pair<TimePoint, DeviceId>> deadlines_;  // of lines that are made
  uint64_t last_number_ = 0;
  Actions actions_;
};

}  // namespace weft::cluster
