#include <fmt/format.h>

#include <algorithm>

#include "cluster/leader.h"
#include "sim/checker.h"
#include "sim/push_log.h"

namespace weft::sim {
namespace {

class Survival : public Checker {
 public:
  std::string_view name() const override { return "survival"; }

  void OnHubStarted(TimePoint now, uint64_t, int64_t first_step) override {
    if (first_step < saved_) {
      Violate(now, fmt::format("the hub starts at step {}; want {}, which was saved, or later",
                               first_step, saved_));
    }
    version_ = first_step;
    acknowledged_ = -1;
  }

  void OnEvent(TimePoint, const cluster::Event& event) override {
    const auto* saved = std::get_if<cluster::CheckpointSaved>(&event);
    if (saved != nullptr) saved_ = std::max(saved_, saved->step);
  }

  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    if (const auto* push = std::get_if<cluster::Push>(&envelope.message)) {
      pushes_.Add(*push);
    } else if (const auto* ack = std::get_if<cluster::PushAck>(&envelope.message)) {
      if (ack->applied) Applied(now, envelope.to.device, *ack);
    }
  }

  void OnHubRest(TimePoint now, const cluster::Coordinator&,
                 const cluster::Leader& leader) override {
    if (leader.version() < version_) {
      Violate(now, fmt::format("the version falls from {} to {}; want it to rise only", version_,
                               leader.version()));
    }
    version_ = leader.version();
    if (version_ > acknowledged_) return;
    Violate(now, fmt::format("an update of step {} was acknowledged as applied, but the parameters "
                             "are of version {}; want {} or more",
                             acknowledged_, version_, acknowledged_ + 1));
    acknowledged_ = -1;
  }

 private:
  void Applied(TimePoint now, cluster::DeviceId device, const cluster::PushAck& ack) {
    const PushLog::Entry* entry = pushes_.Find(device, ack.sequence);
    if (entry == nullptr) return;
    acknowledged_ = std::max(acknowledged_, entry->step);
    if (ack.version > entry->step) return;
    Violate(now, fmt::format("number {} of device {}, of step {}, is acknowledged as applied in "
                             "version {}; want {} or more",
                             ack.sequence, device, entry->step, ack.version, entry->step + 1));
  }

  PushLog pushes_;
  int64_t saved_ = 0;
  int64_t version_ = 0;
  int64_t acknowledged_ = -1;  // newest step with such an update, in this life of the hub
};

}  // namespace

std::unique_ptr<Checker> MakeSurvivalChecker(const cluster::JobSpec&) {
  return std::make_unique<Survival>();
}

}  // namespace weft::sim
