#pragma once
// TCP, as far as it decides how fast one direction of a connection may send: slow start, the
// window, and what random loss leaves of both.

#include <cstdint>

#include "base/clock.h"

namespace weft::sim {

// The least time after which Linux takes a packet for lost (TCP_RTO_MIN; RFC 6298 would have 1 s).
inline constexpr Duration kLeastRetry = std::chrono::milliseconds(200);

// What of a path matters here.
struct PathOptions {
  Duration round_trip{};
  double loss = 0;  // how probable it is, of a packet, over the whole path
};

// The time until a lone packet is sent again (RFC 6298, with the minimum on the variance as in
// Linux).
inline Duration RetryTime(const PathOptions& path) { return path.round_trip + kLeastRetry; }

// Paces one sender. Three limits, of which the lowest holds:
//   - slow start: from 10 segments (RFC 6928) the window doubles each round trip; after a pause it
//   is
//     halved for each retry time that went by (RFC 2861, as in Linux);
//   - the window: 4 MiB a round trip, the default of Linux's tcp_wmem;
//   - loss: MSS / RTT * 1.22 / sqrt(p) (Mathis, Semke, Mahdavi, Ott 1997, equation 3), good for p
//   up
//     to a few per cent, beyond which retry times dominate.
// Without a round trip there is no limit.
class Pace {
 public:
  explicit Pace(const PathOptions& path);

  // When the next bytes may go.
  TimePoint next() const { return next_; }
  // These bytes go at `now`; next() moves by the time that they take at this pace.
  void Sent(TimePoint now, int64_t bytes);

 private:
  Duration SlowStart(double* bytes);

  PathOptions path_;
  double window_;   // bytes
  double ceiling_;  // bytes a round trip, of the lower one of the two other limits
  TimePoint next_;
};

}  // namespace weft::sim
