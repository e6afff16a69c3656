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
void Add(Digest& d, const cluster::Welcome& m) { d << m.device << m.term << m.leader; }
void Add(Digest& d, const cluster::Refuse& m) { d << m.code << m.retry; }
void Add(Digest& d, const cluster::Heartbeat& m) { d << m.term << m.step << m.leases; }
void Add(Digest& d, const cluster::HeartbeatAck& m) { d << m.term; }
void Add(Digest& d, const cluster::Grant& m) {
  d << m.term << m.lease << m.version << m.next << m.again;
}
void Add(Digest& d, const cluster::ReturnLease& m) { d << m.term << m.lease; }
void Add(Digest& d, const cluster::Fault& m) { d << m.term << m.step << m.code; }
void Add(Digest& d, const cluster::Finished& m) { d << m.term << m.code; }
void Add(Digest&, const cluster::Bye&) {}
void Add(Digest& d, const cluster::Push& m) {
  d << m.term << m.device << m.incarnation << m.sequence << m.lease << m.version << m.correct;
}
void Add(Digest& d, const cluster::PushAck& m) {
  d << m.term << m.sequence << m.applied << m.version;
}
void Add(Digest& d, const cluster::Pull& m) { d << m.term << m.device << m.version; }
void Add(Digest& d, const cluster::Parameters& m) { d << m.term << m.version; }
void Add(Digest& d, const cluster::BeginStep& m) {
  d << m.term << m.step << m.epoch << m.total_samples << m.leases << m.checkpoint;
}
void Add(Digest& d, const cluster::Committed& m) {
  d << m.term << m.step << m.version << m.leases << m.devices << m.correct << m.samples
    << m.problem.empty();
}
void Add(Digest& d, const cluster::AskMissing& m) { d << m.term << m.step; }
void Add(Digest& d, const cluster::Missing& m) { d << m.term << m.step << m.slots; }
void Add(Digest& d, const cluster::CheckpointDone& m) {
  d << m.term << m.step << m.problem.empty();
}

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
