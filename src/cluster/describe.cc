#include "cluster/describe.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace weft::cluster {
namespace {

std::string Body(const Payload& payload) {
  if (payload == nullptr) return "none";
  return fmt::format("{} bytes {:08x}", payload->size(), base::Crc32c(*payload));
}

std::string Fields(const Hello& m) {
  return fmt::format("name {} incarnation {} program {} device {}", m.name, m.incarnation,
                     m.program, m.device);
}
std::string Fields(const Welcome& m) {
  return fmt::format("device {} term {} run {} layout {} shard {}", m.device, m.term, m.run,
                     Describe(m.layout), m.shard);
}
std::string Fields(const Refuse& m) {
  return fmt::format("code {} retry {} reason {}", m.code, m.retry, m.reason);
}
std::string Fields(const Heartbeat& m) {
  return fmt::format("term {} rate {} loss {} version {} leases {}", m.term, m.samples_per_second,
                     m.loss, m.version, m.leases);
}
std::string Fields(const HeartbeatAck& m) { return fmt::format("term {}", m.term); }
std::string Fields(const Grant& m) {
  return fmt::format("term {} lease {} version {} next {} again {} newest {} overlap {} lr {}",
                     m.term, Describe(m.lease), m.version, Describe(m.next), m.again, m.newest,
                     m.overlap, m.lr);
}
std::string Fields(const ReturnLease& m) {
  return fmt::format("term {} lease {} reason {}", m.term, Describe(m.lease), m.reason);
}
std::string Fields(const Fault& m) {
  return fmt::format("term {} step {} code {} reason {}", m.term, m.step, m.code, m.reason);
}
std::string Fields(const Finished& m) {
  return fmt::format("term {} code {} reason {}", m.term, m.code, m.reason);
}
std::string Fields(const Bye& m) { return fmt::format("reason {}", m.reason); }
std::string Fields(const Push& m) {
  return fmt::format(
      "term {} device {} sequence {} lease {} range {} version {} loss {} correct {} "
      "body {}",
      m.term, m.device, m.sequence, Describe(m.lease), Describe(m.range), m.version, m.loss_sum,
      m.correct, Body(m.gradient));
}
std::string Fields(const PushAck& m) {
  return fmt::format("term {} sequence {} applied {} version {} range {}", m.term, m.sequence,
                     m.applied, m.version, Describe(m.range));
}
std::string Fields(const Pull& m) {
  return fmt::format("term {} device {} version {} range {}", m.term, m.device, m.version,
                     Describe(m.range));
}
std::string Fields(const Parameters& m) {
  return fmt::format("term {} version {} range {} body {}", m.term, m.version, Describe(m.range),
                     Body(m.values));
}
std::string Fields(const BeginStep& m) {
  return fmt::format("term {} step {} epoch {} samples {} leases {} lr {} checkpoint {} range {}",
                     m.term, m.step, m.epoch, m.total_samples, m.leases.size(), m.lr, m.checkpoint,
                     Describe(m.range));
}
std::string Fields(const Committed& m) {
  std::string leases, devices;
  for (const Lease& lease : m.leases) leases += ' ' + Describe(lease);
  for (DeviceId device : m.devices) devices += fmt::format(" {}", device);
  return fmt::format(
      "term {} step {} version {} range {} leases{} devices{} loss {} correct {} norm {} "
      "problem {}",
      m.term, m.step, m.version, Describe(m.range), leases, devices, m.loss_sum, m.correct,
      m.gradient_norm, m.problem);
}
std::string Fields(const AskMissing& m) { return fmt::format("term {} step {}", m.term, m.step); }
std::string Fields(const Missing& m) {
  std::string slots;
  for (int64_t slot : m.slots) slots += fmt::format(" {}", slot);
  return fmt::format("term {} step {} slots{}", m.term, m.step, slots);
}
std::string Fields(const CheckpointDone& m) {
  return fmt::format("term {} step {} path {} problem {}", m.term, m.step, m.path, m.problem);
}

std::string Fields(const BeginStream& m) {
  return fmt::format("term {} range {} mode {} step {}", m.term, Describe(m.range), m.mode, m.step);
}
std::string Fields(const EndStream& m) {
  return fmt::format("term {} range {} checkpoint {} step {}", m.term, Describe(m.range),
                     m.checkpoint, m.step);
}
std::string Fields(const StreamEnded& m) {
  return fmt::format("term {} range {} version {}", m.term, Describe(m.range), m.version);
}
std::string Fields(const Replicate& m) {
  return fmt::format("term {} layout {} range {} lr {} fraction {} updates {} body {}: {}", m.term,
                     m.layout, Describe(m.range), m.lr, m.fraction, m.applied.size(),
                     Body(m.gradient), Fields(m.record));
}
std::string Fields(const Replicated& m) {
  return fmt::format("term {} layout {} range {} version {}", m.term, m.layout, Describe(m.range),
                     m.version);
}
std::string Fields(const Reshape& m) {
  return fmt::format("term {} from {} to {}", m.term, Describe(m.from), Describe(m.to));
}
std::string Fields(const RangeState& m) {
  return fmt::format("term {} layout {} range {} step {} version {} body {}", m.term, m.layout,
                     Describe(m.range), m.step, m.version, Body(m.values));
}
std::string Fields(const Seated& m) {
  return fmt::format("term {} layout {} range {} version {} standby {} problem {}", m.term,
                     m.layout, Describe(m.range), m.version, m.standby, m.problem);
}
std::string Fields(const Relayout& m) {
  return fmt::format("term {} layout {}", m.term, Describe(m.layout));
}
std::string Fields(const AskSamples& m) {
  return fmt::format("term {} request {} indices {}", m.term, m.request, m.indices.size());
}
std::string Fields(const Samples& m) {
  return fmt::format("term {} request {} count {} problem {} body {}", m.term, m.request, m.count,
                     m.problem, Body(m.values));
}

std::string Fields(const JointPush& m) {
  std::string text =
      fmt::format("term {} range {} body {} of", m.term, Describe(m.range), Body(m.gradient));
  for (const Push& push : m.updates) {
    text += fmt::format(" {}.{} lease {}", push.device, push.sequence, Describe(push.lease));
  }
  return text;
}
std::string Fields(const PushAgain& m) {
  return fmt::format("term {} sequence {}", m.term, m.sequence);
}
std::string Fields(const UseRelay& m) {
  return fmt::format("term {} number {} relay {} members {}", m.term, m.number, m.relay,
                     m.members.size());
}

struct NameOf {
  std::string_view operator()(const Hello&) const { return "Hello"; }
  std::string_view operator()(const Welcome&) const { return "Welcome"; }
  std::string_view operator()(const Refuse&) const { return "Refuse"; }
  std::string_view operator()(const Heartbeat&) const { return "Heartbeat"; }
  std::string_view operator()(const Grant&) const { return "Grant"; }
  std::string_view operator()(const ReturnLease&) const { return "ReturnLease"; }
  std::string_view operator()(const Fault&) const { return "Fault"; }
  std::string_view operator()(const Finished&) const { return "Finished"; }
  std::string_view operator()(const Bye&) const { return "Bye"; }
  std::string_view operator()(const Push&) const { return "Push"; }
  std::string_view operator()(const PushAck&) const { return "PushAck"; }
  std::string_view operator()(const Pull&) const { return "Pull"; }
  std::string_view operator()(const Parameters&) const { return "Parameters"; }
  std::string_view operator()(const BeginStep&) const { return "BeginStep"; }
  std::string_view operator()(const Committed&) const { return "Committed"; }
  std::string_view operator()(const CheckpointDone&) const { return "CheckpointDone"; }
  std::string_view operator()(const HeartbeatAck&) const { return "HeartbeatAck"; }
  std::string_view operator()(const AskMissing&) const { return "AskMissing"; }
  std::string_view operator()(const Missing&) const { return "Missing"; }
  std::string_view operator()(const BeginStream&) const { return "BeginStream"; }
  std::string_view operator()(const EndStream&) const { return "EndStream"; }
  std::string_view operator()(const StreamEnded&) const { return "StreamEnded"; }
  std::string_view operator()(const Replicate&) const { return "Replicate"; }
  std::string_view operator()(const Replicated&) const { return "Replicated"; }
  std::string_view operator()(const Reshape&) const { return "Reshape"; }
  std::string_view operator()(const RangeState&) const { return "RangeState"; }
  std::string_view operator()(const Seated&) const { return "Seated"; }
  std::string_view operator()(const Relayout&) const { return "Relayout"; }
  std::string_view operator()(const AskSamples&) const { return "AskSamples"; }
  std::string_view operator()(const Samples&) const { return "Samples"; }
  std::string_view operator()(const JointPush&) const { return "JointPush"; }
  std::string_view operator()(const PushAgain&) const { return "PushAgain"; }
  std::string_view operator()(const UseRelay&) const { return "UseRelay"; }
};

}  // namespace

