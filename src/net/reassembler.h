#pragma once
// Reassembler: turns the frames of one peer back into messages and refuses all that is not a
// well-formed sequence of them. Holds at most max_payload_bytes, and reserves no more than
// kReassemblerFloorBytes and a multiple of what has arrived, whatever the peer promises.

#include <cstdint>
#include <map>
#include <optional>

#include "base/status.h"
#include "cluster/message.h"
#include "net/options.h"
#include "proto/weft.pb.h"

namespace weft::net {

// Reserved is address space, not memory: the system hands out pages as they are filled.
inline constexpr uint64_t kReassemblerFloorBytes = 1 << 20;
inline constexpr uint64_t kReassemblerGrowth = 16;

// Threads: one at a time.
class Reassembler {
 public:
  explicit Reassembler(const SessionOptions& options);

  // The message that `frame` completes, if it does. A message whose kind carries a payload gets one
  // that is not null, if perhaps empty.
  // Errors: kInvalidArgument: not a sequence of frames as proto/weft.proto has it;
  // kResourceExhausted: above a limit. Nothing may be added after an error.
  Result<std::optional<cluster::Envelope>> Add(const v1::Frame& frame);

  // Payload bytes that are reserved for messages under way.
  uint64_t reserved_bytes() const;

 private:
  struct Incoming {
    cluster::Envelope envelope;
    uint64_t promised = 0;  // payload bytes
    Bytes payload;
  };

  Status Open(const v1::Frame& frame);
  Status CheckPromise(const Incoming& incoming) const;
  static Status Append(const v1::Frame& frame, Incoming* incoming);

  const SessionOptions options_;
  std::map<uint64_t, Incoming> open_;  // by number
  uint64_t promised_bytes_ = 0;        // of all that are open
  uint64_t last_number_ = 0;
};

}  // namespace weft::net
