#pragma once
// Link: what one box, or one shared medium, has between itself and the rest: a server each way,
// which passes one piece after another at the link's rate, and a gate each way, which may be shut.
// It knows no connection: pieces are numbers that its owner gives them (network.h).

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "sim/options.h"

namespace weft::sim {

// Names a piece of a flow.
using Ticket = uint64_t;

// One server: passes what comes, first come first served. Pieces (of payloads) wait in a queue; a
// small message goes ahead of those that wait and interrupts the one that is being served.
// Threads: one.
class Server {
 public:
  // 0: without limit, takes no time.
  void SetRate(double bits_per_second) { usual_ = ns_per_byte_ = Cost(bits_per_second); }
  bool limited() const { return ns_per_byte_ > 0; }
  Duration TimeFor(int64_t bytes) const;

  // Lets a small message pass: returns when it has. It waits for those that came before it, else
  // for what of the piece in service has been handed over already, at most `most_ahead` bytes at
  // the usual rate (what is told here stands, so a wait must not outlast a clog by much). The piece
  // then takes longer by the message's time.
  TimePoint Pass(TimePoint now, int64_t bytes, int64_t most_ahead);

  void Join(Ticket ticket) { queue_.push_back(ticket); }
  bool busy() const { return busy_; }
  // The next in the queue, which leaves it; nothing if there is none or one is in service.
  std::optional<Ticket> Next();
  // Serves a piece of so many bytes; returns for how long, unless something interrupts.
  Duration Begin(TimePoint now, Ticket ticket, int64_t bytes);
  // When the piece in service will have passed. May move; the owner has an alarm for it.
  TimePoint end() const { return end_; }
  // That piece has passed.
  Ticket End();
  // The rate is another one from now on, for the piece in service too. Small messages that have
  // been told when they pass keep to it, but what comes now waits for them at the new rate only: of
  // a connection that broke meanwhile, they are not there any more.
  void ChangeRate(TimePoint now, double bits_per_second);
  // These bytes go too, as soon as possible but behind the piece in service; of an idle server they
  // delay nobody. For acknowledgements.
  void Owe(int64_t bytes) {
    if (busy_) owed_ += bytes;
  }

  // Its owner's alarm: one that rings at another time has been replaced.
  TimePoint alarm;

 private:
  static double Cost(double bits_per_second) {
    return bits_per_second > 0 ? 8e9 / bits_per_second : 0;
  }

  double ns_per_byte_ = 0;
  double usual_ = 0;  // without ChangeRate
  bool busy_ = false;
  Ticket current_ = 0;
  TimePoint end_;        // of the piece in service
  TimePoint small_end_;  // of the last small message
  int64_t owed_ = 0;     // bytes, to go before the next piece
  std::deque<Ticket> queue_;
};

// One way through a link: what is counted, and what waits while it is cut.
struct Gate {
  bool cut = false;
  int64_t bytes = 0;                 // that went this way
  Duration busy{};                   // time that they took
  uint64_t changes = 0;              // of `cut`: an alarm of an older one is void
  std::optional<TimePoint> waiting;  // since when the oldest of the following waits
  std::vector<Ticket> pieces;
  std::vector<uint32_t> messages;  // small ones, by the owner's numbers
};

// Payloads that pass one way while any do: what the link's owner can measure of it.
struct Flow {
  int passing = 0;  // connections that are in the middle of one
  TimePoint since;
  int64_t bytes = 0;  // of the streams, that have passed since
};

class Link {
 public:
  explicit Link(const LinkOptions& options);

  const LinkOptions& options() const { return options_; }
  bool half_duplex() const { return options_.half_duplex; }
  Gate& gate(bool up) { return gates_[up]; }
  const Gate& gate(bool up) const { return gates_[up]; }
  Flow& flow(bool up) { return flows_[up]; }
  // The same one both ways if it is half duplex.
  Server& server(bool up) { return servers_[up || half_duplex()]; }
  // Nothing delays what goes this way.
  bool open(bool up) { return !gates_[up].cut && !server(up).limited(); }

  // The rates are multiplied from now on; 1: as they were. A link without limit counts as one of
  // kClogged bits a second as long as the factor is not 1.
  void Clog(TimePoint now, double factor);
  static constexpr double kClogged = 1e9;

  // Counts bytes that pass and the time that they take.
  void Count(bool up, int64_t bytes) {
    gates_[up].bytes += bytes;
    gates_[up].busy += server(up).TimeFor(bytes);
  }

 private:
  const LinkOptions options_;
  std::array<Gate, 2> gates_;      // [up]
  std::array<Flow, 2> flows_;      // [up]
  std::array<Server, 2> servers_;  // [up]
};

}  // namespace weft::sim
