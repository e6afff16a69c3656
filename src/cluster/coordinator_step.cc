// Coordinator: what a step consists of, who gets it, and what it comes to.

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "base/planted.h"
#include "cluster/coordinator.h"
#include "plan/shares.h"

namespace weft::cluster {

bool Coordinator::CheckpointAfter(int64_t step) const {
  const int64_t every = spec_.checkpoint_every;
  const bool due = every > 0 && (step + 1) / every > (step + 1 - steps_at_once_) / every;
  return due || ends_epoch_;
}

void Coordinator::Advance() {
  if (epoch_ >= spec_.epochs) return End(RunDone::How::kCompleted, "the run is complete");
  const auto have = static_cast<int64_t>(devices_.living().size());
  const int64_t want = started_ ? 1 : spec_.start_workers;
  if (have >= want) {
    TakeMode();
    TrySites();
    PlanSites();
    if (WaitsForOwners() || ReshapeIfDue()) return;
    return Streams() ? BeginStream() : BeginStep();
  }
  phase_ = Phase::kWaiting;
  if (!std::exchange(told_waiting_, true)) Emit(WaitingForWorkers{have, want});
}

void Coordinator::BeginStep() {
  phase_ = Phase::kStepping;
  started_ = true;
  told_waiting_ = false;
  disturbed_ = false;
  step_began_ = now_;
  ask_at_ = now_ + patience_.allowed();
  applied_ranges_.clear();
  first_record_.reset();
  committed_.clear();
  norm_squared_ = 0;
  NoteQuiet();
  PlanLinks();
  // It goes by the number of the last of them.
  steps_at_once_ = StepsAtOnce();
  step_ += steps_at_once_ - 1;
  Cut cut = CutStep();
  if (cut.leases.empty() && carried_.empty()) {
    // Nothing of what is left belongs to a device that is here.
    phase_ = Phase::kWaiting;
    CloseEpoch();
    return AfterStep(true);
  }
  step_samples_ = cut.samples;
  ends_epoch_ = deck_.left() == 0;
  cut.leases.insert(cut.leases.end(), carried_.begin(), carried_.end());
  for (size_t i = 0; i < carried_.size(); ++i) {
    cut.owners.push_back(IsLocal() ? OwnerOf(carried_[i]) : carried_by_[i]);
  }
  // As of now: what is said of the step again must not depend on what has come since.
  had_.clear();
  for (const Layout::Part& part : seats_.layout().parts) {
    for (const Lease& lease : carried_) {
      if (book_.Has(lease.id, part.range)) had_[part.range].insert(lease.id);
    }
  }
  dealer_.Begin(std::move(cut.leases), cut.owners, carried_by_, IsLocal());
  left_out_told_ = 0;
  next_ = ProbablyNext();
  wants_checkpoint_ = CheckpointAfter(step_) || ending_;
  for (const Layout::Part& part : seats_.layout().parts) SendBeginStep(part);
  Deal(true);
  if (spec_.aggregation.over_selection > 0 && !IsLocal()) DealCopies();
}

// ---- what a step consists of

Coordinator::Cut Coordinator::CutStep() {
  Cut cut;
  cut.samples = std::min(plan_.batch() * steps_at_once_, deck_.left());
  if (plan_.fixed_slots() > 0) {
    for (const int64_t share : plan_.FixedShares(cut.samples)) AddLeases(share, 0, &cut);
    return cut;
  }
  const std::vector<DeviceId> ready = dealer_.Ready(step_);
  if (IsLocal()) {
    CutShards(ready, &cut);
    return cut;
  }
  const double devices = static_cast<double>(ready.size()) / (1 + spec_.aggregation.over_selection);
  const auto slots = std::clamp<int64_t>(std::llround(devices), 1, kMaxSlots);
  if (spec_.share_by_speed) {
    CutBySpeed(Fastest(ready, static_cast<size_t>(slots)), &cut);
    return cut;
  }
  for (const int64_t share : plan_.EqualShares(cut.samples, slots)) AddLeases(share, 0, &cut);
  return cut;
}

// What a lease takes beside its samples: its own cost, and its way over the link.
plan::Pace Coordinator::PaceOf(const Device& device) const {
  const DeviceStats& stats = device.stats;
  return {.fixed_s = stats.lease_seconds, .per_sample_s = stats.sample_seconds};
}

plan::DevicePace Coordinator::DevicePaceOf(const Device& device) const {
  plan::DevicePace pace{.device = device.id,
                        .pace = PaceOf(device),
                        .plan_s = device.stats.plan_seconds,
                        .least_per_sample_s = 0};
  if (device.overdue) {
    // What is under way for so long may take as long again, and only then comes another sample.
    const double busy_s = base::Seconds(now_ - device.overdue->since);
    pace.least_per_sample_s = busy_s + busy_s / static_cast<double>(device.overdue->samples);
  }
  return pace;
}

// The `count` fastest of them, by id.
std::vector<DeviceId> Coordinator::Fastest(std::vector<DeviceId> devices, size_t count) const {
  if (devices.size() <= count) return devices;
  const auto seconds = [&](DeviceId device) { return devices_.Find(device)->stats.sample_seconds; };
  std::ranges::stable_sort(devices, {}, seconds);
  devices.resize(count);
  std::ranges::sort(devices);
  return devices;
}

// Shares with which all are done together.
void Coordinator::CutBySpeed(std::vector<DeviceId> devices, Cut* cut) {
  std::vector<plan::DevicePace> paces;
  for (const DeviceId device : devices) {
    if (const Device* known = devices_.Find(device)) paces.push_back(DevicePaceOf(*known));
  }
  if (paces.empty()) return AddLeases(cut->samples, 0, cut);
  const plan::KeptShares kept = shares_.Next(cut->samples, paces);
  for (size_t i = 0; i < paces.size(); ++i) AddLeases(kept.shares[i], paces[i].device, cut);
}

// One lease, or several where positions are not in one piece.
void Coordinator::AddLeases(int64_t share, DeviceId owner, Cut* cut) {
  while (share > 0) {
    const Deck::Piece piece = deck_.Take(share);
    share -= piece.count;
    cut->leases.push_back(plan_.LeaseOf(step_, epoch_, static_cast<int64_t>(cut->leases.size()),
                                        piece.begin, piece.count));
    cut->owners.push_back(owner);
  }
}

void Coordinator::SendBeginStep(const Layout::Part& part) {
  cluster::BeginStep begin{.term = term_,
                           .step = step_,
                           .epoch = epoch_,
                           .total_samples = 0,
                           .leases = {},
                           .lr = engine::LearningRate(spec_.schedule, step_, total_steps()),
                           .range = part.range,
                           .version = version_};
  if (const auto down = links_.down()) {
    begin.density = down->density;
    begin.value_kind = static_cast<uint8_t>(down->values);
  }
  for (size_t slot = 0; slot < dealer_.leases().size(); ++slot) {
    const Lease& lease = dealer_.leases()[slot];
    const auto had = had_.find(part.range);
    const bool has = had != had_.end() && had->second.contains(lease.id);
    if (has || dealer_.IsLeftOut(slot)) continue;
    begin.leases.push_back(lease);
    begin.total_samples += lease.count;
  }
  const double quorum = spec_.aggregation.quorum;
  if (quorum < 1 && !ends_epoch_ && MayDiffer()) {
    const double enough = std::ceil(quorum * static_cast<double>(step_samples_));
    begin.quorum_samples = std::max<int64_t>(1, static_cast<int64_t>(enough));
  }
  actions_.push_back(Send{part.leader, std::move(begin)});
}

// A device whose heartbeats are missing may be gone, long before it is sure.
void Coordinator::NoteQuiet() {
  const Duration beats = kQuietHeartbeats * Beat();
  dealer_.SetQuiet(step_, devices_.SilentSince(now_ - beats));
}

// `first`: all leases of a step, so that those of a site can be pushed as a sum.
void Coordinator::Deal(bool first) {
  if (phase_ != Phase::kStepping) return;
  NoteQuiet();
  if (devices_.living().empty() && !std::exchange(told_waiting_, true)) {
    Emit(WaitingForWorkers{0, 1});
  }
  const std::vector<Dealer::Dealt> all = dealer_.Deal(now_);
  std::map<DeviceId, int64_t> joint;
  if (first) joint = LeasesByRelay(all);
  for (const Dealer::Dealt& dealt : all) {
    told_waiting_ = false;
    if (dealt.before != 0 && dealt.before != dealt.device) {
      Emit(LeaseRedealt{dealt.lease, dealt.before, dealt.device});
    }
    if (dealt.overdue_since) {
      devices_.NoteOverdue(dealt.before, {dealt.lease.count, *dealt.overdue_since});
    }
    const auto of_site = joint.find(sites_.Of(dealt.device).relay);
    SendGrant(dealt, of_site == joint.end() || of_site->second < 2 ? 0 : of_site->second);
  }
  if (IsLocal()) TellLeftOut();
  LookForHope();
}

// To devices without a lease, from the last one on: shares rise in no order, but copies of all are
// equally welcome.
void Coordinator::DealCopies() {
  std::vector<size_t> places(dealer_.leases().size());
  std::iota(places.rbegin(), places.rend(), size_t{0});
  for (const Dealer::Dealt& dealt : dealer_.DealCopies(places, dealer_.Ready(step_))) {
    SendGrant(dealt);
  }
}

void Coordinator::SendGrant(const Dealer::Dealt& dealt, int64_t joint) {
  const auto slot = static_cast<size_t>(dealt.lease.slot);
  const bool probable = dealt.lease.step == step_ && slot < next_.size();
  Grant grant{.term = term_,
              .lease = dealt.lease,
              .version = version_,
              .next = probable ? next_[slot] : Lease{},
              .again = dealt.again,
              .overlap = MayCarry(),
              .lr = engine::LearningRate(spec_.schedule, step_, total_steps()),
              .joint = joint};
  if (spec_.aggregation.most_local_steps > 0) grant.local_steps = steps_at_once_;
  if (const auto up = links_.UpOf(dealt.device)) {
    grant.density = up->density;
    grant.value_kind = static_cast<uint8_t>(up->values);
  }
  ToWorker(dealt.device, std::move(grant));
}

// A device keeps its slot from step to step if as many devices are there then.
std::vector<Lease> Coordinator::ProbablyNext() const {
  if (IsLocal() || dealer_.leases().empty()) return {};
  const bool same_epoch = deck_.left() > 0;
  if (!same_epoch && epoch_ + 1 >= spec_.epochs) return {};
  const int64_t left = same_epoch ? deck_.left() : spec_.samples;
  const int64_t samples = std::min(plan_.batch() * steps_at_once_, left);
  return plan_.Leases(step_ + steps_at_once_, same_epoch ? epoch_ : epoch_ + 1,
                      same_epoch ? deck_.next() : 0, samples,
                      static_cast<int64_t>(dealer_.leases().size()));
}

void Coordinator::RecordStep(const Committed& first) {
  std::vector<Lease> leases;
  for (const CommitBook::Done& done : committed_) leases.push_back(done.lease);
  ledger_.Commit(leases);
  if (first.samples == 0) return;  // all of it was left out
  StepDone done{.step = first.step,
                .epoch = epoch_,
                .samples = first.samples,
                .loss = first.loss_sum / static_cast<double>(first.samples),
                .correct = first.correct,
                .lr = engine::LearningRate(spec_.schedule, first.step, total_steps()),
                .gradient_norm = std::sqrt(norm_squared_),
                .parts = {}};
  for (size_t i = 0; i < first.leases.size() && i < first.devices.size(); ++i) {
    done.parts.push_back({first.devices[i], first.leases[i].count});
    dealer_.Committed(first.leases[i], first.devices[i]);
  }
  sums_.loss += first.loss_sum;
  sums_.correct += first.correct;
  sums_.samples += first.samples;
  ChooseMode(done);
  Emit(std::move(done));
}

void Coordinator::CloseEpoch() {
  const int64_t absent = IsLocal() ? deck_.left() : 0;
  const Ledger::EpochCount count = ledger_.EndEpoch(absent);
  const auto samples = static_cast<double>(std::max<int64_t>(sums_.samples, 1));
  Emit(EpochDone{.epoch = epoch_,
                 .next_step = step_,
                 .loss = sums_.loss / samples,
                 .accuracy = static_cast<double>(sums_.correct) / samples,
                 .lost = count.lost,
                 .duplicated = count.duplicated,
                 .absent = absent});
  sums_ = {};
  ++epoch_;
  deck_.Open({});
  unable_.clear();
}

// ---- a step is over

void Coordinator::FinishStep(TimePoint now) {
  version_ = first_record_->version;
  RecordStep(*first_record_);
  if (!disturbed_) patience_.Took(now - step_began_);
  WatchStep(base::Seconds(now - step_began_));
  if (phase_ == Phase::kStepping) phase_ = Phase::kWaiting;
  std::set<uint64_t> committed;
  for (const CommitBook::Done& done : committed_) committed.insert(done.lease.id);
  carried_.clear();
  carried_by_.clear();
  for (const Lease& lease : dealer_.leases()) {
    if (committed.contains(lease.id)) continue;
    const bool forgets = base::Planted("coordinator.forgets_the_half_applied");
    if (!book_.HalfApplied(lease.id) || forgets) {
      // Its update would come late; what momentum makes of late updates is worse than none.
      deck_.PutBack({lease.begin, lease.count});
      continue;
    }
    carried_.push_back(lease);
    carried_by_.push_back(dealer_.HolderOf(lease));
    if (IsLocal() && OwnerOf(lease) == 0) return StartAgain(lease);
  }
  dealer_.End();
  ++step_;
  const bool ends_epoch = deck_.left() == 0 && carried_.empty();
  if (ends_epoch) CloseEpoch();
  if (wants_checkpoint_) AskForCheckpoint();
  AfterStep(ends_epoch);
}

// A step, or a stream, is over. Where quorums have left leases half applied, a run that ends takes
// one more step, which waits for all of them.
void Coordinator::AfterStep(bool ends_epoch) {
  const bool one_more = !carried_.empty() && !devices_.living().empty();
  if (phase_ == Phase::kWaiting && ending_ && one_more) return BeginStep();
  if (phase_ == Phase::kFinishing || ending_) return FinishWhenSaved();
  if (ends_epoch && spec_.pause_for_eval) {
    phase_ = Phase::kPaused;
    return;
  }
  Advance();
}

}  // namespace weft::cluster
