#include <fmt/format.h>

#include "cluster/describe.h"
#include "sim/checker.h"
#include "sim/push_log.h"

namespace weft::sim {
namespace {

using cluster::Envelope;

class Terms : public Checker {
 public:
  std::string_view name() const override { return "fencing"; }

  void OnHubStarted(TimePoint now, uint64_t term, int64_t) override {
    if (term <= term_) {
      Violate(now, fmt::format("the hub starts under term {}; want more than {}", term, term_));
    }
    term_ = term;
  }

  void OnSent(TimePoint now, const Envelope& envelope) override {
    std::visit([&](const auto& message) { Sent(now, envelope, message); }, envelope.message);
  }

  void OnDelivered(TimePoint now, const Envelope& envelope) override {
    if (const auto* welcome = std::get_if<cluster::Welcome>(&envelope.message)) {
      WelcomeOf(welcome->device) = welcome->term;
    } else if (const auto* record = std::get_if<cluster::Committed>(&envelope.message)) {
      // That of a device may come late; the coordinator does not hear it then.
      if (envelope.from.device == 0) Want(now, envelope, record->term, term_);
    }
  }

 private:
  template <class Other>
  void Sent(TimePoint, const Envelope&, const Other&) {}
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Grant& grant) {
    Want(now, envelope, grant.term, term_);
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Committed& record) {
    Want(now, envelope, record.term, TermOf(envelope.from));
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Parameters& parameters) {
    Want(now, envelope, parameters.term, TermOf(envelope.from));
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Pull& pull) {
    Want(now, envelope, pull.term, WelcomeOf(pull.device));
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Push& push) {
    Want(now, envelope, push.term, WelcomeOf(push.device));
    pushes_.Add(push);
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::JointPush& joint) {
    Want(now, envelope, joint.term, TermOf(envelope.from));
    for (const cluster::Push& push : joint.updates) Want(now, envelope, push.term, joint.term);
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::UseRelay& use) {
    Want(now, envelope, use.term, term_);
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Replicate& copy) {
    Want(now, envelope, copy.term, TermOf(envelope.from));
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Replicated& word) {
    Want(now, envelope, word.term, TermOf(envelope.from));
  }
  // The update itself must be of this term too, not only the answer.
  void Sent(TimePoint now, const Envelope& envelope, const cluster::PushAck& ack) {
    if (!ack.applied) return;
    const uint64_t term = TermOf(envelope.from);
    Want(now, envelope, ack.term, term);
    const PushLog::Entry* entry = pushes_.Find(envelope.to.device, ack.sequence);
    if (entry == nullptr || entry->term == term) return;
    Violate(now, fmt::format("number {} of device {}, pushed under term {}, is applied; want "
                             "nothing taken but of term {}",
                             ack.sequence, envelope.to.device, entry->term, term));
  }

  void Want(TimePoint now, const Envelope& envelope, uint64_t got, uint64_t want) {
    if (got == want) return;
    Violate(now, fmt::format("{} to {}, {}: it carries term {}; want {}",
                             cluster::Describe(envelope.from), cluster::Describe(envelope.to),
                             cluster::MessageName(envelope.message), got, want));
  }

  // By which one speaks: a device by that of its welcome.
  uint64_t TermOf(cluster::Address from) {
    return from.device == 0 ? term_ : WelcomeOf(from.device);
  }
  uint64_t& WelcomeOf(cluster::DeviceId device) {
    if (device >= welcomed_.size()) welcomed_.resize(device + 1);
    return welcomed_[device];
  }

  uint64_t term_ = 0;               // of the hub
  std::vector<uint64_t> welcomed_;  // by device id: the term of its last welcome
  PushLog pushes_;
};

}  // namespace

std::unique_ptr<Checker> MakeTermChecker(const cluster::JobSpec&) {
  return std::make_unique<Terms>();
}

}  // namespace weft::sim
