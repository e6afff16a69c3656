#include "cluster/shard.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "cluster/describe.h"

namespace weft::cluster {

// ---- ShardContext

void ShardContext::SendTo(Address to, Message message) {
  actions.push_back(Send{to, std::move(message)});
}

void ShardContext::ToCoordinator(Message message) {
  SendTo({kCoordinatorDevice, Role::kCoordinator}, std::move(message));
}

void ShardContext::Warn(std::string text) { actions.push_back(Emit{Warning{std::move(text)}}); }

// ---- Shard

Result<std::unique_ptr<Shard>> Shard::Make(ShardContext* context, const Range& range,
                                           Snapshot start, AppliedMemory memory) {
  if (start.parameters.size() != static_cast<size_t>(range.count)) {
    return base::DataLoss(
        fmt::format("snapshot: got {} parameters, want {}", start.parameters.size(), range.count));
  }
  if (start.step < 0 || start.version < 0) {
    return base::DataLoss(
        fmt::format("snapshot: got step {} of version {}", start.step, start.version));
  }
  const bool resumed = start.version > 0 || start.optimizer != engine::OptimizerState{};
  engine::OptimizerState moments = std::move(start.optimizer);
  std::unique_ptr<Shard> shard(new Shard(context, range, std::move(start), std::move(memory)));
  if (resumed) RETURN_IF_ERROR(shard->optimizer_.Restore(std::move(moments)));
  return shard;
}

Shard::Shard(ShardContext* context, const Range& range, Snapshot start, AppliedMemory memory)
    : context_(context),
      range_(range),
      optimizer_(UpdateRule(context->spec),
                 static_cast<int64_t>(ShapeOf(context->spec, range).trainable),
                 StatisticsOf(context->spec, range)),
      version_(start.version),
      next_step_(start.step),
      over_before_(start.step),
      parameters_(std::move(start.parameters)),
      gradient_(parameters_.size()),
      memory_(std::move(memory)),
      progress_(start.version) {}

void Shard::Lead(DeviceId standby) {
  took_over_ |= !leads_;
  leads_ = true;
  if (aggregator_ == nullptr) aggregator_ = MakeAggregator();
  if (standby == 0 && context_->layout < adopted_for_) return SendReplicas();
  if (standby != standby_) Release(replicas_.TakeAll());
  standby_ = standby;
  adopted_for_ = 0;
  SendReplicas();
}

std::unique_ptr<aggregate::Aggregator> Shard::MakeAggregator() const {
  const JobSpec& spec = context_->spec;
  return aggregate::MakeAggregator(
      {.count = range_.count,
       .statistics = static_cast<int64_t>(optimizer_.statistics_count()),
       .combine = spec.aggregation.combine,
       .trim = spec.aggregation.trim,
       .ordered = spec.deterministic});
}

void Shard::Stand() {
  leads_ = false;
  standby_ = 0;
  adopted_for_ = 0;
  CloseStep();
  stream_.reset();
  replicas_.Clear();
  log_ = nullptr;
  encoded_ = nullptr;
}

void Shard::CloseStep() {
  open_.reset();
  in_step_.clear();
  keys_in_step_.clear();
  waived_.clear();
}

void Shard::AdoptTerm() {
  CloseStep();
  adopted_for_ = 0;
  stream_.reset();
  left_.clear();
  records_.clear();
  replicas_.Clear();
  bases_.Clear();
  before_ = nullptr;
  save_.reset();
  beaten_ = {};
  for (Held& held : std::exchange(early_, {}).updates) {
    if (held.push.term >= term()) Keep(std::move(held), &early_);
  }
  std::erase_if(early_joint_, [&](const JointPush& joint) { return joint.term < term(); });
  std::erase_if(pulls_, [&](const auto& entry) { return entry.second.term < term(); });
}

// ---- updates

Shard::Key Shard::KeyOf(const Held& held) {
  return {held.from.device, held.push.incarnation, held.push.sequence};
}

Applied Shard::AppliedOf(const Held& held) {
  return {held.from.device, held.push.incarnation, held.push.sequence, held.push.lease.id};
}

// Samples of what staleness and fractions are counted in.
int64_t Shard::Round() const {
  return context_->spec.batch * std::max<int64_t>(context_->spec.aggregation.local_steps, 1);
}

bool Shard::WasApplied(const Push& push) const {
  return memory_.Contains({push.device, push.incarnation, push.sequence, 0});
}

void Shard::On(Address from, const Push& push) {
  Held held{from, push};
  if (push.term < term()) return Acknowledge(held, false);
  if (WasApplied(push)) {
    // Otherwise it is acknowledged once the standby has it.
    if (!replicas_.Holds(AppliedOf(held))) {
      Acknowledge(held, true);
    } else if (stream_ && push.gradient == nullptr) {
      SendReplicas();
    }
    return;
  }
  if (push.gradient == nullptr && IsHere(held)) {
    if (stream_) SendReplicas();  // it may be the standby that is late
    return;                       // acknowledged once its fate is known
  }
  if (push.gradient == nullptr ||
      push.gradient->size() > context_->up->MaxBytes(gradient_.size())) {
    return Acknowledge(held, false);
  }
  if (IsToCome(push)) return Keep(std::move(held), &early_);
  Take(std::move(held));
}

// It waits for its step or for others, or is in the open step.
bool Shard::IsHere(const Held& held) const {
  const Key key = KeyOf(held);
  const auto is_it = [&](const Held& other) { return KeyOf(other) == key; };
  return keys_in_step_.contains(key) || early_.keys.contains(key) || beaten_.keys.contains(key) ||
         (stream_ && std::ranges::any_of(stream_->in, is_it));
}

bool Shard::IsToCome(const Push& push) const {
  if (push.term > term() || !leads_) return true;
  if (stream_) return replicas_.full() && !base::Planted("shard.lets_replicas_pile_up");
  return !open_ && (push.version == version_ || MayBeLate(push) || MayBeOfNextStream(push));
}

// With nothing under way here, a stream that begins may take it, and so may a leader that has been
// told of one already.
bool Shard::MayBeOfNextStream(const Push& push) const {
  const aggregate::Options& how = context_->spec.aggregation;
  const bool streams = how.automatic || how.mode != aggregate::Mode::kSync;
  return streams && push.lease.step >= over_before_;
}

// The next step may name its lease again. A leader that has just taken over does not know which
// leases the last step left; whatever is not in may be one.
bool Shard::MayBeLate(const Push& push) const {
  if (left_.contains(push.lease.id)) return true;
  return took_over_ && push.version < version_ && !memory_.HasLease(push.lease.id);
}

void Shard::Take(Held held) {
  if (held.push.term != term()) return Acknowledge(held, false);
  if (stream_) return AddToStream(std::move(held));
  AddToStep(std::move(held));
}

void Shard::Keep(Held held, Kept* kept) {
  const Key key = KeyOf(held);
  if (kept->keys.contains(key)) return;  // sent twice
  const size_t bytes = held.push.gradient == nullptr ? 0 : held.push.gradient->size();
  const size_t most_bytes = std::max(kMaxKeptBytes, 4 * context_->up->MaxBytes(gradient_.size()));
  if (kept->updates.size() >= most_kept() || kept->bytes + bytes > most_bytes) {
    return Acknowledge(held, false);
  }
  kept->keys.insert(key);
  kept->bytes += bytes;
  kept->updates.push_back(std::move(held));
}

// What came early is looked at again; what is still to come is kept again.
void Shard::DrainEarly() {
  for (const JointPush& joint : std::exchange(early_joint_, {})) On(joint);
  for (const Held& held : std::exchange(early_, {}).updates) On(held.from, held.push);
}

// Into gradient_.
bool Shard::Decode(const Held& held) {
  if (base::Planted("leader.adds_the_one_before")) return true;
  const Status status = context_->up->Decode(context_->PlaceOf(range_, held.push.version),
                                             *held.push.gradient, gradient_);
  if (status.ok()) return true;
  context_->Warn(fmt::format("update of lease {} from {} refused: {}", Describe(held.push.lease),
                             Describe(held.from), status.message()));
  return false;
}

PushAck Shard::AckOf(const Held& held, bool applied) const {
  return {.term = term(),
          .sequence = held.push.sequence,
          .applied = applied,
          .version = version_,
          .range = range_};
}

// A refusal rests on what is applied here. While the standby does not have that, whoever leads next
// may still take the update.
void Shard::Acknowledge(const Held& held, bool applied) {
  Due due;
  due.actions.push_back(Send{held.from, AckOf(held, applied)});
  applied ? Say(std::move(due)) : SayWhenSafe(std::move(due));
}

// ---- the numbers

RangeAssembly::Piece Shard::PieceOf(const Range& part) const {
  const auto at = static_cast<size_t>(part.begin - range_.begin);
  RangeAssembly::Piece piece{.range = part,
                             .step = next_step_,
                             .version = version_,
                             .optimizer_steps = optimizer_.state().steps,
                             .values = {}};
  piece.values.parameters = std::span(parameters_).subspan(at, static_cast<size_t>(part.count));
  const size_t trainable = ShapeOf(context_->spec, part).trainable;
  for (const auto& moment : optimizer_.state().moments) {
    // A part behind the trained values has none of it.
    const std::span<const float> all(moment.values);
    piece.values.moments.push_back(trainable == 0 ? all.first(0) : all.subspan(at, trainable));
  }
  return piece;
}

RangeState Shard::StateOf(const Range& part, uint64_t layout, int64_t step) const {
  const RangeAssembly::Piece piece = PieceOf(part);
  return {.term = term(),
          .layout = layout,
          .range = part,
          .step = step,
          .version = piece.version,
          .optimizer_steps = piece.optimizer_steps,
          .applied = layout == 0 ? std::vector<Applied>() : memory_.Recent(),
          .values = std::make_shared<Bytes>(EncodeRangeValues(piece.values))};
}

}  // namespace weft::cluster
