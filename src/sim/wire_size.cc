#include "sim/wire_size.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include "cluster/delta_log.h"

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

constexpr int64_t kRange = 12;    // two varints, tag and length
constexpr int64_t kApplied = 30;  // four varints, tag and length
constexpr int64_t kStats = 75;    // seven doubles and three varints
constexpr int64_t kLog = 9;       // two varints with tags
constexpr int64_t kDouble = 9;    // with its tag; one that is 0 is left out

int64_t Size(const cluster::Layout& layout) {
  int64_t bytes = 6;
  for (const cluster::Layout::Part& part : layout.parts) {
    bytes += 14 + kRange + Size(part.endpoint) + Size(part.standby_endpoint);
  }
  return bytes;
}

// What a message has beside its payload and the envelope.
int64_t Head(const cluster::Hello& m) {
  return 46 + Size(m.name) + Size(m.token) + Size(m.program) + Size(m.endpoint) + Size(m.site);
}
int64_t Head(const cluster::Welcome& m) {
  return 36 + Size(m.run) + Size(m.job) + Size(m.model) + Size(m.layout);
}
int64_t Head(const cluster::Refuse& m) { return 10 + Size(m.reason); }
int64_t Head(const cluster::Heartbeat& m) {
  return 36 + kStats + (m.stats.plan_seconds > 0 ? kDouble : 0);
}
int64_t Head(const cluster::HeartbeatAck&) { return 5; }
int64_t Head(const cluster::Grant&) { return 30 + 2 * kLease; }
int64_t Head(const cluster::ReturnLease& m) { return 10 + kLease + Size(m.reason); }
int64_t Head(const cluster::Fault& m) { return 20 + Size(m.reason); }
int64_t Head(const cluster::Finished& m) { return 10 + Size(m.reason); }
int64_t Head(const cluster::Bye& m) { return 5 + Size(m.reason); }
int64_t Head(const cluster::Push&) { return 60 + kLease + kRange; }
int64_t Head(const cluster::PushAck&) { return 15 + kRange; }
int64_t Head(const cluster::Pull& m) { return 15 + kRange + (m.log != 0 ? kLog : 0); }
int64_t Head(const cluster::Parameters& m) { return 15 + kRange + (m.log != 0 ? kLog : 0); }
int64_t Head(const cluster::BeginStep& m) {
  return 44 + kRange + kLease * static_cast<int64_t>(m.leases.size());
}
int64_t Head(const cluster::Committed& m) {
  return 60 + kRange + (kLease + 4) * static_cast<int64_t>(m.leases.size());
}
int64_t Head(const cluster::AskMissing&) { return 10 + kRange; }
int64_t Head(const cluster::Missing& m) {
  return 15 + kRange + 2 * static_cast<int64_t>(m.slots.size());
}
int64_t Head(const cluster::CheckpointDone& m) { return 20 + Size(m.path) + Size(m.problem); }

int64_t Head(const cluster::BeginStream&) { return 10 + kRange; }
int64_t Head(const cluster::EndStream&) { return 12 + kRange; }
int64_t Head(const cluster::StreamEnded&) { return 10 + kRange; }
int64_t Head(const cluster::Replicate& m) {
  return 30 + kRange + Head(m.record) + kApplied * static_cast<int64_t>(m.applied.size());
}
int64_t Head(const cluster::Replicated&) { return 15 + kRange; }
int64_t Head(const cluster::Reshape& m) { return 10 + Size(m.from) + Size(m.to); }
int64_t Head(const cluster::RangeState& m) {
  return 25 + kRange + kApplied * static_cast<int64_t>(m.applied.size());
}
int64_t Head(const cluster::Seated& m) { return 15 + kRange + Size(m.problem); }
int64_t Head(const cluster::Relayout& m) { return 5 + Size(m.layout); }
int64_t Head(const cluster::AskSamples& m) {
  return 12 + 3 * static_cast<int64_t>(m.indices.size());
}
int64_t Head(const cluster::JointPush& m) {
  int64_t bytes = 8 + kRange;
  for (const cluster::Push& push : m.updates) bytes += 4 + Head(push);
  return bytes;
}
int64_t Head(const cluster::PushAgain&) { return 10; }
int64_t Head(const cluster::UseRelay& m) {
  return 12 + Size(m.endpoint) + 3 * static_cast<int64_t>(m.members.size());
}
int64_t Head(const cluster::Samples& m) { return 15 + Size(m.problem); }

