#include "sim/leader_costs.h"

#include <variant>

namespace weft::sim {

double LeaderCosts::Receive(const cluster::Message& message) const {
  double seconds = options_.message_seconds;
  if (const auto* push = std::get_if<cluster::Push>(&message)) {
    seconds += options_.push_seconds * ShareOf(push->range);
  } else if (const auto* joint = std::get_if<cluster::JointPush>(&message)) {
    seconds += options_.push_seconds * ShareOf(joint->range);
  } else if (const auto* replicate = std::get_if<cluster::Replicate>(&message)) {
    seconds += options_.push_seconds * ShareOf(replicate->range);
  }
  return seconds;
}

// A leader with a standby applies when it replicates and reports later; the standby confirms.
double LeaderCosts::Apply(const cluster::Message& heard, const cluster::Actions& actions) const {
  const bool confirmed = std::holds_alternative<cluster::Replicated>(heard);
  double seconds = 0;
  for (const cluster::Action& action : actions) {
    const auto* send = std::get_if<cluster::Send>(&action);
    if (send == nullptr) continue;
    if (const auto* done = std::get_if<cluster::Committed>(&send->message)) {
      if (!confirmed) seconds += options_.apply_seconds * ShareOf(done->range);
    } else if (const auto* replicate = std::get_if<cluster::Replicate>(&send->message)) {
      seconds += options_.apply_seconds * ShareOf(replicate->range);
    } else if (const auto* replicated = std::get_if<cluster::Replicated>(&send->message)) {
      seconds += options_.apply_seconds * ShareOf(replicated->range);
    }
  }
  return seconds;
}

double LeaderCosts::Send(const cluster::Message& message) const {
  const auto of = [&](const auto* m) { return options_.send_seconds * ShareOf(m->range); };
  if (const auto* m = std::get_if<cluster::Parameters>(&message)) return of(m);
  if (const auto* m = std::get_if<cluster::Push>(&message)) return of(m);
  if (const auto* m = std::get_if<cluster::JointPush>(&message)) return of(m);
  if (const auto* m = std::get_if<cluster::Replicate>(&message)) return of(m);
  if (const auto* m = std::get_if<cluster::RangeState>(&message)) return of(m);
  return 0;
}

}  // namespace weft::sim
