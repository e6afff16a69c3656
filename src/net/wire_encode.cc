#include <google/protobuf/repeated_ptr_field.h>

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "net/limits.h"
#include "net/utf8.h"
#include "net/wire.h"
#include "net/wire_check.h"
#include "proto/weft.pb.h"

namespace weft::net {
namespace {

using cluster::Address;
using cluster::Lease;
using cluster::Role;

// One overload of Put a message kind: a new kind without one does not compile.
class Encoder {
 public:
  const Status& status() const { return check_.status(); }

  void Put(const Address& from, v1::Address* to) {
    to->set_device(from.device);
    switch (from.role) {
      case Role::kCoordinator:
        return to->set_role(v1::ROLE_COORDINATOR);
      case Role::kLeader:
        return to->set_role(v1::ROLE_LEADER);
      case Role::kWorker:
        return to->set_role(v1::ROLE_WORKER);
      case Role::kStore:
        return to->set_role(v1::ROLE_STORE);
      case Role::kRelay:
        return to->set_role(v1::ROLE_RELAY);
    }
    check_.Note("role: got " + std::to_string(static_cast<int>(from.role)) +
                ", want coordinator, leader, worker, store or relay");
  }

  void Put(const cluster::Hello& from, v1::Envelope* envelope) {
    v1::Hello* to = envelope->mutable_hello();
    Text("hello.name", from.name, kMaxNameBytes, to->mutable_name());
    to->set_incarnation(from.incarnation);
    Text("hello.token", from.token, kMaxNameBytes, to->mutable_token());
    Text("hello.program", from.program, kMaxNameBytes, to->mutable_program());
    to->set_cores(from.cores);
    to->set_memory_bytes(from.memory_bytes);
    to->set_device(from.device);
    Text("hello.endpoint", from.endpoint, kMaxNameBytes, to->mutable_endpoint());
    to->set_storage_bytes(from.storage_bytes);
    Text("hello.site", from.site, kMaxNameBytes, to->mutable_site());
  }

  void Put(const cluster::Welcome& from, v1::Envelope* envelope) {
    v1::Welcome* to = envelope->mutable_welcome();
    to->set_device(from.device);
    to->set_term(from.term);
    Text("welcome.run", from.run, kMaxNameBytes, to->mutable_run());
    Text("welcome.job", from.job, kMaxDocumentBytes, to->mutable_job());
    Text("welcome.model", from.model, kMaxDocumentBytes, to->mutable_model());
    Put(from.layout, to->mutable_layout());
    to->set_shard_plus_1(static_cast<uint64_t>(from.shard) + 1);
    to->set_heartbeat_ms(from.heartbeat_ms);
    to->set_device_timeout_ms(from.device_timeout_ms);
  }

  void Put(const cluster::Refuse& from, v1::Envelope* envelope) {
    v1::Refuse* to = envelope->mutable_refuse();
    to->set_code(check_.StatusCode("refuse.code", from.code));
    Text("refuse.reason", from.reason, kMaxReasonBytes, to->mutable_reason());
    to->set_retry(from.retry);
  }

  void Put(const cluster::Heartbeat& from, v1::Envelope* envelope) {
    v1::Heartbeat* to = envelope->mutable_heartbeat();
    to->set_term(from.term);
    to->set_samples_per_second(from.samples_per_second);
    to->set_loss(from.loss);
    to->set_version_plus_1(static_cast<uint64_t>(from.version) + 1);
    to->set_leases_plus_1(static_cast<uint64_t>(from.leases) + 1);
    Put(from.stats, to->mutable_stats());
  }

  void Put(const cluster::HeartbeatAck& from, v1::Envelope* envelope) {
    envelope->mutable_heartbeat_ack()->set_term(from.term);
  }

  void Put(const cluster::Grant& from, v1::Envelope* envelope) {
    v1::Grant* to = envelope->mutable_grant();
    to->set_term(from.term);
    Put(from.lease, to->mutable_lease());
    to->set_version(from.version);
    Put(from.next, to->mutable_next());
    to->set_again(from.again);
    to->set_newest(from.newest);
    to->set_overlap(from.overlap);
    to->set_lr(from.lr);
    to->set_joint(from.joint);
    to->set_local_steps(from.local_steps);
    to->set_density(from.density);
    to->set_value_kind(from.value_kind);
  }

  void Put(const cluster::ReturnLease& from, v1::Envelope* envelope) {
    v1::ReturnLease* to = envelope->mutable_return_lease();
    to->set_term(from.term);
    Put(from.lease, to->mutable_lease());
    Text("return_lease.reason", from.reason, kMaxReasonBytes, to->mutable_reason());
    to->set_refused(from.refused);
  }

