#pragma once
// TransferTimer: tells from the frames that pass how long payloads take on the wire.

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "net/transfer.h"
#include "proto/weft.pb.h"

namespace weft::net {

// Of each payload it times the later part: all that comes after the frame with which 2/5 of it are
// there. For a receiver the clock can start with the first frame only, whose own time is not
// known, and so it starts when TCP has found its pace. A sender sees frames go into the buffers
// of the system at first, at no speed that means anything; once these are full each frame has to
// wait for the link. Payloads of a single frame say nothing, and of those that the buffers hold
// whole a sender learns too much speed.
//
// One for each direction of a connection. Threads: one at a time.
class TransferTimer {
 public:
  explicit TransferTimer(bool up) : up_(up) {}

  // A frame has come, or was taken by the transport. What there is to say, with the last frame of a
  // payload. Payloads that take turns with others are not timed, but for the one begun last.
  std::optional<Transfer> Add(const v1::Frame& frame, TimePoint now);

 private:
  const bool up_;
  uint64_t message_ = 0;  // its number; 0: no payload is under way
  uint64_t promised_ = 0;
  uint64_t passed_ = 0;
  uint64_t timed_from_ = 0;  // bytes passed when the clock was started; 0: it was not
  TimePoint started_;
};

}  // namespace weft::net
