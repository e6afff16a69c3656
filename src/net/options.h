#pragma once
// What one end of a Session may use. The defaults suit a coordinator with thousands of devices; a
// device with little memory lowers them.

#include <cstddef>
#include <cstdint>

#include "net/limits.h"

namespace weft::net {

struct SessionOptions {
  // Payload bytes that a peer may have under way to us at one time, in all its messages together;
  // so also the largest message. Memory follows what has arrived, not what was promised.
  uint64_t max_payload_bytes = uint64_t{1} << 30;
  // Messages without all of their payload at one time.
  size_t max_open_messages = 4;
  // Payload bytes in a frame, at most; where frames take long they become smaller (sender.h). A
  // control message waits for one frame and for what the kernel has taken already, which on a slow
  // link may be seconds. What the other side then hears are frames, so they must not be large:
  // 64 KiB are 0.5 ms at 1 Gbit/s and 0.5 s at 1 Mbit/s.
  size_t chunk_bytes = 64 << 10;
  // Bytes that may wait to be sent: of messages with a payload, and of those without. A payload
  // that several connections share counts in each.
  uint64_t max_queued_bulk_bytes = uint64_t{2} << 30;
  uint64_t max_queued_control_bytes = uint64_t{16} << 20;
};

}  // namespace weft::net