  void Put(const cluster::Fault& from, v1::Envelope* envelope) {
    v1::Fault* to = envelope->mutable_fault();
    to->set_term(from.term);
    to->set_step(from.step);
    to->set_code(check_.StatusCode("fault.code", from.code));
    Text("fault.reason", from.reason, kMaxReasonBytes, to->mutable_reason());
  }

  void Put(const cluster::Finished& from, v1::Envelope* envelope) {
    v1::Finished* to = envelope->mutable_finished();
    to->set_term(from.term);
    to->set_code(check_.StatusCode("finished.code", from.code));
    Text("finished.reason", from.reason, kMaxReasonBytes, to->mutable_reason());
  }

  void Put(const cluster::Bye& from, v1::Envelope* envelope) {
    Text("bye.reason", from.reason, kMaxReasonBytes, envelope->mutable_bye()->mutable_reason());
  }

  void Put(const cluster::Push& from, v1::Envelope* envelope) {
    Put(from, envelope->mutable_push());
  }

  void Put(const cluster::JointPush& from, v1::Envelope* envelope) {
    v1::JointPush* to = envelope->mutable_joint_push();
    to->set_term(from.term);
    Put(from.range, to->mutable_range());
    PutAll("joint_push.updates", from.updates, to->mutable_updates());
  }

  void Put(const cluster::PushAgain& from, v1::Envelope* envelope) {
    v1::PushAgain* to = envelope->mutable_push_again();
    to->set_term(from.term);
    to->set_sequence(from.sequence);
  }

  void Put(const cluster::UseRelay& from, v1::Envelope* envelope) {
    v1::UseRelay* to = envelope->mutable_use_relay();
    to->set_term(from.term);
    to->set_number(from.number);
    to->set_relay(from.relay);
    Text("use_relay.endpoint", from.endpoint, kMaxEndpointBytes, to->mutable_endpoint());
    check_.AtMost("use_relay.members", from.members.size(), kMaxLeases, "members");
    to->mutable_members()->Add(from.members.begin(), from.members.end());
  }

  void Put(const cluster::Push& from, v1::Push* to) {
    to->set_term(from.term);
    to->set_device(from.device);
    to->set_incarnation(from.incarnation);
    to->set_sequence(from.sequence);
    Put(from.lease, to->mutable_lease());
    to->set_version(from.version);
    to->set_loss_sum(from.loss_sum);
    to->set_correct(from.correct);
    Put(from.range, to->mutable_range());
    to->set_lr(from.lr);
    to->set_joint(from.joint);
  }

  void Put(const cluster::PushAck& from, v1::Envelope* envelope) {
    v1::PushAck* to = envelope->mutable_push_ack();
    to->set_term(from.term);
    to->set_sequence(from.sequence);
    to->set_applied(from.applied);
    to->set_version(from.version);
    Put(from.range, to->mutable_range());
  }

  void Put(const cluster::Pull& from, v1::Envelope* envelope) {
    v1::Pull* to = envelope->mutable_pull();
    to->set_term(from.term);
    to->set_device(from.device);
    to->set_version(from.version);
    Put(from.range, to->mutable_range());
    to->set_log(from.log);
    to->set_base(static_cast<uint64_t>(from.base) + 1);
  }

  void Put(const cluster::Parameters& from, v1::Envelope* envelope) {
    v1::Parameters* to = envelope->mutable_parameters();
    to->set_term(from.term);
    to->set_version(from.version);
    Put(from.range, to->mutable_range());
    to->set_log(from.log);
    to->set_base(static_cast<uint64_t>(from.base) + 1);
  }

  void Put(const cluster::BeginStep& from, v1::Envelope* envelope) {
    v1::BeginStep* to = envelope->mutable_begin_step();
    to->set_term(from.term);
    to->set_step(from.step);
    to->set_epoch(from.epoch);
    to->set_total_samples(from.total_samples);
    PutAll("begin_step.leases", from.leases, to->mutable_leases());
    to->set_lr(from.lr);
    to->set_checkpoint(from.checkpoint);
    Put(from.range, to->mutable_range());
    to->set_quorum_samples(from.quorum_samples);
    to->set_version(from.version);
    to->set_density(from.density);
    to->set_value_kind(from.value_kind);
  }

  void Put(const cluster::Committed& from, v1::Envelope* envelope) {
    Put(from, envelope->mutable_committed());
  }

  void Put(const cluster::Committed& from, v1::Committed* to) {
    to->set_term(from.term);
    to->set_step(from.step);
    to->set_version(from.version);
    PutAll("committed.leases", from.leases, to->mutable_leases());
    check_.AtMost("committed.devices", from.devices.size(), kMaxLeases, "devices");
    to->mutable_devices()->Add(from.devices.begin(), from.devices.end());
    to->set_loss_sum(from.loss_sum);
    to->set_correct(from.correct);
    to->set_samples(from.samples);
    to->set_gradient_norm(from.gradient_norm);
    Text("committed.problem", from.problem, kMaxReasonBytes, to->mutable_problem());
    Put(from.range, to->mutable_range());
  }