// Of a payload that is `whole` bytes for all of the vector; a message without a range means all.
int64_t ShareOf(int64_t whole, const cluster::Range& range, const WireOptions& wire) {
  if (range.count == 0 || wire.values == 0 || range.count == wire.values) return whole;
  const double share = static_cast<double>(range.count) / static_cast<double>(wire.values);
  return static_cast<int64_t>(std::llround(static_cast<double>(whole) * share));
}

// Where there are differences, parameters_bytes is one delta's, and a whole range is dense.
int64_t ParametersBytes(const cluster::Parameters& parameters, const WireOptions& wire) {
  if (wire.parameters_bytes == 0) return Size(parameters.values);
  const int64_t whole = parameters.log == 0 ? wire.parameters_bytes : wire.replica_bytes;
  if (parameters.base < 0) return ShareOf(whole, parameters.range, wire);
  if (parameters.values == nullptr) return 0;
  const int64_t deltas = cluster::CountDeltas(*parameters.values) * wire.parameters_bytes;
  return ShareOf(std::min(deltas, whole), parameters.range, wire);
}

int64_t PayloadBytes(const cluster::Message& message, const WireOptions& wire) {
  const auto told_or_real = [&](int64_t told, const auto* m, const cluster::Payload& real) {
    return told > 0 ? ShareOf(told, m->range, wire) : Size(real);
  };
  if (const auto* push = std::get_if<cluster::Push>(&message)) {
    return told_or_real(wire.push_bytes, push, push->gradient);
  }
  if (const auto* joint = std::get_if<cluster::JointPush>(&message)) {
    return told_or_real(wire.replica_bytes, joint, joint->gradient);  // dense, as that is
  }
  if (const auto* parameters = std::get_if<cluster::Parameters>(&message)) {
    return ParametersBytes(*parameters, wire);
  }
  if (const auto* replicate = std::get_if<cluster::Replicate>(&message)) {
    return told_or_real(wire.replica_bytes, replicate, replicate->gradient);
  }
  if (const auto* state = std::get_if<cluster::RangeState>(&message)) {
    return told_or_real(wire.state_bytes, state, state->values);
  }
  if (const auto* samples = std::get_if<cluster::Samples>(&message)) {
    return wire.sample_bytes > 0 ? wire.sample_bytes * samples->count : Size(samples->values);
  }
  return 0;
}

constexpr int64_t Framed(int64_t bytes, int64_t part, int64_t header) {
  return bytes + header * ((bytes + part - 1) / part);
}

}  // namespace

bool HasPayload(const cluster::Message& message) {
  return std::holds_alternative<cluster::Push>(message) ||
         std::holds_alternative<cluster::JointPush>(message) ||
         std::holds_alternative<cluster::Parameters>(message) ||
         std::holds_alternative<cluster::Replicate>(message) ||
         std::holds_alternative<cluster::RangeState>(message) ||
         std::holds_alternative<cluster::Samples>(message);
}

int64_t StreamBytes(const cluster::Message& message, const WireOptions& wire) {
  const int64_t head =
      kEnvelope + std::visit([](const auto& m) { return Head(m); }, message) + kGrpcPrefix;
  const int64_t payload = PayloadBytes(message, wire);
  return Framed(head + Framed(payload, kChunk, kGrpcPrefix + kChunkHead), kHttp2Most, kHttp2Frame);
}

}  // namespace weft::sim
