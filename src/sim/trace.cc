#include "sim/trace.h"

#include <fmt/format.h>

#include <variant>
#include <vector>

#include "base/rng.h"
#include "cluster/describe.h"

namespace weft::sim {
namespace {

using cluster::Address;
using cluster::Lease;

class Digest {
 public:
  Digest& operator<<(uint64_t word) {
    hash_ = base::Mix(hash_ * 0x9E3779B97F4A7C15ULL + word);
    return *this;
  }
  Digest& operator<<(int64_t value) { return *this << static_cast<uint64_t>(value); }
  Digest& operator<<(int32_t value) { return *this << static_cast<int64_t>(value); }
  Digest& operator<<(uint32_t value) { return *this << static_cast<uint64_t>(value); }
  Digest& operator<<(bool value) { return *this << static_cast<uint64_t>(value); }
  Digest& operator<<(Address address) {
    return *this << (uint64_t{address.device} << 8 | static_cast<uint64_t>(address.role));
  }
  Digest& operator<<(const Lease& lease) {
    return *this << lease.id << lease.step << lease.begin << lease.count;
  }
  Digest& operator<<(const cluster::Range& range) { return *this << range.begin << range.count; }
  Digest& operator<<(const cluster::Layout::Part& part) {
    return *this << part.range << part.leader << part.standby;
  }
  Digest& operator<<(const cluster::Layout& layout) {
    return *this << layout.number << layout.parts;
  }
  Digest& operator<<(const cluster::Applied& applied) {
    return *this << applied.device << applied.incarnation << applied.sequence << applied.lease;
  }
  template <class Value>
  Digest& operator<<(const std::vector<Value>& values) {
    *this << static_cast<uint64_t>(values.size());
    for (const Value& value : values) *this << value;
    return *this;
  }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0;
};

void Add(Digest& d, const cluster::Hello& m) { d << m.incarnation << m.device << m.cores; }
void Add(Digest& d, const cluster::Welcome& m) { d << m.device << m.term << m.layout << m.shard; }
void Add(Digest& d, const cluster::Refuse& m) { d << m.code << m.retry; }
void Add(Digest& d, const cluster::Heartbeat& m) { d << m.term << m.version << m.leases; }
void Add(Digest& d, const cluster::HeartbeatAck& m) { d << m.term; }
void Add(Digest& d, const cluster::Grant& m) {
  d << m.term << m.lease << m.version << m.next << m.again << m.newest << m.overlap << m.local_steps
    << m.value_kind;
}
void Add(Digest& d, const cluster::ReturnLease& m) { d << m.term << m.lease << m.refused; }
void Add(Digest& d, const cluster::Fault& m) { d << m.term << m.step << m.code; }
void Add(Digest& d, const cluster::Finished& m) { d << m.term << m.code; }
void Add(Digest&, const cluster::Bye&) {}
void Add(Digest& d, const cluster::Push& m) {
  d << m.term << m.device << m.incarnation << m.sequence << m.lease << m.version << m.correct
    << m.range;
}
void Add(Digest& d, const cluster::PushAck& m) {
  d << m.term << m.sequence << m.applied << m.version << m.range;
}
void Add(Digest& d, const cluster::Pull& m) {
  d << m.term << m.device << m.version << m.range;
  if (m.log != 0) d << m.log << m.base;
}
void Add(Digest& d, const cluster::Parameters& m) {
  d << m.term << m.version << m.range;
  if (m.log != 0) d << m.log << m.base;
}
void Add(Digest& d, const cluster::BeginStep& m) {
  d << m.term << m.step << m.epoch << m.total_samples << m.leases << m.checkpoint << m.range
    << m.quorum_samples << m.version << m.value_kind;
}
void Add(Digest& d, const cluster::Committed& m) {
  d << m.term << m.step << m.version << m.leases << m.devices << m.correct << m.samples
    << m.problem.empty() << m.range;
}
void Add(Digest& d, const cluster::AskMissing& m) { d << m.term << m.step << m.range; }
void Add(Digest& d, const cluster::Missing& m) { d << m.term << m.step << m.slots << m.range; }
void Add(Digest& d, const cluster::CheckpointDone& m) {
  d << m.term << m.step << m.problem.empty();
}
void Add(Digest& d, const cluster::BeginStream& m) {
  d << m.term << m.range << static_cast<uint32_t>(m.mode) << m.step;
}
void Add(Digest& d, const cluster::EndStream& m) {
  d << m.term << m.range << m.checkpoint << m.step;
}
void Add(Digest& d, const cluster::StreamEnded& m) { d << m.term << m.range << m.version; }
void Add(Digest& d, const cluster::Replicate& m) {
  d << m.term << m.layout << m.range << m.applied;
  Add(d, m.record);
}
void Add(Digest& d, const cluster::Replicated& m) {
  d << m.term << m.layout << m.range << m.version;
}
void Add(Digest& d, const cluster::Reshape& m) { d << m.term << m.from << m.to; }
void Add(Digest& d, const cluster::RangeState& m) {
  d << m.term << m.layout << m.range << m.step << m.version << m.optimizer_steps << m.applied;
}
void Add(Digest& d, const cluster::Seated& m) {
  d << m.term << m.layout << m.range << m.version << m.standby << m.problem.empty();
}
void Add(Digest& d, const cluster::Relayout& m) { d << m.term << m.layout; }
void Add(Digest& d, const cluster::AskSamples& m) { d << m.term << m.request << m.indices; }
void Add(Digest& d, const cluster::JointPush& m) {
  d << m.term << m.range;
  for (const cluster::Push& push : m.updates) Add(d, push);
}
void Add(Digest& d, const cluster::PushAgain& m) { d << m.term << m.sequence; }
void Add(Digest& d, const cluster::UseRelay& m) { d << m.term << m.number << m.relay << m.members; }
void Add(Digest& d, const cluster::Samples& m) { d << m.term << m.request << m.count; }

}  // namespace

uint64_t DigestOf(const cluster::Envelope& envelope) {
  Digest digest;
  digest << envelope.from << envelope.to << static_cast<uint64_t>(envelope.message.index());
  std::visit([&](const auto& message) { Add(digest, message); }, envelope.message);
  return digest.hash();
}

void TraceMessage(Loop* loop, uint64_t route, const cluster::Envelope& envelope) {
  loop->Mix({route, DigestOf(envelope)});
  if (!loop->verbose()) return;
  loop->Print(fmt::format("{} -> {}: {}", cluster::Describe(envelope.from),
                          cluster::Describe(envelope.to), cluster::Describe(envelope.message)));
}

}  // namespace weft::sim
