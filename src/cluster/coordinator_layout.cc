// Coordinator: who leads what, and what becomes of it when a device goes.

#include <fmt/format.h>

#include <algorithm>

#include "cluster/coordinator.h"
#include "cluster/describe.h"
#include "plan/cut_ranges.h"

namespace weft::cluster {

// What the leaders are planned from. While the coordinator's process leads all, every transfer has
// shared its link, so what a device has measured says little of its own: each is at first taken for
// one like the coordinator's. Whether it was right, the steps after the split say (SplitWatch).
plan::LeaderInput Coordinator::LinksOf(std::vector<plan::LinkedDevice>* devices) const {
  const plan::Link hub = HubLink();
  for (const auto& [id, device] : devices_.living()) {
    const DeviceStats& stats = device.stats;
    plan::Link link{stats.up_bytes_per_second, stats.down_bytes_per_second};
    if (seats_.flat() || link.up_bytes_per_s == 0) {
      link.up_bytes_per_s = std::max(link.up_bytes_per_s, hub.down_bytes_per_s);
    }
    if (seats_.flat() || link.down_bytes_per_s == 0) {
      link.down_bytes_per_s = std::max(link.down_bytes_per_s, hub.up_bytes_per_s);
    }
    devices->push_back({.device = id,
                        .link = link,
                        .round_trip_s = stats.round_trip_seconds,
                        .can_lead = !device.endpoint.empty() && !device.silent});
  }
  plan::LeaderInput input;
  input.values = spec_.parameter_count();
  input.update_value_bytes = BytesAsSent(spec_.codec_up);
  input.parameter_value_bytes = BytesAsSent(spec_.codec_down);
  input.replica_value_bytes = BytesAsSent({});
  input.hub = hub;
  input.devices = *devices;
  input.updates = static_cast<int64_t>(devices->size());
  input.compute_s = split_.compute_s();
  input.leading_s = leading_s_;
  return input;
}

Layout Coordinator::LayoutOf(const std::vector<plan::LedRange>& ranges) const {
  const plan::CutOptions cut{.fewest_values = spec_.least_range,
                             .alignment = std::min<int64_t>(spec_.least_range, 64)};
  Layout layout;
  for (const plan::LedRange& led : plan::CutAlong(ranges, spec_.stretch_begins, cut)) {
    Layout::Part part{.range = {led.begin, led.count},
                      .leader = {led.leader, Role::kLeader},
                      .endpoint = {},
                      .standby = led.standby,
                      .standby_endpoint = {}};
    if (const Device* leader = devices_.Find(led.leader)) part.endpoint = leader->endpoint;
    if (const Device* standby = devices_.Find(led.standby)) {
      part.standby_endpoint = standby->endpoint;
    }
    layout.parts.push_back(std::move(part));
  }
  return layout;
}

// Between steps, with nothing under way.
bool Coordinator::ReshapeIfDue() {
  if (spec_.leaders == 1 || !carried_.empty() || seats_.changing()) return false;
  if (std::exchange(wants_flat_, false)) {
    const std::vector<plan::LedRange> flat = {{.begin = 0, .count = spec_.parameter_count()}};
    leaders_.Holds(step_, flat);
    change_ = "a new plan: steps took as long with several leaders";
    BeginReshape(LayoutOf(flat));
    return true;
  }
  if (site_watch_.on_trial()) return false;
  // One leader by itself needs steps to be judged by; a number that was asked for does not.
  if (spec_.leaders == 0 && seats_.flat() && !MayTrySplit()) return false;
  std::vector<plan::LinkedDevice> devices;
  const plan::LeaderInput input = LinksOf(&devices);
  const auto plan = leaders_.Next(step_, input);
  if (!plan) return false;
  if (spec_.leaders == 0 && seats_.flat()) split_.BeginTrial(step_, plan->flat_s);
  change_ = fmt::format("a new plan: {:.3g} s of exchange a step, one leader {:.3g} s",
                        plan->communication_s, plan->flat_s);
  BeginReshape(LayoutOf(plan->ranges));
  return true;
}

void Coordinator::BeginReshape(Layout next) {
  phase_ = Phase::kReshaping;
  SendReshape(seats_.Begin(term_, std::move(next)));
}

void Coordinator::SendReshape(const Reshape& reshape) {
  for (const DeviceId device : seats_.concerned()) {
    actions_.push_back(Send{{device, Role::kLeader}, reshape});
  }
  reshape_wait_ = Timeout();
  reshape_at_ = now_ + reshape_wait_;
}

// A range without a standby gets one at once, in the middle of a step or a stream: until it has, a
// death would send the run back to its last checkpoint. Between steps the planner looks for it.
void Coordinator::SeatStandbys() {
  const bool under_way = phase_ == Phase::kStepping || phase_ == Phase::kStreaming ||
                         phase_ == Phase::kSettling || phase_ == Phase::kPaused;
  if (!under_way || seats_.changing() || !seats_.NeedsStandby()) return;
  std::vector<plan::LinkedDevice> devices;
  const plan::LeaderInput input = LinksOf(&devices);
  std::vector<plan::LedRange> chosen = Held();
  plan::ChooseStandbys(input, &chosen);
  std::map<DeviceId, DeviceId> standby_of;  // by leader
  for (const plan::LedRange& range : chosen) standby_of[range.leader] = range.standby;
  std::vector<LayoutKeeper::Standby> standbys;
  for (const Layout::Part& part : seats_.layout().parts) {
    const Device* leader = devices_.Find(part.leader.device);
    if (part.standby != 0 || leader == nullptr || leader->silent) continue;
    const Device* standby = devices_.Find(standby_of[leader->id]);
    if (standby != nullptr) standbys.push_back({part.range, standby->id, standby->endpoint});
  }
  if (!standbys.empty()) SendReshape(seats_.BeginSeating(term_, standbys));
}

// What leaders have sent each other may be lost with a line between them. Twice as late each time,
// as what they send may be much.
void Coordinator::SayReshapeAgain() {
  reshape_wait_ *= 2;
  reshape_at_ = now_ + reshape_wait_;
  for (const DeviceId device : seats_.concerned()) {
    actions_.push_back(Send{{device, Role::kLeader}, seats_.Again(term_)});
  }
}

// The device is back over another connection: what its leader was told, or has told, may be lost.
void Coordinator::TellLeaderAgain(DeviceId device) {
  if (devices_.Find(device)->endpoint.empty()) return;
  const Address leader{device, Role::kLeader};
  actions_.push_back(Send{leader, Relayout{term_, seats_.layout()}});
  for (const Layout::Part& part : seats_.layout().parts) {
    if (part.leader == leader) TellPartAgain(part);
  }
  if (seats_.changing() && seats_.concerned().contains(device)) {
    actions_.push_back(Send{leader, seats_.Again(term_)});
  }
}

// What the leader of a range is to do now.
void Coordinator::TellPartAgain(const Layout::Part& part) {
  if (phase_ == Phase::kStepping) SendBeginStep(part);
  if (phase_ == Phase::kFinishing) SendSave(part);
  if (phase_ == Phase::kStreaming) {
    SendBeginStream(part, flushing_ ? aggregate::Mode::kAsync : mode_);
  }
  if (phase_ == Phase::kSettling && !ended_.contains(part.range)) SendEndStream(part);
}

void Coordinator::On(TimePoint, Address from, const Seated& seated) {
  if (from.role != Role::kLeader) return NotTaken(from, seated);
  if (seated.term != term_ || !seats_.Awaits(seated)) return;
  const bool moves = !seats_.seating();
  std::string reason = moves ? change_ : "a standby for each range again";
  if (!seated.problem.empty()) {
    reason = fmt::format("{} cannot hold {}: {}", Describe(from), Describe(seated.range),
                         seated.problem);
    Emit(Warning{reason});
    seats_.Abandon();
  } else if (!seats_.OnSeated(from, seated)) {
    return;
  } else if (moves) {
    if (seats_.flat()) split_.Forget();
    if (!site_watch_.on_trial()) site_watch_.Forget();
    book_.SetRanges(seats_.layout());
  }
  NoteLeaders();
  TellLayout();
  Emit(LeadersChanged{seats_.layout().number, seats_.layout().parts, reason});
  if (!moves) return;
  phase_ = Phase::kWaiting;
  Advance();
}

// As the planner has it.
std::vector<plan::LedRange> Coordinator::Held() const {
  std::vector<plan::LedRange> ranges;
  for (const Layout::Part& part : seats_.layout().parts) {
    ranges.push_back({part.range.begin, part.range.count, part.leader.device, part.standby});
  }
  return spec_.stretch_begins.empty() ? ranges : plan::Joined(ranges);
}

// The planner goes on from what holds now, whoever chose it.
void Coordinator::NoteLeaders() { leaders_.Holds(step_, Held()); }

void Coordinator::TellLayout() {
  const Relayout relayout{term_, seats_.layout()};
  actions_.push_back(Send{spec_.leader, relayout});
  for (const auto& [device, known] : devices_.living()) {
    if (!known.endpoint.empty()) actions_.push_back(Send{{device, Role::kLeader}, relayout});
    ToWorker(device, relayout);
    if (sites_.IsRelay(device)) actions_.push_back(Send{{device, Role::kRelay}, relayout});
  }
}

// What the device led, its standby leads from now on.
void Coordinator::LoseSeats(DeviceId device) {
  const LayoutKeeper::Loss loss = seats_.Lose(device);
  if (loss.orphaned) {
    phase_ = Phase::kDone;
    actions_.push_back(Restart{
        fmt::format("values {} were led by device {}, and no other device that is here has them",
                    Describe(*loss.orphaned), device)});
    return;
  }
  AfterLoss(loss, fmt::format("device {} is gone", device));
}

// The layout may be another one now, and a change of it be given up.
void Coordinator::AfterLoss(const LayoutKeeper::Loss& loss, const std::string& reason) {
  if (loss.changed) {
    NoteLeaders();
    TellLayout();
    Emit(LeadersChanged{seats_.layout().number, seats_.layout().parts, reason});
  }
  for (const Range& range : loss.promoted) {
    const auto part = std::ranges::find(seats_.layout().parts, range, &Layout::Part::range);
    TellPartAgain(*part);
  }
  if (loss.abandoned && phase_ == Phase::kReshaping) {
    phase_ = Phase::kWaiting;
    Advance();
  }
  SeatStandbys();
  // Where there is nobody, the planner has to choose other leaders.
  if (phase_ == Phase::kStreaming && seats_.NeedsStandby() && !seats_.changing()) settling_ = true;
}

}  // namespace weft::cluster
