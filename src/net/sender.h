#pragma once
// Sender: turns messages into frames. Messages without a payload go first; those with one go one
// after another in chunks, in the order of cluster/send_order.h, and let the others slip between
// their chunks: heartbeats must not wait for an update. So chunks are small, and smaller where the
// link takes long for them. One that has begun is interrupted, but no more are open at a time than
// max_open_messages.

#include <cstdint>
#include <deque>

#include "base/status.h"
#include "cluster/message.h"
#include "cluster/send_order.h"
#include "net/options.h"
#include "proto/weft.pb.h"

namespace weft::net {

// Threads: one at a time (its owner locks).
class Sender {
 public:
  static constexpr size_t kLeastChunkBytes = 16 << 10;
  static constexpr double kMostChunkSeconds = 0.1;

  explicit Sender(const SessionOptions& options);

  // Queues a message; the payload is shared, not copied.
  // Errors: kInvalidArgument if it does not fit the wire (see EncodeEnvelope) or its payload is
  // above max_payload_bytes; kResourceExhausted if too much is waiting already, in which case the
  // peer does not keep up. An empty queue takes any message that fits the wire.
  Status Enqueue(const cluster::Envelope& envelope);

  // The next frame to write. False if nothing waits; `frame` is then as it was.
  bool Next(v1::Frame* frame);

  // Writing the last frame, with so many payload bytes, took so long: sets the size of the next
  // chunks.
  void NoteWrite(size_t bytes, double seconds);

  // Forgets all that waits, half-sent messages included: no frame may follow.
  void Clear();

  // What waits, as counted against the limits.
  uint64_t queued_bytes() const { return control_bytes_ + bulk_bytes_; }

 private:
  struct Outgoing {
    v1::Envelope head;
    cluster::Payload payload;  // null for a control message
    uint64_t number = 0;       // 0 until its first frame
    uint64_t sent = 0;         // payload bytes
    uint64_t cost = 0;         // what it counts in queued_bytes()
    cluster::SendOrder order;  // of one with a payload
  };

  void QueueBulk(Outgoing outgoing);
  bool NextControl(v1::Frame* frame);
  bool NextBulk(v1::Frame* frame);

  const SessionOptions options_;
  size_t chunk_bytes_;
  std::deque<Outgoing> control_;
  std::deque<Outgoing> bulk_;
  uint64_t control_bytes_ = 0;
  uint64_t bulk_bytes_ = 0;
  uint64_t last_number_ = 0;
};

}  // namespace weft::net
