#include "net/reassembler.h"

#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "net/wire.h"

namespace weft::net {
namespace {

// What is reserved for a message of `promised` bytes when `arrived` of them are there: enough that
// a large message moves twice at most, little enough that a promise alone costs nothing.
uint64_t Reserve(uint64_t arrived, uint64_t promised) {
  return std::min(promised,
                  std::max<uint64_t>(kReassemblerFloorBytes, kReassemblerGrowth * arrived));
}

// A fresh block of tens of MiB is taken from the system page by page as it is filled, which costs
// more than filling it; huge pages take that away. Without them it is merely slower.
void AdviseHugePages(Bytes* block) {
  constexpr uintptr_t kHugePage = 2 << 20;
  const auto begin = reinterpret_cast<uintptr_t>(block->data());
  const uintptr_t first = (begin + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t last = (begin + block->capacity()) / kHugePage * kHugePage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}

std::string Number(uint64_t number) { return "message " + std::to_string(number); }

}  // namespace

Reassembler::Reassembler(const SessionOptions& options) : options_(options) {}

Result<std::optional<cluster::Envelope>> Reassembler::Add(const v1::Frame& frame) {
  const uint64_t number = frame.message();
  if (frame.data().size() > kMaxChunkBytes) {
    return base::InvalidArgument("frame data: got " + std::to_string(frame.data().size()) +
                                 " bytes, want at most " + std::to_string(kMaxChunkBytes));
  }
  if (number == last_number_ + 1) {
    RETURN_IF_ERROR(Open(frame));
  } else if (open_.count(number) == 0) {
    return base::InvalidArgument("frame number: got " + std::to_string(number) + ", want " +
                                 std::to_string(last_number_ + 1) + " or one under way");
  } else if (frame.has_head() || frame.payload_bytes() != 0 || frame.data().empty()) {
    return base::InvalidArgument(Number(number) + ": a frame after the first must hold data alone");
  }

  const auto it = open_.find(number);
  Incoming& incoming = it->second;
  RETURN_IF_ERROR(Append(frame, &incoming));
  if (incoming.payload.size() < incoming.promised) return std::optional<cluster::Envelope>();

  cluster::Envelope envelope = std::move(incoming.envelope);
  if (cluster::Payload* payload = PayloadOf(&envelope.message)) {
    *payload = std::make_shared<const Bytes>(std::move(incoming.payload));
  }
  promised_bytes_ -= incoming.promised;
  open_.erase(it);
  return std::optional(std::move(envelope));
}

Status Reassembler::Open(const v1::Frame& frame) {
  if (!frame.has_head()) {
    return base::InvalidArgument(Number(frame.message()) + ": its first frame has no head");
  }
  if (const size_t size = frame.head().ByteSizeLong(); size > kMaxHeadBytes) {
    return base::InvalidArgument(Number(frame.message()) + ": head: got " + std::to_string(size) +
                                 " bytes, want at most " + std::to_string(kMaxHeadBytes));
  }
  Incoming incoming;
  ASSIGN_OR_RETURN(incoming.envelope, DecodeEnvelope(frame.head()));
  incoming.promised = frame.payload_bytes();
  RETURN_IF_ERROR(CheckPromise(incoming).Annotate(Number(frame.message())));
  promised_bytes_ += incoming.promised;
  last_number_ = frame.message();
  open_.emplace(last_number_, std::move(incoming));
  return OkStatus();
}

Status Reassembler::CheckPromise(const Incoming& incoming) const {
  if (incoming.promised == 0) return OkStatus();
  if (PayloadOf(incoming.envelope.message) == nullptr) {
    return base::InvalidArgument("payload_bytes: got " + std::to_string(incoming.promised) +
                                 ", want 0 for a kind that carries none");
  }
  if (incoming.promised > options_.max_payload_bytes - promised_bytes_) {
    return base::ResourceExhausted("payload_bytes: got " + std::to_string(incoming.promised) +
                                   " with " + std::to_string(promised_bytes_) +
                                   " more under way, want at most " +
                                   std::to_string(options_.max_payload_bytes) + " in all");
  }
  if (open_.size() >= options_.max_open_messages) {
    return base::ResourceExhausted("got more than " + std::to_string(options_.max_open_messages) +
                                   " messages under way at one time");
  }
  return OkStatus();
}

Status Reassembler::Append(const v1::Frame& frame, Incoming* incoming) {
  const std::string& data = frame.data();
  const uint64_t arrived = incoming->payload.size() + data.size();
  if (arrived > incoming->promised) {
    return base::InvalidArgument(Number(frame.message()) + ": got " + std::to_string(arrived) +
                                 " bytes of payload, want the promised " +
                                 std::to_string(incoming->promised));
  }
  if (arrived > incoming->payload.capacity()) {
    incoming->payload.reserve(Reserve(arrived, incoming->promised));
    AdviseHugePages(&incoming->payload);
  }
  const ByteView bytes = base::AsBytes(data);
  incoming->payload.insert(incoming->payload.end(), bytes.begin(), bytes.end());
  return OkStatus();
}

uint64_t Reassembler::reserved_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [number, incoming] : open_) bytes += incoming.payload.capacity();
  return bytes;
}

}  // namespace weft::net
