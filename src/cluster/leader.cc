#include "cluster/leader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "cluster/describe.h"

namespace weft::cluster {
namespace {

constexpr uint64_t kMaxSequence = uint64_t{1} << 62;  // so that it fits an IntervalSet

// The machines read no documents.
JobSpec WithoutTexts(JobSpec spec) {
  spec.job.clear();
  spec.model.clear();
  return spec;
}

}  // namespace

Leader::Leader(const JobSpec& spec, Address self) : archive_(&context_.spec) {
  context_.spec = WithoutTexts(spec);
  context_.self = self;
  context_.run = RunTag(spec.run);
  context_.corrects_momentum = CorrectsMomentum(spec.codec_up, spec.aggregation, spec.optimizer);
}

Result<std::unique_ptr<Leader>> Leader::MakeBare(const JobSpec& spec, Address self) {
  std::unique_ptr<Leader> leader(new Leader(spec, self));
  ASSIGN_OR_RETURN(leader->context_.up, codec::MakeCodec(spec.codec_up));
  ASSIGN_OR_RETURN(leader->context_.down, MakeWholeCodec(spec.codec_down));
  ASSIGN_OR_RETURN(leader->context_.dense, codec::MakeCodec("dense"));
  return leader;
}

Result<std::unique_ptr<Leader>> Leader::Make(const JobSpec& spec, Snapshot start) {
  ASSIGN_OR_RETURN(auto leader, MakeBare(spec, spec.leader));
  const Range all = {0, spec.parameter_count()};
  ASSIGN_OR_RETURN(auto shard, Shard::Make(&leader->context_, all, std::move(start), {}));
  shard->Lead(0);
  leader->shards_.emplace(0, std::move(shard));
  leader->layout_ = {.number = 1,
                     .parts = {{.range = all,
                                .leader = spec.leader,
                                .endpoint = {},
                                .standby = 0,
                                .standby_endpoint = {}}}};
  leader->context_.layout = 1;
  return leader;
}

Result<std::unique_ptr<Leader>> Leader::MakeEmpty(const JobSpec& spec, Address self) {
  return MakeBare(spec, self);
}

Actions Leader::Handle(TimePoint, Address from, const Message& message) {
  std::visit([&](const auto& m) { On(from, m); }, message);
  CollectSaves();
  return Take();
}

template <class Other>
void Leader::On(Address from, const Other& other) {
  context_.Warn(fmt::format("{} sent the leader a {}, which it does not take; dropped",
                            Describe(from), MessageName(other)));
}

// ---- to the shards

Range Leader::Named(const Range& range) const {
  return range.count == 0 ? Range{0, context_.spec.parameter_count()} : range;
}

// Of this layout, or of the one to come once it is whole: its word may travel faster.
Shard* Leader::Find(const Range& range) const {
  const auto it = shards_.find(range.begin);
  if (it != shards_.end() && it->second->range() == range) return it->second.get();
  for (auto& [number, seating] : seatings_) {
    if (Shard* shard = seating.Find(range)) return shard;
  }
  return nullptr;
}

template <class Order>
bool Leader::Obeys(Address from, const Order& order) {
  if (from.role != Role::kCoordinator) {
    On<Message>(from, order);
    return false;
  }
  if (order.term > term()) AdoptTerm(order.term);
  return order.term == term();
}

template <class Order>
void Leader::ToShard(Address from, const Order& order) {
  if (!Obeys(from, order)) return;
  if (Shard* shard = Find(Named(order.range))) return shard->On(order);
  context_.Warn(fmt::format("{} of {}, which is not held here; dropped", MessageName(order),
                            Describe(order.range)));
}

void Leader::AdoptTerm(uint64_t term) {
  context_.term = term;
  seatings_.clear();
  std::erase_if(strays_, [&](const auto& entry) { return entry.second.term < term; });
  for (auto& [begin, shard] : shards_) shard->AdoptTerm();
}

void Leader::On(Address from, const BeginStep& begin) { ToShard(from, begin); }
void Leader::On(Address from, const BeginStream& begin) { ToShard(from, begin); }
void Leader::On(Address from, const EndStream& end) { ToShard(from, end); }

void Leader::On(Address from, const AskMissing& ask) {
  if (from.role != Role::kCoordinator) return On<Message>(from, ask);
  Shard* shard = Find(Named(ask.range));
  if (shard != nullptr && ask.term == term()) shard->On(ask);
}

void Leader::On(Address from, const Push& push) {
  if (from != Address{push.device, Role::kWorker} || push.sequence > kMaxSequence) {
    return context_.Warn(fmt::format("{} pushed as device {}, sequence {}; dropped", Describe(from),
                                     push.device, push.sequence));
  }
  if (Shard* shard = Find(Named(push.range))) return shard->On(from, push);
  AnswerOfOldRange(from, push);
}

// A range of an earlier layout: whoever has a part of it now knows if the update is in, and names
// the oldest version of what is here. If nothing of it is here the sender will say it again by the
// layout that it hears of.
void Leader::AnswerOfOldRange(Address from, const Push& push) {
  std::optional<int64_t> oldest;
  bool applied = false;
  for (const auto& [begin, shard] : shards_) {
    if (Overlap(shard->range(), push.range).count == 0) continue;
    oldest = std::min(oldest.value_or(shard->version()), shard->version());
    applied |= shard->WasApplied(push);
  }
  if (!oldest) return;
  context_.SendTo(from, PushAck{.term = term(),
                                .sequence = push.sequence,
                                .applied = applied,
                                .version = *oldest,
                                .range = push.range});
}

// A range that is not here any more: each worker says it again by the layout that it hears of.
void Leader::On(Address from, const JointPush& joint) {
  const auto fits = [&](const Push& push) {
    return push.sequence <= kMaxSequence && push.lease.count > 0;
  };
  if (from.role != Role::kRelay || !std::ranges::all_of(joint.updates, fits)) {
    return On<Message>(from, joint);
  }
  if (Shard* shard = Find(Named(joint.range))) shard->On(joint);
}

void Leader::On(Address from, const Pull& pull) {
  const bool asks = from.role == Role::kWorker || from.role == Role::kRelay;
  if (!asks || pull.term < term()) return;
  if (Shard* shard = Find(Named(pull.range))) return shard->On(from, pull);
  if (strays_.size() < kMaxStrayPulls) strays_[{from, pull.range}] = pull;
}

void Leader::AnswerStrays() {
  for (const auto& [key, pull] : std::exchange(strays_, {})) On(key.first, pull);
}

void Leader::On(Address from, const Replicate& replicate) {
  if (from.role != Role::kLeader) return On<Message>(from, replicate);
  Shard* shard = Find(replicate.range);
  if (shard == nullptr || replicate.term != term() || replicate.layout < layout_.number) return;
  // Of the layout to come its leaders are known by their seats only.
  const auto to_come = std::ranges::find_if(
      seatings_, [&](auto& entry) { return entry.second.Find(replicate.range) == shard; });
  const bool its_leader = std::ranges::any_of(layout_.parts, [&](const Layout::Part& part) {
    return part.range == replicate.range && part.leader == from;
  });
  const bool seated = to_come != seatings_.end();
  if (seated ? replicate.layout >= to_come->first : its_leader) shard->On(from, replicate);
}

void Leader::On(Address from, const Replicated& replicated) {
  if (from.role != Role::kLeader) return On<Message>(from, replicated);
  if (Shard* shard = Find(replicated.range)) shard->On(from, replicated);
}

// ---- layouts

// Others have been begun since.
bool Leader::IsTooOld(uint64_t number) const {
  return seatings_.size() >= kMostSeatings && number < seatings_.begin()->first;
}

Seating& Leader::SeatingOf(uint64_t number) {
  const auto it = seatings_.try_emplace(number, &context_, number).first;
  if (seatings_.size() > kMostSeatings) seatings_.erase(seatings_.begin());
  return it->second;
}

void Leader::On(Address from, const Reshape& reshape) {
  if (!Obeys(from, reshape)) return;
  const bool old = layout_term_ == term() && reshape.to.number <= layout_.number;
  if (old || IsTooOld(reshape.to.number)) return;
  if (!IsWhole(context_.spec, reshape.from) || !IsWhole(context_.spec, reshape.to)) {
    return context_.Warn(fmt::format("a layout is not whole: from {} to {}; dropped",
                                     Describe(reshape.from), Describe(reshape.to)));
  }
  // Had a plan before this one come about, that would have been said first.
  seatings_.erase(seatings_.begin(), seatings_.lower_bound(reshape.to.number));
  SeatingOf(reshape.to.number).Begin(reshape, shards_);
  SendStates(reshape);
}

void Leader::SendStates(const Reshape& reshape) {
  for (const auto& [begin, shard] : shards_) {
    const bool leads = shard->leads() && Holds(reshape.from, context_.self, shard->range());
    if (!leads) continue;
    for (const Layout::Part& part : reshape.to.parts) SendState(shard.get(), reshape, part);
  }
}

// To whoever is to hold the part and does not hold just that already.
void Leader::SendState(Shard* shard, const Reshape& reshape, const Layout::Part& part) {
  const Range overlap = Overlap(shard->range(), part.range);
  if (overlap.count == 0) return;
  std::optional<RangeState> state;
  std::vector<Address> targets = {part.leader};
  if (part.standby != 0) targets.push_back({part.standby, Role::kLeader});
  for (const Address& target : targets) {
    if (Holds(reshape.from, target, part.range)) continue;
    if (overlap == part.range && GetsStandby(reshape, context_.self, part.range)) {
      context_.SendTo(target, shard->Adopt(part.standby, reshape.to.number));
      continue;
    }
    if (!state) state = shard->StateOf(overlap, reshape.to.number, shard->next_step());
    if (target == context_.self) {
      SeatingOf(reshape.to.number).Add(shard->PieceOf(overlap), state->applied);
    } else {
      context_.SendTo(target, *state);
    }
  }
}

void Leader::On(Address from, const RangeState& state) {
  if (from.role != Role::kLeader) return On<Message>(from, state);
  const bool fits = InVector(context_.spec, state.range) && state.values != nullptr &&
                    state.step >= 0 && state.version >= 0 && state.optimizer_steps >= 0;
  if (state.term < term()) return;
  if (!fits) {
    return context_.Warn(fmt::format("{} sent a state of {} that is none; dropped", Describe(from),
                                     Describe(state.range)));
  }
  if (state.layout != 0) {
    if (state.term > term()) AdoptTerm(state.term);
    const bool old = layout_term_ == term() && state.layout <= layout_.number;
    if (old || IsTooOld(state.layout)) return;
    return SeatingOf(state.layout).Add(from, state);
  }
  const bool its_leader = std::ranges::any_of(layout_.parts, [&](const Layout::Part& part) {
    return part.leader == from && part.range == state.range;
  });
  if (!IsArchive() || state.term != term() || !its_leader) return;
  const auto values = DecodeRangeValues(*state.values, ShapeOf(context_.spec, state.range));
  if (!values.ok()) {
    return context_.Warn(fmt::format("the checkpoint of {} from {} dropped: {}",
                                     Describe(state.range), Describe(from),
                                     values.status().message()));
  }
  Archived(state.step, {.range = state.range,
                        .step = state.step,
                        .version = state.version,
                        .optimizer_steps = state.optimizer_steps,
                        .values = values->View()});
}

void Leader::On(Address from, const Relayout& relayout) {
  if (!Obeys(from, relayout)) return;
  const Layout& layout = relayout.layout;
  if (layout_term_ == term() && layout.number < layout_.number) return;
  if (!IsWhole(context_.spec, layout)) {
    return context_.Warn(fmt::format("layout {} is not whole; dropped", Describe(layout)));
  }
  const bool repeated = layout_term_ == term() && layout.number == layout_.number;
  layout_ = layout;
  layout_term_ = term();
  context_.layout = layout.number;
  std::map<int64_t, std::unique_ptr<Shard>> next;
  for (const Layout::Part& part : layout.parts) TakeSeat(part, repeated, &next);
  shards_ = std::move(next);
  seatings_.erase(seatings_.begin(), seatings_.upper_bound(layout.number));
  AnswerStrays();
}

void Leader::TakeSeat(const Layout::Part& part, bool repeated,
                      std::map<int64_t, std::unique_ptr<Shard>>* next) {
  const bool leads = Leads(part, context_.self);
  if (!leads && !StandsBy(part, context_.self)) return;
  std::unique_ptr<Shard> shard = TakeShard(part.range);
  const bool seated = seatings_.contains(layout_.number);
  if (shard == nullptr) return TellSeated(part.range, 0, !leads, "the range is not here");
  const bool took_over = leads && !shard->leads() && !seated;
  if (leads) {
    shard->Lead(part.standby);
  } else if (shard->leads()) {
    shard->Stand();
  }
  // The coordinator has to know where one that took over goes on; and it asks by saying it again.
  if (took_over || repeated) TellSeated(part.range, shard->version(), !leads, "");
  next->emplace(part.range.begin, std::move(shard));
}

// The newest: of a seat for this layout, or for one before it that came about in part; or what was
// here already.
std::unique_ptr<Shard> Leader::TakeShard(const Range& range) {
  for (auto seating = seatings_.upper_bound(layout_.number); seating != seatings_.begin();) {
    if (auto shard = (--seating)->second.TakeShard(range)) return shard;
  }
  const auto it = shards_.find(range.begin);
  if (it == shards_.end() || it->second->range() != range) return nullptr;
  return std::move(it->second);
}

void Leader::TellSeated(const Range& range, int64_t version, bool standby,
                        const std::string& problem) {
  context_.ToCoordinator(Seated{.term = term(),
                                .layout = layout_.number,
                                .range = range,
                                .version = version,
                                .standby = standby,
                                .problem = problem});
}

// ---- checkpoints

void Leader::CollectSaves() {
  for (const auto& [begin, shard] : shards_) {
    const std::optional<int64_t> step = shard->TakeSave();
    if (!step) continue;
    if (IsArchive()) {
      Archived(*step, shard->PieceOf(shard->range()));
    } else {
      context_.SendTo(context_.spec.leader, shard->StateOf(shard->range(), 0, *step));
    }
  }
}

void Leader::Archived(int64_t step, const RangeAssembly::Piece& piece) {
  archive_.Add(step, piece);
  if (archive_.TookToWaiting()) {
    context_.Warn("the last checkpoint is still being written; the next one waits for it");
  }
  WriteNext();
}

void Leader::WriteNext() {
  if (auto snapshot = archive_.Next()) {
    context_.actions.push_back(SaveCheckpoint{std::move(snapshot)});
  }
}

Actions Leader::OnCheckpointDone(TimePoint, int64_t step, const std::string& path,
                                 const Status& status) {
  archive_.Done(status.ok());
  const int64_t told = step + (base::Planted("leader.reports_a_later_checkpoint") ? 1 : 0);
  context_.ToCoordinator(CheckpointDone{term(), told, path, status.message()});
  WriteNext();
  return Take();
}

// ---- for the host

int64_t Leader::version() const {
  int64_t newest = -1;
  for (const auto& [begin, shard] : shards_) {
    if (shard->leads()) newest = std::max(newest, shard->version());
  }
  return newest;
}

std::span<const float> Leader::parameters() const {
  if (shards_.empty()) return {};
  const Shard& first = *shards_.begin()->second;
  if (!first.leads() || first.range().count != context_.spec.parameter_count()) return {};
  return first.parameters();
}

std::vector<Range> Leader::led() const {
  std::vector<Range> ranges;
  for (const auto& [begin, shard] : shards_) {
    if (shard->leads()) ranges.push_back(shard->range());
  }
  return ranges;
}

size_t Leader::kept() const {
  size_t kept = 0;
  for (const auto& [begin, shard] : shards_) kept += shard->kept();
  return kept;
}

size_t Leader::most_kept() const {
  size_t most = 0;
  for (const auto& [begin, shard] : shards_) most += shard->most_kept();
  return most;
}

size_t Leader::waiting_pulls() const {
  size_t pulls = strays_.size();
  for (const auto& [begin, shard] : shards_) pulls += shard->waiting_pulls();
  return pulls;
}

}  // namespace weft::cluster
