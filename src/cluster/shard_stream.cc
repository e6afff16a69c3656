// Shard: streams, where updates are applied one by one or a few at once.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "aggregate/staleness.h"
#include "base/planted.h"
#include "cluster/describe.h"
#include "cluster/shard.h"
#include "cluster/wire_status.h"

namespace weft::cluster {
namespace {

using aggregate::Mode;

constexpr uint64_t kMaxLease = uint64_t{1} << 62;  // so that it fits an IntervalSet

}  // namespace

void Shard::On(const BeginStream& begin) {
  const auto mode = static_cast<Mode>(begin.mode);
  if (begin.step < over_before_) return;  // over: it was said twice
  const bool known = mode == Mode::kSsp || mode == Mode::kAsync || mode == Mode::kBuffered;
  if (!leads_ || open_ || !known) {
    return context_->ToCoordinator(
        Fault{term(), next_step_, CodeNumber(Code::kFailedPrecondition),
              fmt::format("range {}: {} cannot begin a stream of mode {}", Describe(range_),
                          !leads_ ? "a standby"
                          : open_ ? "a leader with an open step"
                                  : "a leader",
                          begin.mode)});
  }
  SendReplicas();
  if (stream_ || took_over_) TellRecords();
  if (stream_) return ChangeMode(mode);
  stream_ = Stream{.mode = mode,
                   .begun = begin.step,
                   .from = version_,
                   .at_once = UpdatesAtOnce(context_->spec, mode),
                   .in = {}};
  AnswerPulls();  // as when a step opens: a pull may have come before its term did
  DrainEarly();
}

// What has waited for more than are waited for now is applied.
void Shard::ChangeMode(Mode mode) {
  const int64_t at_once = UpdatesAtOnce(context_->spec, mode);
  if (at_once > stream_->at_once) return;  // an older word
  stream_->mode = mode;
  stream_->at_once = at_once;
  const auto waiting = static_cast<int64_t>(stream_->in.size());
  if (waiting >= stream_->at_once) ApplyStream();
}

// Rounds that the parameters have gone on since it was computed, beyond the one that is usual.
double Shard::Staleness(const Push& push) const {
  const double fraction = static_cast<double>(push.lease.count) / static_cast<double>(Round());
  return std::max(progress_.RoundsSince(push.version, fraction) - 1, 0.0);
}

// Empty: it can be applied.
std::string Shard::ProblemInStream(const Push& push) const {
  const Lease& lease = push.lease;
  if (lease.id == 0 || lease.id > kMaxLease || lease.count < 1 || lease.count > Round()) {
    return "it is of no lease";
  }
  if (lease.step < over_before_) return "its stream is over, and its samples are dealt anew";
  // Of a step, or another stream: dealt anew under its name only where other ranges have it, and
  // then computed anew.
  if (lease.step < stream_->begun && push.version < stream_->from) {
    return "it was computed before the stream began, and its samples may be dealt anew";
  }
  if (push.correct < 0 || push.correct > lease.count) return "more is right than it has samples";
  if (push.version < 0 || !std::isfinite(push.lr) || push.lr < 0) return "version or rate";
  const aggregate::Options& options = context_->spec.aggregation;
  const bool bounded = stream_->mode != Mode::kSsp && options.max_staleness > 0;
  const double staleness = Staleness(push);
  if (!bounded || staleness <= static_cast<double>(options.max_staleness)) return "";
  return fmt::format("it is {:.1f} rounds old, want {} at most", staleness, options.max_staleness);
}

void Shard::AddToStream(Held held) {
  const Push& push = held.push;
  const auto is_it = [&](const Held& other) { return KeyOf(other) == KeyOf(held); };
  const auto same_lease = [&](const Held& other) { return other.push.lease.id == push.lease.id; };
  if (std::ranges::any_of(stream_->in, is_it)) return;  // sent twice
  const bool twice = base::Planted("shard.applies_a_lease_twice");
  if (memory_.HasLease(push.lease.id) && !twice) return Acknowledge(held, false);  // not the first
  if (std::ranges::any_of(stream_->in, same_lease)) {
    held.push.gradient = nullptr;
    return Keep(std::move(held), &beaten_);  // refused once that one is applied
  }
  if (const std::string problem = ProblemInStream(push); !problem.empty()) {
    context_->Warn(fmt::format("update of lease {} from {} refused: {}", Describe(push.lease),
                               Describe(held.from), problem));
    return Acknowledge(held, false);
  }
  if (!Decode(held)) return Acknowledge(held, false);
  Compensate(push);
  const int64_t at_once = stream_->at_once;
  const auto slot = static_cast<int64_t>(stream_->in.size());
  if (slot == 0) aggregator_->Begin(at_once, at_once == 1 ? push.lease.count : at_once * Round());
  const double staleness = base::Planted("shard.forgets_staleness") ? 0 : Staleness(push);
  const double weight =
      aggregate::StalenessWeight(staleness, context_->spec.aggregation.staleness_exponent);
  const Status status = aggregator_->Add({slot, push.lease.count, gradient_, weight});
  if (!status.ok()) {
    context_->Warn(fmt::format("update of lease {} from {} refused: {}", Describe(push.lease),
                               Describe(held.from), status.message()));
    return Acknowledge(held, false);
  }
  held.push.gradient = nullptr;
  stream_->in.push_back(std::move(held));
  if (aggregator_->Ready()) ApplyStream();
}

// Of the trained values in gradient_. Not of pseudo-gradients: those are no gradients at a point.
void Shard::Compensate(const Push& push) {
  const double lambda = context_->spec.aggregation.delay_compensation;
  if (lambda <= 0 || push.version >= version_) return;
  const std::span<const float> base = bases_.Find(push.version);
  if (base.empty()) return;
  const size_t trainable = gradient_.size() - optimizer_.statistics_count();
  aggregate::DelayCompensate(std::span(gradient_).first(trainable),
                             std::span<const float>(parameters_).first(trainable),
                             base.first(trainable), lambda);
}

void Shard::ApplyStream() {
  Joint joint;
  joint.in = std::exchange(stream_->in, {});
  joint.beaten = std::exchange(beaten_, {}).updates;
  joint.record.term = term();
  joint.record.version = version_;
  joint.record.range = range_;
  double lr_samples = 0;
  for (const Held& held : joint.in) {
    const Push& push = held.push;
    joint.record.step = std::max(joint.record.step, push.lease.step);
    joint.record.leases.push_back(push.lease);
    joint.record.devices.push_back(push.device);
    joint.record.loss_sum += push.loss_sum;
    joint.record.correct += push.correct;
    joint.record.samples += push.lease.count;
    lr_samples += push.lr * static_cast<double>(push.lease.count);
  }
  const auto samples = static_cast<double>(joint.record.samples);
  joint.lr = lr_samples / samples;
  joint.portion = {.fraction = samples / static_cast<double>(Round()), .has_momentum = true};
  if (base::Planted("shard.takes_an_update_for_a_batch")) joint.portion.fraction = 1;
  Apply(std::move(joint), aggregator_->Finish());
}

void Shard::On(const EndStream& end) {
  if (!leads_ || open_) {
    return context_->Warn(fmt::format("the end of a stream of {} has come to {}; dropped",
                                      Describe(range_), leads_ ? "an open step" : "its standby"));
  }
  if (stream_ ? end.step <= stream_->begun : end.step < next_step_) return;  // said twice
  if (stream_) {
    // What the standby has not been able to follow is taken in all the same.
    const Kept early = std::exchange(early_, {});
    for (const Held& held : early.updates) Take(held);
    if (!stream_->in.empty()) ApplyStream();
    stream_.reset();
    bases_.Clear();
  }
  next_step_ = over_before_ = end.step;
  SendReplicas();
  Due due;
  due.actions.push_back(
      Send{{kCoordinatorDevice, Role::kCoordinator}, StreamEnded{term(), range_, version_}});
  if (end.checkpoint) due.save = end.step;
  SayWhenSafe(std::move(due));
}

}  // namespace weft::cluster
