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
      Want(now, envelope, record->term, term_);
    }
  }

 private:
  template <class Other>
  void Sent(TimePoint, const Envelope&, const Other&) {}
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Grant& grant) {
    Want(now, envelope, grant.term, term_);
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Committed& record) {
    Want(now, envelope, record.term, term_);
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Parameters& parameters) {
    Want(now, envelope, parameters.term, term_);
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Pull& pull) {
    Want(now, envelope, pull.term, WelcomeOf(pull.device));
  }
  void Sent(TimePoint now, const Envelope& envelope, const cluster::Push& push) {
    Want(now, envelope, push.term, WelcomeOf(push.device));
    pushes_.Add(push);
  }
  // The update itself must be of this term too, not only the answer.
  void Sent(TimePoint now, const Envelope& envelope, const cluster::PushAck& ack) {
    if (!ack.applied) return;
    Want(now, envelope, ack.term, term_);
    const PushLog::Entry* entry = pushes_.Find(envelope.to.device, ack.sequence);
    if (entry == nullptr || entry->term == term_) return;
    Violate(now, fmt::format("number {} of device {}, pushed under term {}, is applied; want "
                             "nothing taken but of term {}",
                             ack.sequence, envelope.to.device, entry->term, term_));
  }

  void Want(TimePoint now, const Envelope& envelope, uint64_t got, uint64_t want) {
    if (got == want) return;
    Violate(now, fmt::format("{} to {}, {}: it carries term {}; want {}",
                             cluster::Describe(envelope.from), cluster::Describe(envelope.to),
                             cluster::MessageName(envelope.message), got, want));
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