  void Put(const cluster::AskMissing& from, v1::Envelope* envelope) {
    v1::AskMissing* to = envelope->mutable_ask_missing();
    to->set_term(from.term);
    to->set_step(from.step);
    Put(from.range, to->mutable_range());
  }

  void Put(const cluster::Missing& from, v1::Envelope* envelope) {
    v1::Missing* to = envelope->mutable_missing();
    to->set_term(from.term);
    to->set_step(from.step);
    check_.AtMost("missing.slots", from.slots.size(), kMaxLeases, "slots");
    to->mutable_slots()->Add(from.slots.begin(), from.slots.end());
    Put(from.range, to->mutable_range());
  }

  void Put(const cluster::CheckpointDone& from, v1::Envelope* envelope) {
    v1::CheckpointDone* to = envelope->mutable_checkpoint_done();
    to->set_term(from.term);
    to->set_step(from.step);
    Text("checkpoint_done.path", from.path, kMaxReasonBytes, to->mutable_path());
    Text("checkpoint_done.problem", from.problem, kMaxReasonBytes, to->mutable_problem());
  }

  void Put(const cluster::BeginStream& from, v1::Envelope* envelope) {
    v1::BeginStream* to = envelope->mutable_begin_stream();
    to->set_term(from.term);
    Put(from.range, to->mutable_range());
    to->set_mode(from.mode);
    to->set_step(from.step);
  }

  void Put(const cluster::EndStream& from, v1::Envelope* envelope) {
    v1::EndStream* to = envelope->mutable_end_stream();
    to->set_term(from.term);
    Put(from.range, to->mutable_range());
    to->set_checkpoint(from.checkpoint);
    to->set_step(from.step);
  }

  void Put(const cluster::StreamEnded& from, v1::Envelope* envelope) {
    v1::StreamEnded* to = envelope->mutable_stream_ended();
    to->set_term(from.term);
    Put(from.range, to->mutable_range());
    to->set_version(from.version);
  }

  void Put(const cluster::Replicate& from, v1::Envelope* envelope) {
    v1::Replicate* to = envelope->mutable_replicate();
    to->set_term(from.term);
    to->set_layout(from.layout);
    Put(from.range, to->mutable_range());
    Put(from.record, to->mutable_record());
    to->set_lr(from.lr);
    to->set_fraction(from.fraction);
    PutAll("replicate.applied", from.applied, to->mutable_applied());
    to->set_has_momentum(from.has_momentum);
  }

  void Put(const cluster::Replicated& from, v1::Envelope* envelope) {
    v1::Replicated* to = envelope->mutable_replicated();
    to->set_term(from.term);
    to->set_layout(from.layout);
    Put(from.range, to->mutable_range());
    to->set_version(from.version);
  }

  void Put(const cluster::Reshape& from, v1::Envelope* envelope) {
    v1::Reshape* to = envelope->mutable_reshape();
    to->set_term(from.term);
    Put(from.from, to->mutable_from());
    Put(from.to, to->mutable_to());
  }

  void Put(const cluster::RangeState& from, v1::Envelope* envelope) {
    v1::RangeState* to = envelope->mutable_range_state();
    to->set_term(from.term);
    to->set_layout(from.layout);
    Put(from.range, to->mutable_range());
    to->set_step(from.step);
    to->set_version(from.version);
    to->set_optimizer_steps(from.optimizer_steps);
    PutAll("range_state.applied", from.applied, to->mutable_applied());
  }

  void Put(const cluster::Seated& from, v1::Envelope* envelope) {
    v1::Seated* to = envelope->mutable_seated();
    to->set_term(from.term);
    to->set_layout(from.layout);
    Put(from.range, to->mutable_range());
    to->set_version(from.version);
    to->set_standby(from.standby);
    Text("seated.problem", from.problem, kMaxReasonBytes, to->mutable_problem());
  }

  void Put(const cluster::Relayout& from, v1::Envelope* envelope) {
    v1::Relayout* to = envelope->mutable_relayout();
    to->set_term(from.term);
    Put(from.layout, to->mutable_layout());
  }

  void Put(const cluster::AskSamples& from, v1::Envelope* envelope) {
    v1::AskSamples* to = envelope->mutable_ask_samples();
    to->set_term(from.term);
    to->set_request(from.request);
    check_.AtMost("ask_samples.indices", from.indices.size(), kMaxLeases, "indices");
    to->mutable_indices()->Add(from.indices.begin(), from.indices.end());
  }

