// Shard: synchronous steps.

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "aggregate/staleness.h"
#include "base/planted.h"
#include "cluster/describe.h"
#include "cluster/shard.h"
#include "cluster/wire_status.h"

namespace weft::cluster {
namespace {

int64_t SamplesOf(const std::vector<Lease>& leases) {
  return std::accumulate(leases.begin(), leases.end(), int64_t{0},
                         [](int64_t sum, const Lease& lease) { return sum + lease.count; });
}

bool CanBegin(const BeginStep& begin) {
  const auto has_samples = [](const Lease& lease) { return lease.count > 0; };
  const bool only_asks = begin.leases.empty() && begin.checkpoint;
  return !only_asks && std::ranges::all_of(begin.leases, has_samples);
}

}  // namespace

void Shard::On(const BeginStep& begin) {
  if (!leads_) {
    return context_->Warn(fmt::format("step {} of {} has come to its standby; dropped", begin.step,
                                      Describe(range_)));
  }
  if (open_ && open_->step == begin.step) return GoOn(begin);
  if (WasBegun(begin)) return TellAgain(begin);
  if (open_ || stream_ || begin.version != version_ || !CanBegin(begin)) {
    return context_->ToCoordinator(
        Fault{term(), begin.step, CodeNumber(Code::kFailedPrecondition),
              fmt::format("the leader holds version {}: it cannot begin step {} of {} leases "
                          "from version {}",
                          version_, begin.step, begin.leases.size(), begin.version)});
  }
  Open(begin);
}

// Said again, to ask for a checkpoint, or because fewer leases are waited for.
void Shard::GoOn(const BeginStep& begin) {
  open_->checkpoint |= begin.checkpoint;
  if (begin.checkpoint) return;
  std::set<uint64_t> wanted;
  for (const Lease& lease : begin.leases) wanted.insert(lease.id);
  for (size_t slot = 0; slot < in_step_.size(); ++slot) {
    if (!in_step_[slot] && !wanted.contains(open_->leases[slot].id)) waived_.insert(slot);
  }
  if (StepIsFull()) ApplyStep();
}

// It is applied already.
bool Shard::WasBegun(const BeginStep& begin) const {
  return begin.step < next_step_ && (begin.version < version_ || begin.leases.empty());
}

// The record may have been lost, or the standby may not have heard; and a checkpoint can still be
// asked for, of the last step.
void Shard::TellAgain(const BeginStep& begin) {
  SendReplicas();
  if (begin.step + 1 != next_step_) return;
  const bool known = !records_.empty() && records_.back().step == begin.step;
  const bool asks = !begin.leases.empty() || !begin.checkpoint;
  if (known && asks && !replicas_.HoldsStep(begin.step)) {
    context_->ToCoordinator(records_.back());
  }
  if (begin.checkpoint) SayWhenSafe({.actions = {}, .save = next_step_});
}

void Shard::Open(const BeginStep& begin) {
  open_ = begin;
  leases_in_step_ = begin.leases.size();
  in_step_.assign(leases_in_step_, {});
  left_.clear();
  took_over_ = false;
  before_ = nullptr;  // this step begins everywhere
  Aim(begin);
  if (!begin.leases.empty()) {
    aggregator_->Begin(static_cast<int64_t>(begin.leases.size()), SamplesOf(begin.leases));
  }
  // A pull for the version that is there now may have come before its term did.
  AnswerPulls();
  if (begin.leases.empty()) return ApplyStep();
  DrainEarly();
}

// Which lease of the step it is of: mostly the one at its slot, or one of an earlier step, which
// was computed with an earlier version.
std::optional<size_t> Shard::SlotOf(const Push& push) const {
  if (!open_ || push.correct < 0 || push.correct > push.lease.count) return std::nullopt;
  const bool late = push.lease.step < open_->step;
  const bool fits = late ? push.version >= 0 && push.version <= version_ : push.version == version_;
  if (!fits) return std::nullopt;
  const std::vector<Lease>& leases = open_->leases;
  const auto slot = static_cast<size_t>(push.lease.slot);
  if (slot < leases.size() && leases[slot] == push.lease) return slot;
  const auto it = std::ranges::find(leases, push.lease);
  if (it == leases.end()) return std::nullopt;
  return static_cast<size_t>(it - leases.begin());
}

void Shard::AddToStep(Held held) {
  const std::optional<size_t> at = SlotOf(held.push);
  if (!at) return Acknowledge(held, false);
  const Key key = KeyOf(held);
  if (keys_in_step_.contains(key)) return;  // sent twice; acknowledged when the step is applied
  std::optional<Held>& slot = in_step_[*at];
  if (slot) {
    held.push.gradient = nullptr;
    return Keep(std::move(held), &beaten_);
  }
  if (!Decode(held)) return Acknowledge(held, false);
  const double weight =
      aggregate::StalenessWeight(static_cast<double>(version_ - held.push.version),
                                 context_->spec.aggregation.staleness_exponent);
  const Status status =
      aggregator_->Add({static_cast<int64_t>(*at), held.push.lease.count, gradient_, weight});
  if (!status.ok()) {
    context_->Warn(fmt::format("update of lease {} from {} refused: {}", Describe(held.push.lease),
                               Describe(held.from), status.message()));
    return Acknowledge(held, false);
  }
  held.push.gradient = nullptr;
  if (base::Planted("leader.acknowledges_early")) Acknowledge(held, true);
  keys_in_step_.insert(key);
  waived_.erase(*at);
  slot = std::move(held);
  if (StepIsFull()) ApplyStep();
}

// ---- sums of sites

void Shard::On(const JointPush& joint) {
  if (joint.term < term() || joint.updates.empty()) return;
  const Push& first = joint.updates.front();
  if (!stream_ && IsToCome(first) && early_joint_.size() < kMaxJoint) {
    early_joint_.push_back(joint);
    return;
  }
  const auto slots = SlotsOf(joint);
  const Status status = slots ? Join(joint, *slots) : base::FailedPrecondition("not as a whole");
  if (!status.ok()) return AskForEach(joint);
  if (StepIsFull()) ApplyStep();
}

// The slots that its leases have in the open step; nothing unless all are wanted.
std::optional<std::vector<int64_t>> Shard::SlotsOf(const JointPush& joint) const {
  if (joint.term != term() || !leads_ || !open_ || joint.gradient == nullptr) return std::nullopt;
  std::vector<int64_t> slots;
  for (const Push& push : joint.updates) {
    const Held held{{push.device, Role::kWorker}, push};
    const auto slot = SlotOf(push);
    const bool wanted = slot && push.version == version_ && push.range == range_ &&
                        push.term == term() && !in_step_[*slot] && !WasApplied(push) &&
                        !keys_in_step_.contains(KeyOf(held));
    if (!wanted) return std::nullopt;
    slots.push_back(static_cast<int64_t>(*slot));
  }
  return slots;
}

Status Shard::Join(const JointPush& joint, const std::vector<int64_t>& slots) {
  RETURN_IF_ERROR(context_->dense->Decode(*joint.gradient, gradient_));
  int64_t samples = 0;
  for (const Push& push : joint.updates) samples += push.lease.count;
  RETURN_IF_ERROR(aggregator_->Add({.slot = slots.front(),
                                    .samples = samples,
                                    .gradient = gradient_,
                                    .more = std::span(slots).subspan(1)}));
  for (size_t i = 0; i < slots.size(); ++i) {
    Held held{{joint.updates[i].device, Role::kWorker}, joint.updates[i]};
    held.push.gradient = nullptr;
    keys_in_step_.insert(KeyOf(held));
    waived_.erase(static_cast<size_t>(slots[i]));
    in_step_[static_cast<size_t>(slots[i])] = std::move(held);
  }
  return OkStatus();
}

// What of it is here is answered in its time; the rest is wanted one by one.
void Shard::AskForEach(const JointPush& joint) {
  for (const Push& push : joint.updates) {
    const Address worker{push.device, Role::kWorker};
    if (keys_in_step_.contains(KeyOf({worker, push}))) continue;
    context_->SendTo(worker, PushAgain{term(), push.sequence});
  }
}

// ----

bool Shard::StepIsFull() const {
  if (keys_in_step_.size() + waived_.size() == in_step_.size()) return true;
  return open_->quorum_samples > 0 && aggregator_->samples() >= open_->quorum_samples;
}

void Shard::ApplyStep() {
  Joint joint{.record = RecordOfStep(),
              .lr = open_->lr,
              .portion = {.has_momentum = context_->corrects_momentum},
              .in = {},
              .beaten = {},
              .checkpoint = open_->checkpoint};
  for (size_t slot = 0; slot < in_step_.size(); ++slot) {
    if (in_step_[slot]) {
      joint.in.push_back(std::move(*in_step_[slot]));
    } else {
      left_.insert(open_->leases[slot].id);
    }
  }
  joint.beaten = std::exchange(beaten_, {}).updates;
  CloseStep();
  // Of a step without any update only the version is applied, so that all ranges keep the same.
  const bool any = !joint.in.empty();
  Apply(std::move(joint), any ? aggregator_->Finish() : std::span<const float>());
}

Committed Shard::RecordOfStep() const {
  Committed record{.term = term(),
                   .step = open_->step,
                   .version = version_,
                   .leases = {},
                   .devices = {},
                   .loss_sum = 0,
                   .correct = 0,
                   .samples = keys_in_step_.empty() ? 0 : aggregator_->samples(),
                   .gradient_norm = 0,
                   .problem = {},
                   .range = range_};
  const Held* first = nullptr;
  for (const std::optional<Held>& held : in_step_) {
    if (!held) continue;
    if (first == nullptr) first = &*held;
    const bool first_again = base::Planted("leader.records_one_lease_twice");
    record.leases.push_back((first_again ? *first : *held).push.lease);
    record.devices.push_back(held->push.device);
    record.loss_sum += held->push.loss_sum;
    record.correct += held->push.correct;
  }
  return record;
}

void Shard::On(const AskMissing& ask) {
  if (replicas_.HoldsStep(ask.step)) SendReplicas();  // it is the standby that is late
  if (!open_ || open_->step != ask.step) return;
  Missing missing{.term = term(), .step = ask.step, .slots = {}, .range = range_};
  for (size_t slot = 0; slot < in_step_.size(); ++slot) {
    if (in_step_[slot] || waived_.contains(slot)) continue;
    // Those of this step by their slot: a leader that took over may have been told of fewer.
    const Lease& lease = open_->leases[slot];
    missing.slots.push_back(lease.step == open_->step ? lease.slot : static_cast<int64_t>(slot));
  }
  context_->ToCoordinator(std::move(missing));
}

}  // namespace weft::cluster