std::string_view MessageName(const Message& message) { return std::visit(NameOf(), message); }

std::string Describe(Address address) {
  switch (address.role) {
    case Role::kCoordinator:
      return "coordinator";
    case Role::kLeader:
      return address.device == kCoordinatorDevice ? "leader"
                                                  : fmt::format("leader {}", address.device);
    case Role::kWorker:
      return fmt::format("worker {}", address.device);
    case Role::kStore:
      return "store";
    case Role::kRelay:
      return fmt::format("relay {}", address.device);
  }
  return "nobody";
}

std::string Describe(const Lease& lease) {
  return fmt::format("{}.{}[{}+{}]", lease.step, lease.slot, lease.begin, lease.count);
}

std::string Describe(const Range& range) { return fmt::format("{}+{}", range.begin, range.count); }

std::string Describe(const Layout& layout) {
  std::string text = fmt::format("{}:", layout.number);
  for (const Layout::Part& part : layout.parts) {
    text += fmt::format(" {} {}", Describe(part.range), Describe(part.leader));
    if (part.standby != 0) text += fmt::format("/{}", part.standby);
  }
  return text;
}

std::string Describe(const Message& message) {
  return std::visit(
      [&](const auto& m) { return std::string(MessageName(message)) + " " + Fields(m); }, message);
}

}  // namespace weft::cluster