  void Put(const cluster::Samples& from, v1::Envelope* envelope) {
    v1::Samples* to = envelope->mutable_samples();
    to->set_term(from.term);
    to->set_request(from.request);
    to->set_count(from.count);
    Text("samples.problem", from.problem, kMaxReasonBytes, to->mutable_problem());
  }

 private:
  static void Put(const cluster::Range& from, v1::Range* to) {
    to->set_begin(from.begin);
    to->set_count(from.count);
  }

  static void Put(const cluster::Applied& from, v1::Applied* to) {
    to->set_device(from.device);
    to->set_incarnation(from.incarnation);
    to->set_sequence(from.sequence);
    to->set_lease(from.lease);
  }

  static void Put(const cluster::DeviceStats& from, v1::DeviceStats* to) {
    to->set_lease_seconds(from.lease_seconds);
    to->set_sample_seconds(from.sample_seconds);
    to->set_up_bytes_per_second(from.up_bytes_per_second);
    to->set_down_bytes_per_second(from.down_bytes_per_second);
    to->set_round_trip_seconds(from.round_trip_seconds);
    to->set_free_bytes(from.free_bytes);
    to->set_other_load(from.other_load);
    to->set_temperature(from.temperature);
    to->set_changes(from.changes);
    to->set_stored_bytes(from.stored_bytes);
    to->set_leases(from.leases);
    to->set_last_samples(from.last_samples);
    to->set_last_seconds(from.last_seconds);
    to->set_plan_seconds(from.plan_seconds);
  }

  void Put(const cluster::Layout& from, v1::Layout* to) {
    to->set_number(from.number);
    check_.AtMost("layout.parts", from.parts.size(), kMaxParts, "parts");
    for (const cluster::Layout::Part& part : from.parts) {
      v1::Layout::Part* put = to->add_parts();
      Put(part.range, put->mutable_range());
      Put(part.leader, put->mutable_leader());
      Text("layout.endpoint", part.endpoint, kMaxEndpointBytes, put->mutable_endpoint());
      put->set_standby(part.standby);
      Text("layout.standby_endpoint", part.standby_endpoint, kMaxEndpointBytes,
           put->mutable_standby_endpoint());
    }
  }

  static void Put(const Lease& from, v1::Lease* to) {
    to->set_id(from.id);
    to->set_step(from.step);
    to->set_epoch(from.epoch);
    to->set_slot(from.slot);
    to->set_begin(from.begin);
    to->set_count(from.count);
  }

  void Text(std::string_view field, const std::string& from, size_t limit, std::string* to) {
    check_.AtMost(field, from.size(), limit, "bytes");
    *to = ToValidUtf8(from);
  }

  template <class From, class To>
  void PutAll(std::string_view field, const std::vector<From>& from,
              google::protobuf::RepeatedPtrField<To>* to) {
    check_.AtMost(field, from.size(), kMaxLeases, "entries");
    for (const From& each : from) Put(each, to->Add());
  }

  WireCheck check_;
};

// The payload of those kinds that have one.
template <class Other>
const cluster::Payload* PayloadIn(const Other&) {
  return nullptr;
}
const cluster::Payload* PayloadIn(const cluster::Push& m) { return &m.gradient; }
const cluster::Payload* PayloadIn(const cluster::JointPush& m) { return &m.gradient; }
const cluster::Payload* PayloadIn(const cluster::Parameters& m) { return &m.values; }
const cluster::Payload* PayloadIn(const cluster::Replicate& m) { return &m.gradient; }
const cluster::Payload* PayloadIn(const cluster::RangeState& m) { return &m.values; }
const cluster::Payload* PayloadIn(const cluster::Samples& m) { return &m.values; }

}  // namespace

Status EncodeEnvelope(const cluster::Envelope& envelope, v1::Envelope* out) {
  Encoder encoder;
  encoder.Put(envelope.from, out->mutable_from());
  encoder.Put(envelope.to, out->mutable_to());
  std::visit([&](const auto& message) { encoder.Put(message, out); }, envelope.message);
  RETURN_IF_ERROR(encoder.status());
  // Every field has its limit; this is for what they come to together.
  WireCheck whole;
  whole.AtMost("message", out->ByteSizeLong(), kMaxHeadBytes, "bytes");
  return whole.status();
}

const cluster::Payload* PayloadOf(const cluster::Message& message) {
  return std::visit([](const auto& each) { return PayloadIn(each); }, message);
}

cluster::Payload* PayloadOf(cluster::Message* message) {
  return const_cast<cluster::Payload*>(PayloadOf(std::as_const(*message)));
}

}  // namespace weft::net
