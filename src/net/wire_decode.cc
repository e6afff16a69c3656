#include <google/protobuf/repeated_ptr_field.h>

#include <string>
#include <string_view>
#include <vector>

#include "net/limits.h"
#include "net/wire.h"
#include "net/wire_check.h"
#include "proto/weft.pb.h"

namespace weft::net {
namespace {

using cluster::Address;
using cluster::Lease;
using cluster::Role;

class Decoder {
 public:
  const Status& status() const { return check_.status(); }

  Address Get(std::string_view field, const v1::Address& from) {
    Address to{.device = from.device()};
    switch (from.role()) {
      case v1::ROLE_COORDINATOR:
        to.role = Role::kCoordinator;
        return to;
      case v1::ROLE_LEADER:
        to.role = Role::kLeader;
        return to;
      case v1::ROLE_WORKER:
        to.role = Role::kWorker;
        return to;
      default:  // proto3 lets every number through
        check_.Note(std::string(field) + ".role: got " + std::to_string(from.role()) +
                    ", want 1..3 (coordinator, leader, worker)");
        return to;
    }
  }

  cluster::Hello Get(const v1::Hello& from) {
    return {.name = Text("hello.name", from.name(), kMaxNameBytes),
            .incarnation = from.incarnation(),
            .token = Text("hello.token", from.token(), kMaxNameBytes),
            .program = Text("hello.program", from.program(), kMaxNameBytes),
            .cores = from.cores(),
            .memory_bytes = from.memory_bytes(),
            .device = from.device()};
  }

  cluster::Welcome Get(const v1::Welcome& from) {
    return {.device = from.device(),
            .term = from.term(),
            .run = Text("welcome.run", from.run(), kMaxNameBytes),
            .job = Text("welcome.job", from.job(), kMaxDocumentBytes),
            .model = Text("welcome.model", from.model(), kMaxDocumentBytes),
            .leader = Get("welcome.leader", from.leader()),
            .heartbeat_ms = from.heartbeat_ms(),
            .device_timeout_ms = from.device_timeout_ms()};
  }

  cluster::Refuse Get(const v1::Refuse& from) {
    return {.code = check_.StatusCode("refuse.code", from.code()),
            .reason = Text("refuse.reason", from.reason(), kMaxReasonBytes),
            .retry = from.retry()};
  }

  static cluster::Heartbeat Get(const v1::Heartbeat& from) {
    return {.term = from.term(),
            .samples_per_second = from.samples_per_second(),
            .loss = from.loss(),
            .step = static_cast<int64_t>(from.step_plus_1() - 1),
            .leases = static_cast<int64_t>(from.leases_plus_1() - 1)};
  }

  static cluster::HeartbeatAck Get(const v1::HeartbeatAck& from) { return {.term = from.term()}; }

  static cluster::Grant Get(const v1::Grant& from) {
    return {.term = from.term(),
            .lease = Get(from.lease()),
            .version = from.version(),
            .next = Get(from.next()),
            .again = from.again()};
  }

  cluster::ReturnLease Get(const v1::ReturnLease& from) {
    return {.term = from.term(),
            .lease = Get(from.lease()),
            .reason = Text("return_lease.reason", from.reason(), kMaxReasonBytes)};
  }

  cluster::Fault Get(const v1::Fault& from) {
    return {.term = from.term(),
            .step = from.step(),
            .code = check_.StatusCode("fault.code", from.code()),
            .reason = Text("fault.reason", from.reason(), kMaxReasonBytes)};
  }

  cluster::Finished Get(const v1::Finished& from) {
    return {.term = from.term(),
            .code = check_.StatusCode("finished.code", from.code()),
            .reason = Text("finished.reason", from.reason(), kMaxReasonBytes)};
  }

  cluster::Bye Get(const v1::Bye& from) {
    return {.reason = Text("bye.reason", from.reason(), kMaxReasonBytes)};
  }

  static cluster::Push Get(const v1::Push& from) {
    return {.term = from.term(),
            .device = from.device(),
            .incarnation = from.incarnation(),
            .sequence = from.sequence(),
            .lease = Get(from.lease()),
            .version = from.version(),
            .loss_sum = from.loss_sum(),
            .correct = from.correct(),
            .gradient = nullptr};
  }

  static cluster::PushAck Get(const v1::PushAck& from) {
    return {.term = from.term(),
            .sequence = from.sequence(),
            .applied = from.applied(),
            .version = from.version()};
  }

  static cluster::Pull Get(const v1::Pull& from) {
    return {.term = from.term(), .device = from.device(), .version = from.version()};
  }

  static cluster::Parameters Get(const v1::Parameters& from) {
    return {.term = from.term(), .version = from.version(), .values = nullptr};
  }

