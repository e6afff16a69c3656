#include "cluster/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/planted.h"
#include "cluster/describe.h"
#include "cluster/token.h"
#include "cluster/wire_status.h"

namespace weft::cluster {

Coordinator::Coordinator(JobSpec spec, CoordStore* store, int64_t first_step, int64_t first_version)
    : spec_(std::move(spec)),
      plan_(spec_),
      mode_(spec_.aggregation.mode),
      seats_(spec_.parameter_count(), spec_.leader),
      deck_(spec_.samples, spec_.shard_samples),
      devices_(store, static_cast<int64_t>(spec_.shard_samples.size())),
      records_(store),
      ledger_(spec_.samples),
      patience_(std::chrono::milliseconds(spec_.device_timeout_ms)),
      shares_(plan_.batch()),
      leaders_({.fewest_values = spec_.least_range,
                .alignment = std::min<int64_t>(spec_.least_range, 64),
                .exactly = spec_.leaders > 1 ? spec_.leaders : 0}),
      step_(first_step),
      version_(first_version),
      saved_step_(first_step),
      asked_step_(first_step) {
  CHECK(Validate(spec_).ok());
  CHECK(first_step >= 0);
  book_.SetRanges(seats_.layout());
}

// ---- start and the store

Actions Coordinator::Start(TimePoint now) {
  NoteCall(now);
  if (const Status status = Restore(); !status.ok()) {
    Fail(status.Annotate("coordinator's store"));
  } else {
    Advance();
  }
  return Take();
}

// A record is the epoch and its ledger. Where there is none, each step before took a whole batch.
Status Coordinator::Restore() {
  RETURN_IF_ERROR(devices_.Load());
  ASSIGN_OR_RETURN(term_, records_.NextTerm());
  ASSIGN_OR_RETURN(const auto record, records_.LoadLedger(step_));
  epoch_ = plan_.EpochOf(step_);
  if (record) {
    const size_t space = record->find(' ');
    const std::string epoch = record->substr(0, space);
    const auto [end, error] = std::from_chars(epoch.data(), epoch.data() + epoch.size(), epoch_);
    if (error != std::errc() || end != epoch.data() + epoch.size() || space == record->npos) {
      return base::DataLoss("ledger record: got \"" + *record + "\"");
    }
    RETURN_IF_ERROR(ledger_.Load(record->substr(space + 1)));
  } else {
    ledger_.AssumeCovered(plan_.BeginOf(step_));
  }
  deck_.Open(ledger_.positions());
  return OkStatus();
}

// A checkpoint may still come without its record: where the store fails, or where the process dies
// before the leader's word of the step is heard. Then Restore assumes what the checkpoint holds.
void Coordinator::SaveLedger() {
  const std::string record = fmt::format("{} {}", epoch_, ledger_.Save());
  const Status status = records_.SaveLedger(step_, record, saved_step_);
  if (!status.ok()) Emit(Warning{"the ledger was not saved: " + status.message()});
}

// After a halt of its own, signs of life may wait behind this call: it looks again a heartbeat
// later.
void Coordinator::NoteCall(TimePoint now) {
  if (now - now_ >= Timeout() / 2) {
    spare_until_ = now + std::chrono::milliseconds(spec_.heartbeat_ms);
  }
  now_ = now;
}

// ---- devices

Actions Coordinator::OnHello(TimePoint now, ConnectionId connection, const Hello& hello) {
  NoteCall(now);
  const auto refuse = [&](Code code, std::string reason, bool retry) {
    actions_.push_back(Reply{connection, Refuse{CodeNumber(code), std::move(reason), retry}});
    actions_.push_back(CloseConnection{connection});
    return Take();
  };
  if (!spec_.token.empty() && !SameToken(hello.token, spec_.token)) {
    return refuse(Code::kUnauthenticated, "wrong token: take it from the coordinator's output",
                  false);
  }
  if (phase_ == Phase::kDone) return refuse(Code::kUnavailable, "the run is over", false);
  const auto admission = devices_.Admit(now, connection, hello);
  if (!admission.ok()) {
    return refuse(Code::kUnavailable, "coordinator's store: " + admission.status().message(), true);
  }
  Admitted(*admission, connection);
  return Take();
}

void Coordinator::Admitted(const DeviceTable::Admission& admission, ConnectionId connection) {
  const DeviceId device = admission.device;
  // What went over the old connection may be lost: everything it held is dealt anew.
  dealer_.Release(device);
  dealer_.Add(device);
  stream_.Add(device);
  if (admission.replaced) actions_.push_back(CloseConnection{*admission.replaced});
  actions_.push_back(Admit{connection, device});
  ToWorker(device, Welcome{.device = device,
                           .term = term_,
                           .run = spec_.run,
                           .job = spec_.job,
                           .model = spec_.model,
                           .layout = seats_.layout(),
                           .heartbeat_ms = spec_.heartbeat_ms,
                           .device_timeout_ms = spec_.device_timeout_ms,
                           .shard = devices_.Find(device)->shard});
  Emit(DeviceJoined{device, devices_.Find(device)->name, admission.again});
  if (phase_ == Phase::kWaiting) return Advance();
  if (phase_ == Phase::kStepping) Deal();
  if (phase_ == Phase::kStreaming) DealStream();
}

Actions Coordinator::OnDisconnected(TimePoint now, DeviceId device, const std::string& reason) {
  NoteCall(now);
  Lose(device, reason);
  return Take();
}

void Coordinator::Lose(DeviceId device, const std::string& reason) {
  const Device* lost = devices_.Find(device);
  if (lost == nullptr) return;
  Emit(DeviceLeft{device, lost->name, reason});
  devices_.Remove(device);
  if (!base::Planted("coordinator.keeps_leases_of_the_lost")) dealer_.Remove(device);
  stream_.Remove(device);
  if (done()) return;
  LoseSeats(device);
  if (done()) return;
  const bool alone = devices_.living().empty();
  if (phase_ == Phase::kStreaming) return alone ? Settle() : DealStream();
  if (alone && !ending_) AskForCheckpoint();
  if (phase_ != Phase::kStepping) return;
  disturbed_ = true;
  if (ending_ && devices_.living().empty()) {
    dealer_.End();
    return FinishWhenSaved();
  }
  Deal();
}

// A lease that every device here has returned: another device may come, or come back, for a while.
void Coordinator::LookForHope() {
  std::optional<Lease> hopeless;
  if (phase_ == Phase::kStepping) hopeless = dealer_.Hopeless();
  if (phase_ == Phase::kStreaming) hopeless = stream_.Hopeless();
  if (!hopeless) return hopeless_since_.reset();
  if (!hopeless_since_) hopeless_since_ = now_;
  if (now_ - *hopeless_since_ < Timeout()) return;
  Fail({Code::kUnavailable, fmt::format("no device can compute lease {}; the last one said: {}",
                                        Describe(*hopeless), return_reason_)});
}

std::optional<TimePoint> Coordinator::NextWake() const {
  const auto oldest = devices_.OldestSign();
  if (done() || !oldest) return std::nullopt;
  const TimePoint silent_at = std::max(*oldest + Timeout(), spare_until_);
  if (phase_ != Phase::kStepping && phase_ != Phase::kStreaming) return silent_at;
  const TimePoint ask_at = std::min(silent_at, ask_at_);
  return hopeless_since_ ? std::min(ask_at, *hopeless_since_ + Timeout()) : ask_at;
}

Actions Coordinator::Tick(TimePoint now) {
  NoteCall(now);
  if (done()) return Take();
  if (now >= spare_until_) TakeOutSilent();
  if (phase_ == Phase::kStepping && now >= ask_at_) AskWhatIsMissing();
  if (phase_ == Phase::kStreaming && now >= ask_at_) {
    ask_at_ = now + Timeout();
    if (stream_.ExpireOverdue(now, Timeout())) DealStream();
  }
  LookForHope();
  return Take();
}

void Coordinator::TakeOutSilent() {
  for (DeviceId device : devices_.SilentSince(now_ - Timeout())) {
    const std::string reason = fmt::format("silent for {:.1f} s", base::Seconds(Timeout()));
    ToWorker(device, Refuse{CodeNumber(Code::kDeadlineExceeded), reason, true});
    actions_.push_back(CloseConnection{devices_.Find(device)->connection});
    Lose(device, reason);
  }
}

void Coordinator::AskWhatIsMissing() {
  ask_at_ = now_ + Timeout();
  for (const Layout::Part& part : seats_.layout().parts) {
    actions_.push_back(Send{part.leader, AskMissing{term_, step_, part.range}});
  }
}

// ---- messages

Actions Coordinator::Handle(TimePoint now, Address from, const Message& message) {
  const bool is_here = from == spec_.leader;
  if (done() || (!is_here && devices_.Find(from.device) == nullptr)) return {};
  NoteCall(now);
  devices_.Saw(from.device, now);
  std::visit([&](const auto& m) { On(now, from, m); }, message);
  return Take();
}

// Meant for another role, or from one that has no business sending it.
void Coordinator::NotTaken(Address from, const Message& message) {
  Emit(Warning{fmt::format("{} sent the coordinator a {}, which it does not take; dropped",
                           Describe(from), MessageName(message))});
}

template <class Other>
void Coordinator::On(TimePoint, Address from, const Other& other) {
  NotTaken(from, other);
}

void Coordinator::On(TimePoint, Address from, const Hello& hello) {
  const Device* device = devices_.Find(from.device);
  const bool twice = device != nullptr && device->incarnation == hello.incarnation;
  if (!twice) NotTaken(from, hello);
}

void Coordinator::On(TimePoint now, Address from, const Heartbeat& heartbeat) {
  if (heartbeat.term != term_) return;
  devices_.Note(from.device, heartbeat.stats);
  Emit(DeviceProgress{from.device, heartbeat.samples_per_second, heartbeat.loss, heartbeat.stats});
  ToWorker(from.device, HeartbeatAck{term_});
  if (heartbeat.leases < 0) return;
  if (phase_ == Phase::kStreaming) {
    const auto load = static_cast<int64_t>(stream_.Load(from.device));
    if (heartbeat.leases < load && stream_.ExpireOf(from.device, now, Timeout())) DealStream();
    return;
  }
  if (phase_ != Phase::kStepping) return;
  const int64_t known = heartbeat.step == step_ ? heartbeat.leases : 0;
  if (heartbeat.step > step_ || known >= dealer_.Load(from.device)) return;
  // Grants under way are younger than this.
  if (dealer_.ExpireAll(from.device, now, Timeout())) {
    disturbed_ = true;
    Deal();
  }
}

void Coordinator::On(TimePoint now, Address from, const Missing& missing) {
  if (seats_.Led(from, missing.range) == nullptr) return NotTaken(from, missing);
  if (missing.term != term_ || missing.step != step_ || phase_ != Phase::kStepping) return;
  bool expired = false;
  for (int64_t slot : missing.slots) {
    expired = dealer_.Expire(slot, now, patience_.allowed()) || expired;
  }
  if (!expired) return;
  disturbed_ = true;
  Deal();
}

void Coordinator::On(TimePoint, Address from, const ReturnLease& returned) {
  if (returned.term != term_) return;
  if (phase_ == Phase::kStreaming && stream_.Return(returned.lease, from.device)) {
    return_reason_ = returned.reason;
    return DealStream();
  }
  if (!dealer_.Return(returned.lease, from.device)) return;
  return_reason_ = returned.reason;
  Deal();
}

void Coordinator::On(TimePoint, Address from, const Fault& fault) {
  if (fault.term != term_) return;
  const Device* device = devices_.Find(from.device);
  const std::string who = device != nullptr ? device->name : Describe(from);
  const std::string what = fmt::format("step {} on {}: {}", fault.step, who, fault.reason);
  const Status status = StatusFrom(fault.code, what);
  Fail(status.ok() ? Status(Code::kUnknown, what) : status);
}

void Coordinator::On(TimePoint, Address from, const Bye& bye) {
  if (const Device* device = devices_.Find(from.device)) {
    actions_.push_back(CloseConnection{device->connection});
  }
  Lose(from.device, bye.reason);
}

void Coordinator::On(TimePoint now, Address from, const Committed& committed) {
  if (from.role != Role::kLeader) return NotTaken(from, committed);
  // Of a leader that is one no longer: its successor says it again.
  if (committed.term != term_ || seats_.Led(from, committed.range) == nullptr) return;
  const bool stepping = phase_ == Phase::kStepping || phase_ == Phase::kFinishing;
  if (!committed.problem.empty() && (!stepping || committed.step == step_)) {
    return Fail(
        {Code::kFailedPrecondition, fmt::format("step {}: {}", committed.step, committed.problem)});
  }
  if (phase_ == Phase::kStreaming || phase_ == Phase::kSettling) {
    return OnStreamCommitted(now, committed);
  }
  if (committed.step != step_ || !applied_ranges_.insert(committed.range).second) return;
  for (const CommitBook::Done& done : book_.Enter(committed)) committed_.push_back(done);
  norm_squared_ += committed.gradient_norm * committed.gradient_norm;
  if (committed.range.begin == 0) first_record_ = committed;
  if (applied_ranges_.size() == seats_.layout().parts.size()) FinishStep(now);
}

void Coordinator::FinishStep(TimePoint now) {
  RecordStep(*first_record_);
  version_ = first_record_->version;
  if (!disturbed_) patience_.Took(now - step_began_);
  WatchSplit(base::Seconds(now - step_began_));
  if (phase_ == Phase::kStepping) phase_ = Phase::kWaiting;
  std::set<uint64_t> committed;
  for (const CommitBook::Done& done : committed_) committed.insert(done.lease.id);
  carried_.clear();
  carried_by_.clear();
  for (const Lease& lease : dealer_.leases()) {
    if (committed.contains(lease.id)) continue;
    carried_.push_back(lease);
    carried_by_.push_back(dealer_.HolderOf(lease));
  }
  dealer_.End();
  ++step_;
  const bool ends_epoch = deck_.left() == 0 && carried_.empty();
  if (ends_epoch) CloseEpoch();
  if (asked_step_ == step_) SaveLedger();
  AfterStep(ends_epoch);
}

// A step, or a stream, is over.
void Coordinator::AfterStep(bool ends_epoch) {
  if (phase_ == Phase::kFinishing || ending_) return FinishWhenSaved();
  if (ends_epoch && spec_.pause_for_eval) {
    phase_ = Phase::kPaused;
    return;
  }
  Advance();
}

void Coordinator::On(TimePoint, Address from, const CheckpointDone& checkpoint) {
  if (from != spec_.leader) return NotTaken(from, checkpoint);
  if (checkpoint.term != term_) return;
  if (checkpoint.problem.empty()) {
    saved_step_ = std::max(saved_step_, checkpoint.step);
    Emit(CheckpointSaved{checkpoint.step, checkpoint.path});
  } else {
    Emit(Warning{fmt::format("checkpoint of step {} failed: {}; the last one still stands",
                             checkpoint.step, checkpoint.problem)});
    if (phase_ != Phase::kFinishing) asked_step_ = std::min(asked_step_, saved_step_);
  }
  if (phase_ == Phase::kFinishing && checkpoint.step >= step_) Finish();
}

// ---- steps

bool Coordinator::CheckpointAfter(int64_t step) const {
  const bool due = spec_.checkpoint_every > 0 && (step + 1) % spec_.checkpoint_every == 0;
  return due || ends_epoch_;
}

void Coordinator::Advance() {
  if (epoch_ >= spec_.epochs) return End(RunDone::How::kCompleted, "the run is complete");
  const auto have = static_cast<int64_t>(devices_.living().size());
  const int64_t want = started_ ? 1 : spec_.start_workers;
  if (have >= want) {
    if (ReshapeIfDue()) return;
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
  Cut cut = CutStep();
  if (cut.leases.empty() && carried_.empty()) {
    // Of what is left, nothing belongs to a device that is here.
    phase_ = Phase::kWaiting;
    CloseEpoch();
    return AfterStep(true);
  }
  step_samples_ = cut.samples;
  ends_epoch_ = deck_.left() == 0;
  const size_t carried = carried_.size();
  cut.leases.insert(cut.leases.end(), carried_.begin(), carried_.end());
  cut.owners.insert(cut.owners.end(), carried_by_.begin(), carried_by_.end());
  dealer_.Begin(std::move(cut.leases), cut.owners, carried);
  next_ = ProbablyNext();
  SendBeginStep(CheckpointAfter(step_));
  Deal();
  if (spec_.aggregation.over_selection > 0) DealCopies();
}

// ---- what a step consists of

Coordinator::Cut Coordinator::CutStep() {
  Cut cut;
  cut.samples = std::min(plan_.batch(), deck_.left());
  if (plan_.fixed_slots() > 0) {
    for (const int64_t share : plan_.FixedShares(cut.samples)) AddLeases(share, 0, &cut);
    return cut;
  }
  const std::vector<DeviceId> ready = dealer_.Ready(step_);
  if (!spec_.shard_samples.empty()) {
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
    if (const Device* known = devices_.Find(device)) paces.push_back({device, PaceOf(*known)});
  }
  if (paces.empty()) return AddLeases(cut->samples, 0, cut);
  const plan::KeptShares kept = shares_.Next(cut->samples, paces);
  for (size_t i = 0; i < paces.size(); ++i) AddLeases(kept.shares[i], paces[i].device, cut);
}

// Each device its part of the batch, from its own samples.
void Coordinator::CutShards(const std::vector<DeviceId>& devices, Cut* cut) {
  const auto count = static_cast<int64_t>(devices.size());
  if (count == 0) return;
  const int64_t share = (plan_.batch() + count - 1) / count;
  cut->samples = 0;
  for (const DeviceId device : devices) {
    const int64_t shard = devices_.Find(device)->shard;
    if (shard < 0) continue;
    const int64_t most = std::min(share, deck_.LeftOf(shard));
    for (int64_t left = most; left > 0;) {
      const Deck::Piece piece = deck_.TakeOf(shard, left);
      left -= piece.count;
      cut->samples += piece.count;
      cut->leases.push_back(plan_.LeaseOf(step_, epoch_, static_cast<int64_t>(cut->leases.size()),
                                          piece.begin, piece.count));
      cut->owners.push_back(device);
    }
  }
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

void Coordinator::SendBeginStep(bool checkpoint) {
  if (checkpoint) asked_step_ = step_ + 1;
  for (const Layout::Part& part : seats_.layout().parts) SendBeginStep(part, checkpoint);
}

void Coordinator::SendBeginStep(const Layout::Part& part, bool checkpoint) {
  cluster::BeginStep begin{.term = term_,
                           .step = step_,
                           .epoch = epoch_,
                           .total_samples = 0,
                           .leases = {},
                           .lr = engine::LearningRate(spec_.schedule, step_, total_steps()),
                           .checkpoint = checkpoint,
                           .range = part.range,
                           .version = version_};
  for (const Lease& lease : dealer_.leases()) {
    if (book_.Has(lease.id, part.range)) continue;
    begin.leases.push_back(lease);
    begin.total_samples += lease.count;
  }
  const double quorum = spec_.aggregation.quorum;
  if (quorum < 1 && !ends_epoch_) {
    const double enough = std::ceil(quorum * static_cast<double>(step_samples_));
    begin.quorum_samples = std::max<int64_t>(1, static_cast<int64_t>(enough));
  }
  actions_.push_back(Send{part.leader, std::move(begin)});
}

// A device whose heartbeats are missing may be gone, long before it is sure.
void Coordinator::NoteQuiet() {
  const Duration beats = kQuietHeartbeats * std::chrono::milliseconds(spec_.heartbeat_ms);
  dealer_.SetQuiet(devices_.SilentSince(now_ - beats));
}

void Coordinator::Deal() {
  if (phase_ != Phase::kStepping) return;
  NoteQuiet();
  if (devices_.living().empty() && !std::exchange(told_waiting_, true)) {
    Emit(WaitingForWorkers{0, 1});
  }
  for (const Dealer::Dealt& dealt : dealer_.Deal(now_)) {
    told_waiting_ = false;
    if (dealt.before != 0 && dealt.before != dealt.device) {
      Emit(LeaseRedealt{dealt.lease, dealt.before, dealt.device});
    }
    SendGrant(dealt);
  }
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

void Coordinator::SendGrant(const Dealer::Dealt& dealt) {
  const auto slot = static_cast<size_t>(dealt.lease.slot);
  const bool probable = dealt.lease.step == step_ && slot < next_.size();
  ToWorker(dealt.device, Grant{.term = term_,
                               .lease = dealt.lease,
                               .version = version_,
                               .next = probable ? next_[slot] : Lease{},
                               .again = dealt.again,
                               .overlap = spec_.aggregation.quorum < 1,
                               .lr = engine::LearningRate(spec_.schedule, step_, total_steps())});
}

// A device keeps its slot from step to step if as many devices are there then.
std::vector<Lease> Coordinator::ProbablyNext() const {
  if (!spec_.shard_samples.empty() || dealer_.leases().empty()) return {};
  const bool same_epoch = deck_.left() > 0;
  if (!same_epoch && epoch_ + 1 >= spec_.epochs) return {};
  const int64_t left = same_epoch ? deck_.left() : spec_.samples;
  return plan_.Leases(step_ + 1, same_epoch ? epoch_ : epoch_ + 1, same_epoch ? deck_.next() : 0,
                      std::min(plan_.batch(), left), static_cast<int64_t>(dealer_.leases().size()));
}

void Coordinator::RecordStep(const Committed& first) {
  std::vector<Lease> leases;
  for (const CommitBook::Done& done : committed_) leases.push_back(done.lease);
  ledger_.Commit(leases);
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
  Emit(std::move(done));
}

void Coordinator::CloseEpoch() {
  const int64_t absent = spec_.shard_samples.empty() ? 0 : deck_.left();
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
}

// ---- the end

Actions Coordinator::Continue(TimePoint now) {
  NoteCall(now);
  if (phase_ == Phase::kPaused) Advance();
  return Take();
}

Actions Coordinator::StopEarly(TimePoint now, const std::string& reason) {
  NoteCall(now);
  End(RunDone::How::kStoppedEarly, reason);
  return Take();
}

Actions Coordinator::Drain(TimePoint now, const std::string& reason) {
  NoteCall(now);
  End(RunDone::How::kDrained, reason);
  return Take();
}

void Coordinator::End(RunDone::How how, const std::string& reason) {
  if (done() || ending_) return;
  ending_ = RunDone{.how = how, .status = OkStatus(), .reason = reason};
  if (phase_ == Phase::kStepping && !devices_.living().empty()) {
    if (asked_step_ <= step_) SendBeginStep(true);  // the step under way, now with a checkpoint
    return;
  }
  if (phase_ == Phase::kStreaming) return Settle();
  if (phase_ == Phase::kSettling) return;
  if (phase_ == Phase::kReshaping) seats_.Abandon();
  dealer_.End();
  FinishWhenSaved();
}

void Coordinator::Fail(const Status& status) {
  if (done()) return;
  ending_ = RunDone{.how = RunDone::How::kFailed,
                    .status = status,
                    .reason = "the run failed: " + status.message()};
  Finish();
}

void Coordinator::FinishWhenSaved() {
  phase_ = Phase::kFinishing;
  if (saved_step_ >= step_) return Finish();
  AskForCheckpoint();
}

// Of the step that is already applied: the leaders save what they have.
void Coordinator::AskForCheckpoint() {
  if (asked_step_ == step_ || saved_step_ >= step_) return;
  asked_step_ = step_;
  SaveLedger();
  cluster::BeginStep again;
  again.term = term_;
  again.step = step_ - 1;
  again.checkpoint = true;
  for (const Layout::Part& part : seats_.layout().parts) {
    again.range = part.range;
    actions_.push_back(Send{part.leader, again});
  }
}

void Coordinator::Finish() {
  phase_ = Phase::kDone;
  dealer_.End();
  ending_->next_step = step_;
  ending_->lost_samples = ledger_.lost_samples();
  ending_->duplicated_samples = ledger_.duplicated_samples();
  const Status status = ending_->status;
  for (const auto& [device, known] : devices_.living()) {
    ToWorker(device, Finished{term_, CodeNumber(status.code()), ending_->reason});
  }
  Emit(*ending_);
  actions_.push_back(Stop{status});
}

// ---- small things

void Coordinator::ToWorker(DeviceId device, Message message) {
  actions_.push_back(Send{{device, Role::kWorker}, std::move(message)});
}

}  // namespace weft::cluster
