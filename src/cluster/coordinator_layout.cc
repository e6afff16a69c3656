// Coordinator: who leads what, and what becomes of it when a device goes.

#include <fmt/format.h>

#include <algorithm>

#include "cluster/coordinator.h"
#include "cluster/describe.h"

namespace weft::cluster {

// Between steps, with nothing under way.
bool Coordinator::ReshapeIfDue() { return false; }

void Coordinator::BeginReshape(Layout next) {
  phase_ = Phase::kReshaping;
  const Reshape reshape = seats_.Begin(term_, std::move(next));
  for (const DeviceId device : seats_.concerned()) {
    actions_.push_back(Send{{device, Role::kLeader}, reshape});
  }
}

void Coordinator::On(TimePoint, Address from, const Seated& seated) {
  if (from.role != Role::kLeader) return NotTaken(from, seated);
  if (seated.term != term_ || phase_ != Phase::kReshaping) return;
  if (!seated.problem.empty()) {
    Emit(Warning{fmt::format("{} cannot hold {}: {}", Describe(from), Describe(seated.range),
                             seated.problem)});
    seats_.Abandon();
  } else if (!seats_.OnSeated(from, seated)) {
    return;
  } else {
    TellLayout();
    Emit(LeadersChanged{seats_.layout().number, seats_.layout().parts, "a new plan"});
    book_.SetRanges(seats_.layout());
  }
  phase_ = Phase::kWaiting;
  Advance();
}

void Coordinator::TellLayout() {
  const Relayout relayout{term_, seats_.layout()};
  actions_.push_back(Send{spec_.leader, relayout});
  for (const auto& [device, known] : devices_.living()) {
    if (!known.endpoint.empty()) actions_.push_back(Send{{device, Role::kLeader}, relayout});
    ToWorker(device, relayout);
  }
}

// What the device led, its standby leads from now on.
void Coordinator::LoseSeats(DeviceId device) {
  const LayoutKeeper::Loss loss = seats_.Lose(device);
  if (loss.orphaned) {
    return Fail({Code::kUnavailable,
                 fmt::format("values {} were led by device {}, and no other device has them: go on "
                             "from the last checkpoint with --resume",
                             Describe(*loss.orphaned), device)});
  }
  if (loss.changed) {
    TellLayout();
    Emit(LeadersChanged{seats_.layout().number, seats_.layout().parts,
                        fmt::format("device {} is gone", device)});
  }
  for (const Range& range : loss.promoted) {
    const auto part = std::ranges::find(seats_.layout().parts, range, &Layout::Part::range);
    if (phase_ == Phase::kStepping) SendBeginStep(*part, asked_step_ == step_ + 1);
    if (phase_ == Phase::kStreaming) SendBeginStream(*part, mode_);
    if (phase_ == Phase::kSettling && !ended_.contains(range)) SendEndStream(*part);
  }
  if (loss.abandoned && phase_ == Phase::kReshaping) {
    phase_ = Phase::kWaiting;
    Advance();
  }
}

}  // namespace weft::cluster
