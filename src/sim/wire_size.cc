#include "sim/wire_size.h"

#include <variant>

namespace weft::sim {
namespace {

constexpr int64_t kEnvelope = 40;       // addresses and tags of the protobuf, for any message
constexpr int64_t kLease = 30;          // six varints with tags
constexpr int64_t kGrpcPrefix = 5;      // length-prefixed message
constexpr int64_t kHttp2Frame = 9;      // header of a DATA frame
constexpr int64_t kHttp2Most = 16384;   // bytes in one (RFC 9113, SETTINGS_MAX_FRAME_SIZE)
constexpr int64_t kChunk = 256 * 1024;  // of a payload, in one gRPC message (net/options.h)
constexpr int64_t kChunkHead = 20;      // its protobuf: number, offset, lengths

int64_t Size(const std::string& text) { return static_cast<int64_t>(text.size()); }
int64_t Size(const cluster::Payload& payload) {
  return payload == nullptr ? 0 : static_cast<int64_t>(payload->size());
}

// What a message has beside its payload and the envelope.
int64_t Head(const cluster::Hello& m) {
  return 40 + Size(m.name) + Size(m.token) + Size(m.program);
}
int64_t Head(const cluster::Welcome& m) { return 40 + Size(m.run) + Size(m.job) + Size(m.model); }
int64_t Head(const cluster::Refuse& m) { return 10 + Size(m.reason); }
int64_t Head(const cluster::Heartbeat&) { return 36; }
int64_t Head(const cluster::HeartbeatAck&) { return 5; }
int64_t Head(const cluster::Grant&) { return 20 + 2 * kLease; }
int64_t Head(const cluster::ReturnLease& m) { return 10 + kLease + Size(m.reason); }
int64_t Head(const cluster::Fault& m) { return 20 + Size(m.reason); }
int64_t Head(const cluster::Finished& m) { return 10 + Size(m.reason); }
int64_t Head(const cluster::Bye& m) { return 5 + Size(m.reason); }
int64_t Head(const cluster::Push&) { return 50 + kLease; }
int64_t Head(const cluster::PushAck&) { return 15; }
int64_t Head(const cluster::Pull&) { return 15; }
int64_t Head(const cluster::Parameters&) { return 15; }
int64_t Head(const cluster::BeginStep& m) {
  return 40 + kLease * static_cast<int64_t>(m.leases.size());
}
int64_t Head(const cluster::Committed& m) {
  return 60 + (kLease + 4) * static_cast<int64_t>(m.leases.size());
}
int64_t Head(const cluster::AskMissing&) { return 10; }
int64_t Head(const cluster::Missing& m) { return 15 + 2 * static_cast<int64_t>(m.slots.size()); }
int64_t Head(const cluster::CheckpointDone& m) { return 20 + Size(m.path) + Size(m.problem); }

int64_t PayloadBytes(const cluster::Message& message, const WireOptions& wire) {
  if (const auto* push = std::get_if<cluster::Push>(&message)) {
    return wire.push_bytes > 0 ? wire.push_bytes : Size(push->gradient);
  }
  if (const auto* parameters = std::get_if<cluster::Parameters>(&message)) {
    return wire.parameters_bytes > 0 ? wire.parameters_bytes : Size(parameters->values);
  }
  return 0;
}

constexpr int64_t Framed(int64_t bytes, int64_t part, int64_t header) {
  return bytes + header * ((bytes + part - 1) / part);
}

}  // namespace

bool HasPayload(const cluster::Message& message) {
  return std::holds_alternative<cluster::Push>(message) ||
         std::holds_alternative<cluster::Parameters>(message);
}

int64_t StreamBytes(const cluster::Message& message, const WireOptions& wire) {
  const int64_t head =
      kEnvelope + std::visit([](const auto& m) { return Head(m); }, message) + kGrpcPrefix;
  const int64_t payload = PayloadBytes(message, wire);
  return Framed(head + Framed(payload, kChunk, kGrpcPrefix + kChunkHead), kHttp2Most, kHttp2Frame);
}

}  // namespace weft::sim
