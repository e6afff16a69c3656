#include "net/sender.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "base/text.h"
#include "net/wire.h"

namespace weft::net {
namespace {

// So that a million empty messages do not count as nothing.
constexpr uint64_t kOverheadBytes = 256;

// A payload of so much is not sent in one frame.
constexpr uint64_t kLeastToTimeBytes = 64 << 10;

Status Full(const char* what, uint64_t queued, uint64_t limit) {
  return base::ResourceExhausted(std::string(what) + " waiting to be sent: got " +
                                 base::HumanBytes(static_cast<double>(queued)) + ", want at most " +
                                 base::HumanBytes(static_cast<double>(limit)) +
                                 " (the other side does not keep up)");
}

}  // namespace

Sender::Sender(const SessionOptions& options)
    : options_(options), chunk_bytes_(options.chunk_bytes) {
  CHECK(options_.chunk_bytes > 0 && options_.chunk_bytes <= kMaxChunkBytes)
      << "chunk_bytes is " << options_.chunk_bytes;
}

Status Sender::Enqueue(const cluster::Envelope& envelope) {
  Outgoing outgoing;
  RETURN_IF_ERROR(EncodeEnvelope(envelope, &outgoing.head));
  outgoing.cost = kOverheadBytes + outgoing.head.ByteSizeLong();

  const cluster::Payload* payload = PayloadOf(envelope.message);
  if (payload == nullptr || *payload == nullptr || (*payload)->empty()) {
    if (!control_.empty() && control_bytes_ + outgoing.cost > options_.max_queued_control_bytes) {
      return Full("messages", control_bytes_, options_.max_queued_control_bytes);
    }
    control_bytes_ += outgoing.cost;
    control_.push_back(std::move(outgoing));
    return OkStatus();
  }

  outgoing.payload = *payload;
  const uint64_t size = outgoing.payload->size();
  if (size > options_.max_payload_bytes) {
    return base::InvalidArgument("payload: got " + std::to_string(size) + " bytes, want at most " +
                                 std::to_string(options_.max_payload_bytes));
  }
  outgoing.cost += size;
  if (!bulk_.empty() && bulk_bytes_ + outgoing.cost > options_.max_queued_bulk_bytes) {
    return Full("payloads", bulk_bytes_, options_.max_queued_bulk_bytes);
  }
  bulk_bytes_ += outgoing.cost;
  outgoing.order = cluster::SendOrderOf(envelope.message);
  QueueBulk(std::move(outgoing));
  return OkStatus();
}

void Sender::QueueBulk(Outgoing outgoing) {
  const auto is_begun = [](const Outgoing& waits) { return waits.number != 0; };
  const auto open = static_cast<size_t>(std::ranges::count_if(bulk_, is_begun));
  const bool may_interrupt = open < options_.max_open_messages;
  auto place = bulk_.end();
  for (; place != bulk_.begin(); --place) {
    const Outgoing& before = *std::prev(place);
    if (!may_interrupt && is_begun(before)) break;
    if (!cluster::Overtakes(outgoing.order, before.order)) break;
  }
  bulk_.insert(place, std::move(outgoing));
}

bool Sender::Next(v1::Frame* frame) { return NextControl(frame) || NextBulk(frame); }

bool Sender::NextControl(v1::Frame* frame) {
  if (control_.empty()) return false;
  Outgoing& outgoing = control_.front();
  frame->Clear();
  frame->set_message(++last_number_);
  frame->mutable_head()->Swap(&outgoing.head);
  control_bytes_ -= outgoing.cost;
  control_.pop_front();
  return true;
}

bool Sender::NextBulk(v1::Frame* frame) {
  if (bulk_.empty()) return false;
  Outgoing& outgoing = bulk_.front();
  const Bytes& payload = *outgoing.payload;
  frame->Clear();
  if (outgoing.number == 0) {
    outgoing.number = ++last_number_;
    frame->mutable_head()->Swap(&outgoing.head);
    frame->set_payload_bytes(payload.size());
  }
  frame->set_message(outgoing.number);
  uint64_t size = std::min<uint64_t>(chunk_bytes_, payload.size() - outgoing.sent);
  // Of two halves the other side can time the second (transfer_timer.h).
  if (size == payload.size() && size >= kLeastToTimeBytes) size = (size + 1) / 2;
  frame->set_data(payload.data() + outgoing.sent, size);
  outgoing.sent += size;
  if (outgoing.sent == payload.size()) {
    bulk_bytes_ -= outgoing.cost;
    bulk_.pop_front();
  }
  return true;
}

// A frame that is smaller says little of whole ones.
void Sender::NoteWrite(size_t bytes, double seconds) {
  if (bytes < chunk_bytes_) return;
  if (seconds > kMostChunkSeconds) {
    chunk_bytes_ = std::max(chunk_bytes_ / 2, std::min(kLeastChunkBytes, options_.chunk_bytes));
  } else if (seconds < kMostChunkSeconds / 4) {
    chunk_bytes_ = std::min(chunk_bytes_ * 2, options_.chunk_bytes);
  }
}

void Sender::Clear() {
  control_.clear();
  bulk_.clear();
  control_bytes_ = 0;
  bulk_bytes_ = 0;
}

}  // namespace weft::net
