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
    }
    check_.Note("role: got " + std::to_string(static_cast<int>(from.role)) +
                ", want coordinator, leader or worker");
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
  }

  void Put(const cluster::Welcome& from, v1::Envelope* envelope) {
    v1::Welcome* to = envelope->mutable_welcome();
    to->set_device(from.device);
    to->set_term(from.term);
    Text("welcome.run", from.run, kMaxNameBytes, to->mutable_run());
    Text("welcome.job", from.job, kMaxDocumentBytes, to->mutable_job());
    Text("welcome.model", from.model, kMaxDocumentBytes, to->mutable_model());
    Put(from.leader, to->mutable_leader());
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
    to->set_step_plus_1(static_cast<uint64_t>(from.step) + 1);
    to->set_leases_plus_1(static_cast<uint64_t>(from.leases) + 1);
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
  }

  void Put(const cluster::ReturnLease& from, v1::Envelope* envelope) {
    v1::ReturnLease* to = envelope->mutable_return_lease();
    to->set_term(from.term);
    Put(from.lease, to->mutable_lease());
    Text("return_lease.reason", from.reason, kMaxReasonBytes, to->mutable_reason());
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
    v1::Push* to = envelope->mutable_push();
    to->set_term(from.term);
    to->set_device(from.device);
    to->set_incarnation(from.incarnation);
    to->set_sequence(from.sequence);
    Put(from.lease, to->mutable_lease());
    to->set_version(from.version);
    to->set_loss_sum(from.loss_sum);
    to->set_correct(from.correct);
  }

  void Put(const cluster::PushAck& from, v1::Envelope* envelope) {
    v1::PushAck* to = envelope->mutable_push_ack();
    to->set_term(from.term);
    to->set_sequence(from.sequence);
    to->set_applied(from.applied);
    to->set_version(from.version);
  }

  void Put(const cluster::Pull& from, v1::Envelope* envelope) {
    v1::Pull* to = envelope->mutable_pull();
    to->set_term(from.term);
    to->set_device(from.device);
    to->set_version(from.version);
  }

  void Put(const cluster::Parameters& from, v1::Envelope* envelope) {
    v1::Parameters* to = envelope->mutable_parameters();
    to->set_term(from.term);
    to->set_version(from.version);
  }

  void Put(const cluster::BeginStep& from, v1::Envelope* envelope) {
    v1::BeginStep* to = envelope->mutable_begin_step();
    to->set_term(from.term);
    to->set_step(from.step);
    to->set_epoch(from.epoch);
    to->set_total_samples(from.total_samples);
    Leases("begin_step.leases", from.leases, to->mutable_leases());
    to->set_lr(from.lr);
    to->set_checkpoint(from.checkpoint);
  }

  void Put(const cluster::Committed& from, v1::Envelope* envelope) {
    v1::Committed* to = envelope->mutable_committed();
    to->set_term(from.term);
    to->set_step(from.step);
    to->set_version(from.version);
    Leases("committed.leases", from.leases, to->mutable_leases());
    check_.AtMost("committed.devices", from.devices.size(), kMaxLeases, "devices");
    to->mutable_devices()->Add(from.devices.begin(), from.devices.end());
    to->set_loss_sum(from.loss_sum);
    to->set_correct(from.correct);
    to->set_samples(from.samples);
    to->set_gradient_norm(from.gradient_norm);
    Text("committed.problem", from.problem, kMaxReasonBytes, to->mutable_problem());
  }

  void Put(const cluster::AskMissing& from, v1::Envelope* envelope) {
    v1::AskMissing* to = envelope->mutable_ask_missing();
    to->set_term(from.term);
    to->set_step(from.step);
  }

  void Put(const cluster::Missing& from, v1::Envelope* envelope) {
    v1::Missing* to = envelope->mutable_missing();
    to->set_term(from.term);
    to->set_step(from.step);
    check_.AtMost("missing.slots", from.slots.size(), kMaxLeases, "slots");
    to->mutable_slots()->Add(from.slots.begin(), from.slots.end());
  }

  void Put(const cluster::CheckpointDone& from, v1::Envelope* envelope) {
    v1::CheckpointDone* to = envelope->mutable_checkpoint_done();
    to->set_term(from.term);
    to->set_step(from.step);
    Text("checkpoint_done.path", from.path, kMaxReasonBytes, to->mutable_path());
    Text("checkpoint_done.problem", from.problem, kMaxReasonBytes, to->mutable_problem());
  }

 private:
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

  void Leases(std::string_view field, const std::vector<Lease>& from,
              google::protobuf::RepeatedPtrField<v1::Lease>* to) {
    check_.AtMost(field, from.size(), kMaxLeases, "leases");
    for (const Lease& lease : from) Put(lease, to->Add());
  }

  WireCheck check_;
};

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
  if (const auto* push = std::get_if<cluster::Push>(&message)) return &push->gradient;
  if (const auto* parameters = std::get_if<cluster::Parameters>(&message)) {
    return &parameters->values;
  }
  return nullptr;
}

cluster::Payload* PayloadOf(cluster::Message* message) {
  return const_cast<cluster::Payload*>(PayloadOf(std::as_const(*message)));
}

}  // namespace weft::net
