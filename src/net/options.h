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
  // Payload bytes in a frame, at most. A control message waits for at most one frame, so this over
  // the link's rate is its delay: 256 KiB are 2 ms at 1 Gbit/s and 2 s at 1 Mbit/s. Where frames
  // take long they become smaller (sender.h).
  size_t chunk_bytes = 256 << 10;
  // Bytes that may wait to be sent: of messages with a payload, and of those without. A payload
  // that several connections share counts in each.
  uint64_t max_queued_bulk_bytes = uint64_t{2} << 30;
  uint64_t max_queued_control_bytes = uint64_t{16} << 20;
};

}  // namespace weft::net