  cluster::BeginStep Get(const v1::BeginStep& from) {
    return {.term = from.term(),
            .step = from.step(),
            .epoch = from.epoch(),
            .total_samples = from.total_samples(),
            .leases = Leases("begin_step.leases", from.leases()),
            .lr = from.lr(),
            .checkpoint = from.checkpoint()};
  }

  cluster::Committed Get(const v1::Committed& from) {
    check_.AtMost("committed.devices", static_cast<size_t>(from.devices_size()), kMaxLeases,
                  "devices");
    return {.term = from.term(),
            .step = from.step(),
            .version = from.version(),
            .leases = Leases("committed.leases", from.leases()),
            .devices = {from.devices().begin(), from.devices().end()},
            .loss_sum = from.loss_sum(),
            .correct = from.correct(),
            .samples = from.samples(),
            .gradient_norm = from.gradient_norm(),
            .problem = Text("committed.problem", from.problem(), kMaxReasonBytes)};
  }

  static cluster::AskMissing Get(const v1::AskMissing& from) {
    return {.term = from.term(), .step = from.step()};
  }

  cluster::Missing Get(const v1::Missing& from) {
    check_.AtMost("missing.slots", static_cast<size_t>(from.slots_size()), kMaxLeases, "slots");
    return {.term = from.term(),
            .step = from.step(),
            .slots = {from.slots().begin(), from.slots().end()}};
  }

  cluster::CheckpointDone Get(const v1::CheckpointDone& from) {
    return {.term = from.term(),
            .step = from.step(),
            .path = Text("checkpoint_done.path", from.path(), kMaxReasonBytes),
            .problem = Text("checkpoint_done.problem", from.problem(), kMaxReasonBytes)};
  }

  cluster::Message Body(const v1::Envelope& from) {
    switch (from.body_case()) {  // no default: the compiler names a kind that is missing
      case v1::Envelope::kHello:
        return Get(from.hello());
      case v1::Envelope::kWelcome:
        return Get(from.welcome());
      case v1::Envelope::kRefuse:
        return Get(from.refuse());
      case v1::Envelope::kHeartbeat:
        return Get(from.heartbeat());
      case v1::Envelope::kGrant:
        return Get(from.grant());
      case v1::Envelope::kReturnLease:
        return Get(from.return_lease());
      case v1::Envelope::kFault:
        return Get(from.fault());
      case v1::Envelope::kFinished:
        return Get(from.finished());
      case v1::Envelope::kBye:
        return Get(from.bye());
      case v1::Envelope::kPush:
        return Get(from.push());
      case v1::Envelope::kPushAck:
        return Get(from.push_ack());
      case v1::Envelope::kPull:
        return Get(from.pull());
      case v1::Envelope::kParameters:
        return Get(from.parameters());
      case v1::Envelope::kBeginStep:
        return Get(from.begin_step());
      case v1::Envelope::kCommitted:
        return Get(from.committed());
      case v1::Envelope::kCheckpointDone:
        return Get(from.checkpoint_done());
      case v1::Envelope::kHeartbeatAck:
        return Get(from.heartbeat_ack());
      case v1::Envelope::kAskMissing:
        return Get(from.ask_missing());
      case v1::Envelope::kMissing:
        return Get(from.missing());
      case v1::Envelope::BODY_NOT_SET:
        break;
    }
    check_.Note(
        "message kind: got none or an unknown one, want one of weft.v1 "
        "(does the other side run a newer weft?)");
    return cluster::Bye{};
  }

 private:
  static Lease Get(const v1::Lease& from) {
    return {.id = from.id(),
            .step = from.step(),
            .epoch = from.epoch(),
            .slot = from.slot(),
            .begin = from.begin(),
            .count = from.count()};
  }

  std::string Text(std::string_view field, const std::string& from, size_t limit) {
    check_.AtMost(field, from.size(), limit, "bytes");
    return check_.status().ok() ? from : std::string();
  }

  std::vector<Lease> Leases(std::string_view field,
                            const google::protobuf::RepeatedPtrField<v1::Lease>& from) {
    check_.AtMost(field, static_cast<size_t>(from.size()), kMaxLeases, "leases");
    std::vector<Lease> to;
    if (!check_.status().ok()) return to;
    to.reserve(static_cast<size_t>(from.size()));
    for (const v1::Lease& lease : from) to.push_back(Get(lease));
    return to;
  }

  WireCheck check_;
};

}  // namespace

Result<cluster::Envelope> DecodeEnvelope(const v1::Envelope& in) {
  Decoder decoder;
  cluster::Envelope out;
  out.from = decoder.Get("from", in.from());
  out.to = decoder.Get("to", in.to());
  out.message = decoder.Body(in);
  RETURN_IF_ERROR(decoder.status());
  return out;
}

}  // namespace weft::net
