// Shard: from joined updates to a new version, here and at the standby.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/check.h"
#include "base/planted.h"
#include "cluster/describe.h"
#include "cluster/shard.h"
#include "kernel/update.h"

namespace weft::cluster {

std::string Shard::ProblemWith(const Joint& joint, std::span<const float> combined) const {
  const auto finite = [](const Held& held) { return std::isfinite(held.push.loss_sum); };
  if (!std::ranges::all_of(joint.in, finite)) return "the loss is not finite";
  if (!kernel::AllFinite(combined)) return "the gradient is not finite";
  return "";
}

void Shard::Apply(Joint joint, std::span<const float> combined) {
  Committed& record = joint.record;
  record.problem = ProblemWith(joint, combined);
  const bool applied = record.problem.empty();
  if (applied) {
    if (!combined.empty()) {
      record.gradient_norm =
          kernel::Norm(combined.first(combined.size() - optimizer_.statistics_count()));
    }
    // With local steps the devices have used up the rate of the job.
    const aggregate::Options& options = context_->spec.aggregation;
    if (options.TrainsLocally()) joint.lr = options.outer_lr;
    Advance(joint.lr, joint.portion, combined);
    record.version = version_;
    if (!stream_) next_step_ = record.step + 1;
    Remember(record);
  } else {
    record.problem += "; nothing of this step was applied. Try a lower learning rate, or a warm-up";
  }
  Due due;
  due.actions.reserve(joint.in.size() + joint.beaten.size() + 1);
  for (const Held& held : joint.in) {
    if (applied && !base::Planted("leader.forgets_what_it_applied")) {
      memory_.Remember(AppliedOf(held));
    }
    const bool refuses = base::Planted("shard.refuses_but_applies");
    due.actions.push_back(Send{held.from, AckOf(held, applied && !refuses)});
  }
  const bool beaten_count = base::Planted("leader.acknowledges_the_beaten");
  for (const Held& held : joint.beaten) {
    due.actions.push_back(Send{held.from, AckOf(held, beaten_count)});
  }
  due.actions.push_back(Send{{kCoordinatorDevice, Role::kCoordinator}, record});
  if (applied && joint.checkpoint) due.save = next_step_;
  if (applied && standby_ != 0) {
    if (base::Planted("shard.acknowledges_before_its_standby")) Say(std::exchange(due, {}));
    SendReplica(std::move(joint), combined, std::move(due));
  } else {
    SayWhenSafe(std::move(due));
  }
  AnswerPulls();
}

// One version on; without a gradient, of the same parameters. Where there are other ranges, the
// last device that has a step's parameters may die when it has pushed to some of them: its lease
// can be computed again from the version before.
void Shard::Advance(double lr, const engine::Optimizer::Portion& portion,
                    std::span<const float> combined) {
  const aggregate::Options& options = context_->spec.aggregation;
  const bool steps = !stream_ && (options.mode == aggregate::Mode::kSync || options.automatic);
  const bool alone = range_.count == context_->spec.parameter_count();
  before_ = steps && !alone ? Encoded() : nullptr;
  if (!combined.empty()) optimizer_.Apply(lr, combined, parameters_, portion);
  ++version_;
  encoded_ = nullptr;
  progress_.Advance(portion.fraction);
}

void Shard::Remember(const Committed& record) {
  if (!stream_ && leads_) records_.clear();
  records_.push_back(record);
  size_t leases = 0;
  size_t keep = 0;
  while (keep < records_.size() && keep < kMaxRecords) {
    leases += records_[records_.size() - 1 - keep].leases.size();
    if (keep > 0 && leases > static_cast<size_t>(kMaxSlots)) break;
    ++keep;
  }
  records_.erase(records_.begin(), records_.end() - static_cast<std::ptrdiff_t>(keep));
}

// They may not have come.
void Shard::TellRecords() {
  took_over_ = false;
  for (const Committed& record : records_) {
    if (!replicas_.HoldsVersion(record.version)) context_->ToCoordinator(record);
  }
}

// ---- the leader and its standby

// In a stream its step is the one that it is over before, as leases of that are refused.
RangeState Shard::Adopt(DeviceId standby, uint64_t layout) {
  CHECK(leads_);
  if (standby != standby_) Release(replicas_.TakeAll());
  standby_ = standby;
  adopted_for_ = layout;
  RangeState state = StateOf(range_, layout, stream_ ? over_before_ : next_step_);
  auto payload = std::make_shared<Bytes>(*state.values);
  EncodeRangeHistory({records_, before_}, payload.get());
  state.values = std::move(payload);
  return state;
}

void Shard::Recall(RangeHistory history) {
  records_ = std::move(history.records);
  for (Committed& record : records_) {
    record.term = term();
    record.range = range_;
  }
  before_ = std::move(history.before);
}

void Shard::SendReplica(Joint joint, std::span<const float> combined, Due due) {
  auto packet = std::make_shared<Bytes>();
  packet->reserve(context_->dense->MaxBytes(combined.size()));
  if (!combined.empty()) CHECK(context_->dense->Encode(combined, {}, packet.get()).ok());
  Replicate message{.term = term(),
                    .layout = ReplicaLayout(),
                    .range = range_,
                    .record = std::move(joint.record),
                    .lr = joint.lr,
                    .fraction = joint.portion.fraction,
                    .applied = {},
                    .gradient = std::move(packet),
                    .has_momentum = joint.portion.has_momentum};
  for (const Held& held : joint.in) message.applied.push_back(AppliedOf(held));
  context_->SendTo({standby_, Role::kLeader}, message);
  replicas_.Add(std::move(message), std::move(due));
}

void Shard::SendReplicas() {
  for (Replicate& message : replicas_.Messages(ReplicaLayout())) {
    context_->SendTo({standby_, Role::kLeader}, std::move(message));
  }
}

// After all that waits for the standby, if anything does.
void Shard::SayWhenSafe(Due due) {
  if (replicas_.empty()) return Say(std::move(due));
  Due& last = replicas_.last();
  for (Action& action : due.actions) last.actions.push_back(std::move(action));
  if (due.save) last.save = due.save;
}

void Shard::Say(Due due) {
  if (context_->actions.empty()) {
    context_->actions = std::move(due.actions);
  } else {
    std::ranges::move(due.actions, std::back_inserter(context_->actions));
  }
  if (due.save) save_ = due.save;
}

void Shard::Release(std::vector<Due> due) {
  for (Due& each : due) Say(std::move(each));
}

void Shard::On(Address from, const Replicated& replicated) {
  if (!leads_ || standby_ == 0 || from.device != standby_ || replicated.term != term()) return;
  std::vector<Due> due = replicas_.Confirm(replicated.version);
  const bool behind = due.empty() && replicas_.IsBehind();
  Release(std::move(due));
  if (behind) SendReplicas();
  if (stream_ && !replicas_.full()) DrainEarly();
}

// Its leader's version. Where the one before is missing it says what it has, and the leader says
// again what follows.
void Shard::On(Address from, const Replicate& replicate) {
  if (leads_) return;
  if (replicate.record.version == version_ + 1) {
    const bool empty = replicate.record.leases.empty();  // a step without any update
    const Status status = empty ? OkStatus()
                          : replicate.gradient == nullptr
                              ? base::DataLoss("no gradient")
                              : context_->dense->Decode(*replicate.gradient, gradient_);
    if (!status.ok() || !(replicate.fraction > 0) || !std::isfinite(replicate.lr)) {
      return context_->Warn(fmt::format("version {} of {} from {} dropped: {}",
                                        replicate.record.version, Describe(range_), Describe(from),
                                        status.ok() ? "wrong rate" : status.message()));
    }
    if (base::Planted("shard.skips_a_replica")) std::ranges::fill(gradient_, 0.0f);
    const std::span<const float> combined =
        empty ? std::span<const float>() : std::span<const float>(gradient_);
    Advance(replicate.lr, {replicate.fraction, replicate.has_momentum}, combined);
    next_step_ = std::max(next_step_, replicate.record.step + 1);
    for (const Applied& applied : replicate.applied) memory_.Remember(applied);
    Remember(replicate.record);
    AnswerPulls();
  }
  context_->SendTo(from, Replicated{term(), replicate.layout, range_, version_});
}

}  // namespace weft::cluster
