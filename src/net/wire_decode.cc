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
      case v1::ROLE_STORE:
        to.role = Role::kStore;
        return to;
      case v1::ROLE_RELAY:
        to.role = Role::kRelay;
        return to;
      default:  // proto3 lets every number through
        check_.Note(std::string(field) + ".role: got " + std::to_string(from.role()) +
                    ", want 1..5 (coordinator, leader, worker, store, relay)");
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
            .device = from.device(),
            .endpoint = Text("hello.endpoint", from.endpoint(), kMaxNameBytes),
            .storage_bytes = from.storage_bytes(),
            .site = Text("hello.site", from.site(), kMaxNameBytes)};
  }

  cluster::Welcome Get(const v1::Welcome& from) {
    return {.device = from.device(),
            .term = from.term(),
            .run = Text("welcome.run", from.run(), kMaxNameBytes),
            .job = Text("welcome.job", from.job(), kMaxDocumentBytes),
            .model = Text("welcome.model", from.model(), kMaxDocumentBytes),
            .layout = Get(from.layout()),
            .heartbeat_ms = from.heartbeat_ms(),
            .device_timeout_ms = from.device_timeout_ms(),
            .shard = static_cast<int64_t>(from.shard_plus_1() - 1)};
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
            .version = static_cast<int64_t>(from.version_plus_1() - 1),
            .leases = static_cast<int64_t>(from.leases_plus_1() - 1),
            .stats = Get(from.stats())};
  }

  static cluster::HeartbeatAck Get(const v1::HeartbeatAck& from) { return {.term = from.term()}; }

  static cluster::Grant Get(const v1::Grant& from) {
    return {.term = from.term(),
            .lease = Get(from.lease()),
            .version = from.version(),
            .next = Get(from.next()),
            .again = from.again(),
            .newest = from.newest(),
            .overlap = from.overlap(),
            .lr = from.lr(),
            .joint = from.joint(),
            .local_steps = from.local_steps(),
            .density = from.density(),
            .value_kind = static_cast<uint8_t>(from.value_kind() & 0xFF)};
  }

  cluster::ReturnLease Get(const v1::ReturnLease& from) {
    return {.term = from.term(),
            .lease = Get(from.lease()),
            .reason = Text("return_lease.reason", from.reason(), kMaxReasonBytes),
            .refused = from.refused()};
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
            .gradient = nullptr,
            .range = Get(from.range()),
            .lr = from.lr(),
            .joint = from.joint()};
  }

  static cluster::PushAck Get(const v1::PushAck& from) {
    return {.term = from.term(),
            .sequence = from.sequence(),
            .applied = from.applied(),
            .version = from.version(),
            .range = Get(from.range())};
  }

  static cluster::Pull Get(const v1::Pull& from) {
    return {.term = from.term(),
            .device = from.device(),
            .version = from.version(),
            .range = Get(from.range()),
            .log = from.log(),
            .base = static_cast<int64_t>(from.base() - 1)};
  }

  static cluster::Parameters Get(const v1::Parameters& from) {
    return {.term = from.term(),
            .version = from.version(),
            .values = nullptr,
            .range = Get(from.range()),
            .log = from.log(),
            .base = static_cast<int64_t>(from.base() - 1)};
  }

  cluster::BeginStep Get(const v1::BeginStep& from) {
    return {.term = from.term(),
            .step = from.step(),
            .epoch = from.epoch(),
            .total_samples = from.total_samples(),
            .leases = GetAll<Lease>("begin_step.leases", from.leases()),
            .lr = from.lr(),
            .checkpoint = from.checkpoint(),
            .range = Get(from.range()),
            .quorum_samples = from.quorum_samples(),
            .version = from.version(),
            .density = from.density(),
            .value_kind = static_cast<uint8_t>(from.value_kind() & 0xFF)};
  }

  cluster::Committed Get(const v1::Committed& from) {
    check_.AtMost("committed.devices", static_cast<size_t>(from.devices_size()), kMaxLeases,
                  "devices");
    return {.term = from.term(),
            .step = from.step(),
            .version = from.version(),
            .leases = GetAll<Lease>("committed.leases", from.leases()),
            .devices = {from.devices().begin(), from.devices().end()},
            .loss_sum = from.loss_sum(),
            .correct = from.correct(),
            .samples = from.samples(),
            .gradient_norm = from.gradient_norm(),
            .problem = Text("committed.problem", from.problem(), kMaxReasonBytes),
            .range = Get(from.range())};
  }

  static cluster::AskMissing Get(const v1::AskMissing& from) {
    return {.term = from.term(), .step = from.step(), .range = Get(from.range())};
  }

  cluster::Missing Get(const v1::Missing& from) {
    check_.AtMost("missing.slots", static_cast<size_t>(from.slots_size()), kMaxLeases, "slots");
    return {.term = from.term(),
            .step = from.step(),
            .slots = {from.slots().begin(), from.slots().end()},
            .range = Get(from.range())};
  }

  cluster::CheckpointDone Get(const v1::CheckpointDone& from) {
    return {.term = from.term(),
            .step = from.step(),
            .path = Text("checkpoint_done.path", from.path(), kMaxReasonBytes),
            .problem = Text("checkpoint_done.problem", from.problem(), kMaxReasonBytes)};
  }

  static cluster::BeginStream Get(const v1::BeginStream& from) {
    return {.term = from.term(),
            .range = Get(from.range()),
            .mode = static_cast<uint8_t>(from.mode() & 0xFF),
            .step = from.step()};
  }

  static cluster::EndStream Get(const v1::EndStream& from) {
    return {.term = from.term(),
            .range = Get(from.range()),
            .checkpoint = from.checkpoint(),
            .step = from.step()};
  }

  static cluster::StreamEnded Get(const v1::StreamEnded& from) {
    return {.term = from.term(), .range = Get(from.range()), .version = from.version()};
  }

  cluster::Replicate Get(const v1::Replicate& from) {
    return {.term = from.term(),
            .layout = from.layout(),
            .range = Get(from.range()),
            .record = Get(from.record()),
            .lr = from.lr(),
            .fraction = from.fraction(),
            .applied = GetAll<cluster::Applied>("replicate.applied", from.applied()),
            .gradient = nullptr,
            .has_momentum = from.has_momentum()};
  }

  static cluster::Replicated Get(const v1::Replicated& from) {
    return {.term = from.term(),
            .layout = from.layout(),
            .range = Get(from.range()),
            .version = from.version()};
  }

  cluster::Reshape Get(const v1::Reshape& from) {
    return {.term = from.term(), .from = Get(from.from()), .to = Get(from.to())};
  }

  cluster::RangeState Get(const v1::RangeState& from) {
    return {.term = from.term(),
            .layout = from.layout(),
            .range = Get(from.range()),
            .step = from.step(),
            .version = from.version(),
            .optimizer_steps = from.optimizer_steps(),
            .applied = GetAll<cluster::Applied>("range_state.applied", from.applied()),
            .values = nullptr};
  }

  cluster::Seated Get(const v1::Seated& from) {
    return {.term = from.term(),
            .layout = from.layout(),
            .range = Get(from.range()),
            .version = from.version(),
            .standby = from.standby(),
            .problem = Text("seated.problem", from.problem(), kMaxReasonBytes)};
  }

  cluster::Relayout Get(const v1::Relayout& from) {
    return {.term = from.term(), .layout = Get(from.layout())};
  }

  cluster::AskSamples Get(const v1::AskSamples& from) {
    check_.AtMost("ask_samples.indices", static_cast<size_t>(from.indices_size()), kMaxLeases,
                  "indices");
    return {.term = from.term(),
            .request = from.request(),
            .indices = {from.indices().begin(), from.indices().end()}};
  }

  cluster::Samples Get(const v1::Samples& from) {
    return {.term = from.term(),
            .request = from.request(),
            .count = from.count(),
            .problem = Text("samples.problem", from.problem(), kMaxReasonBytes),
            .values = nullptr};
  }

  cluster::JointPush Get(const v1::JointPush& from) {
    return {.term = from.term(),
            .range = Get(from.range()),
            .updates = GetAll<cluster::Push>("joint_push.updates", from.updates()),
            .gradient = nullptr};
  }

  static cluster::PushAgain Get(const v1::PushAgain& from) {
    return {.term = from.term(), .sequence = from.sequence()};
  }

  cluster::UseRelay Get(const v1::UseRelay& from) {
    check_.AtMost("use_relay.members", static_cast<size_t>(from.members_size()), kMaxLeases,
                  "members");
    return {.term = from.term(),
            .number = from.number(),
            .relay = from.relay(),
            .endpoint = Text("use_relay.endpoint", from.endpoint(), kMaxEndpointBytes),
            .members = {from.members().begin(), from.members().end()}};
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
      case v1::Envelope::kBeginStream:
        return Get(from.begin_stream());
      case v1::Envelope::kEndStream:
        return Get(from.end_stream());
      case v1::Envelope::kStreamEnded:
        return Get(from.stream_ended());
      case v1::Envelope::kReplicate:
        return Get(from.replicate());
      case v1::Envelope::kReplicated:
        return Get(from.replicated());
      case v1::Envelope::kReshape:
        return Get(from.reshape());
      case v1::Envelope::kRangeState:
        return Get(from.range_state());
      case v1::Envelope::kSeated:
        return Get(from.seated());
      case v1::Envelope::kRelayout:
        return Get(from.relayout());
      case v1::Envelope::kAskSamples:
        return Get(from.ask_samples());
      case v1::Envelope::kSamples:
        return Get(from.samples());
      case v1::Envelope::kJointPush:
        return Get(from.joint_push());
      case v1::Envelope::kPushAgain:
        return Get(from.push_again());
      case v1::Envelope::kUseRelay:
        return Get(from.use_relay());
      case v1::Envelope::BODY_NOT_SET:
        break;
    }
    check_.Note(
        "message kind: got none or an unknown one, want one of weft.v1 "
        "(does the other side run a newer weft?)");
    return cluster::Bye{};
  }

 private:
  static cluster::Range Get(const v1::Range& from) {
    return {.begin = from.begin(), .count = from.count()};
  }

  static cluster::Applied Get(const v1::Applied& from) {
    return {.device = from.device(),
            .incarnation = from.incarnation(),
            .sequence = from.sequence(),
            .lease = from.lease()};
  }

  static cluster::DeviceStats Get(const v1::DeviceStats& from) {
    return {.lease_seconds = from.lease_seconds(),
            .sample_seconds = from.sample_seconds(),
            .up_bytes_per_second = from.up_bytes_per_second(),
            .down_bytes_per_second = from.down_bytes_per_second(),
            .round_trip_seconds = from.round_trip_seconds(),
            .free_bytes = from.free_bytes(),
            .other_load = from.other_load(),
            .temperature = from.temperature(),
            .changes = from.changes(),
            .stored_bytes = from.stored_bytes(),
            .leases = from.leases(),
            .last_samples = from.last_samples(),
            .last_seconds = from.last_seconds(),
            .plan_seconds = from.plan_seconds()};
  }

  cluster::Layout Get(const v1::Layout& from) {
    check_.AtMost("layout.parts", static_cast<size_t>(from.parts_size()), kMaxParts, "parts");
    cluster::Layout to{.number = from.number(), .parts = {}};
    if (!check_.status().ok()) return to;
    for (const v1::Layout::Part& part : from.parts()) {
      to.parts.push_back({.range = Get(part.range()),
                          .leader = Get("layout.leader", part.leader()),
                          .endpoint = Text("layout.endpoint", part.endpoint(), kMaxEndpointBytes),
                          .standby = part.standby(),
                          .standby_endpoint = Text("layout.standby_endpoint",
                                                   part.standby_endpoint(), kMaxEndpointBytes)});
    }
    return to;
  }

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

  template <class To, class From>
  std::vector<To> GetAll(std::string_view field,
                         const google::protobuf::RepeatedPtrField<From>& from) {
    check_.AtMost(field, static_cast<size_t>(from.size()), kMaxLeases, "entries");
    std::vector<To> to;
    if (!check_.status().ok()) return to;
    to.reserve(static_cast<size_t>(from.size()));
    for (const From& each : from) to.push_back(Get(each));
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
