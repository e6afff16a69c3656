#include "cluster/leader_seats.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "cluster/describe.h"

namespace weft::cluster {

bool IsWhole(const JobSpec& spec, const Layout& layout) {
  int64_t end = 0;
  for (const Layout::Part& part : layout.parts) {
    if (part.range.begin != end || !InVector(spec, part.range)) return false;
    if (part.leader.role != Role::kLeader) return false;
    end = part.range.end();
  }
  return end == spec.parameter_count();
}

bool Leads(const Layout::Part& part, Address self) { return part.leader == self; }

bool StandsBy(const Layout::Part& part, Address self) {
  return part.standby != 0 && part.standby == self.device && !Leads(part, self);
}

bool Holds(const Layout& layout, Address self, const Range& range) {
  return std::ranges::any_of(layout.parts, [&](const Layout::Part& part) {
    return part.range == range && (Leads(part, self) || StandsBy(part, self));
  });
}

const Layout::Part* PartOf(const Layout& layout, Address leader, const Range& range) {
  const auto it = std::ranges::find_if(layout.parts, [&](const Layout::Part& part) {
    return part.leader == leader && part.range == range;
  });
  return it == layout.parts.end() ? nullptr : &*it;
}

bool GetsStandby(const Reshape& plan, Address leader, const Range& range) {
  const Layout::Part* before = PartOf(plan.from, leader, range);
  const Layout::Part* then = PartOf(plan.to, leader, range);
  return before != nullptr && then != nullptr && before->standby == 0 && then->standby != 0;
}

void Seating::Begin(const Reshape& plan, const std::map<int64_t, std::unique_ptr<Shard>>& held) {
  const bool again = plan_.has_value();
  plan_ = plan;
  for (const Layout::Part& part : plan.to.parts) {
    const bool mine = Leads(part, context_->self) || StandsBy(part, context_->self);
    if (!mine) continue;
    Seat& seat = seats_[part.range.begin];
    if (again) {
      if (seat.shard != nullptr) Tell(seat, seat.shard->version(), "");
      if (!seat.was_here) continue;
    }
    seat.range = part.range;
    seat.standby = StandsBy(part, context_->self);
    seat.was_here = Holds(plan.from, context_->self, part.range);
    if (!seat.was_here) {
      seat.parts = std::make_unique<RangeAssembly>(context_->spec, part.range);
      continue;
    }
    const auto it = held.find(part.range.begin);
    const bool here = it != held.end() && it->second->range() == part.range;
    Tell(seat, here ? it->second->version() : 0,
         here ? "" : "the range that it held is not there any more");
  }
  AddEarly();
}

void Seating::KeepEarly(Address from, const RangeState& state) {
  early_values_ += state.range.count;
  if (early_values_ > kMaxEarly * context_->spec.parameter_count()) return;
  early_.emplace_back(from, state);
}

void Seating::AddEarly() {
  for (const auto& [from, state] : std::exchange(early_, {})) Add(from, state);
}

void Seating::Add(Address from, const RangeState& state) {
  if (!plan_) return KeepEarly(from, state);
  const bool from_its_leader =
      std::ranges::any_of(plan_->from.parts, [&](const Layout::Part& part) {
        return part.leader == from && Overlap(part.range, state.range) == state.range;
      });
  if (!from_its_leader) {
    return context_->Warn(fmt::format("{} sent the state of {}, which it does not lead; dropped",
                                      Describe(from), Describe(state.range)));
  }
  const RangeShape shape = ShapeOf(context_->spec, state.range);
  const ByteView payload(*state.values);
  const size_t size = std::min(RangeValuesBytes(shape), payload.size());
  const auto values = DecodeRangeValues(payload.first(size), shape);
  if (!values.ok()) {
    return context_->Warn(fmt::format("the state of {} from {} dropped: {}", Describe(state.range),
                                      Describe(from), values.status().message()));
  }
  if (!TakeHistory(from, state.range, payload.subspan(size))) return;
  Add({.range = state.range,
       .step = state.step,
       .version = state.version,
       .optimizer_steps = state.optimizer_steps,
       .values = values->View()},
      state.applied);
}

// That of a standby to be; there is none between steps. False if it is damaged.
bool Seating::TakeHistory(Address from, const Range& range, ByteView payload) {
  if (payload.empty()) return true;
  auto history = DecodeRangeHistory(payload);
  if (!history.ok()) {
    context_->Warn(fmt::format("the state of {} from {} dropped: {}", Describe(range),
                               Describe(from), history.status().message()));
    return false;
  }
  const auto it = seats_.find(range.begin);
  const bool is_its = it != seats_.end() && it->second.range == range;
  if (is_its && it->second.parts != nullptr) it->second.history = std::move(history).value();
  return true;
}

void Seating::Add(const RangeAssembly::Piece& piece, const std::vector<Applied>& applied) {
  for (auto& [begin, seat] : seats_) {
    if (Overlap(seat.range, piece.range) == piece.range) AddTo(&seat, piece, applied);
  }
}

void Seating::AddTo(Seat* seat, const RangeAssembly::Piece& piece,
                    const std::vector<Applied>& applied) {
  if (seat->parts == nullptr) return;
  seat->parts->Add(piece);
  for (const Applied& each : applied) seat->memory.Remember(each);
  if (seat->parts->whole()) Finish(seat);
}

void Seating::Finish(Seat* seat) {
  auto shard = Shard::Make(context_, seat->range, seat->parts->Take(), std::move(seat->memory));
  seat->parts.reset();
  if (!shard.ok()) return Tell(*seat, 0, shard.status().message());
  seat->shard = std::move(shard).value();
  seat->shard->Recall(std::move(seat->history));
  Tell(*seat, seat->shard->version(), "");
  if (seat->standby) TellLeader(*seat);
}

// What came between the state and the seat is missed here: a leader that waits for this standby
// already says it again.
void Seating::TellLeader(const Seat& seat) const {
  for (const Layout::Part& part : plan_->to.parts) {
    if (part.range != seat.range || !GetsStandby(*plan_, part.leader, part.range)) continue;
    context_->SendTo(part.leader,
                     Replicated{context_->term, number_, seat.range, seat.shard->version()});
  }
}

void Seating::Tell(const Seat& seat, int64_t version, const std::string& problem) const {
  context_->ToCoordinator(Seated{.term = context_->term,
                                 .layout = number_,
                                 .range = seat.range,
                                 .version = version,
                                 .standby = seat.standby,
                                 .problem = problem});
}

Shard* Seating::Find(const Range& range) const {
  const auto it = seats_.find(range.begin);
  if (it == seats_.end() || it->second.range != range) return nullptr;
  return it->second.shard.get();
}

std::unique_ptr<Shard> Seating::TakeShard(const Range& range) {
  const auto it = seats_.find(range.begin);
  if (it == seats_.end() || it->second.range != range) return nullptr;
  return std::move(it->second.shard);
}

}  // namespace weft::cluster
