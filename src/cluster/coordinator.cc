#include "cluster/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/planted.h"
#include "cluster/describe.h"
#include "cluster/token.h"
#include "cluster/wire_status.h"

namespace weft::cluster {

Coordinator::Coordinator(JobSpec spec, CoordStore* store, int64_t first_step)
    : spec_(std::move(spec)),
      plan_(spec_),
      devices_(store),
      records_(store),
      ledger_(spec_.samples),
      patience_(std::chrono::milliseconds(spec_.device_timeout_ms)),
      step_(first_step),
      saved_step_(first_step),
      asked_step_(first_step) {
  CHECK(Validate(spec_).ok());
  CHECK(first_step >= 0);
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

Status Coordinator::Restore() {
  RETURN_IF_ERROR(devices_.Load());
  ASSIGN_OR_RETURN(term_, records_.NextTerm());
  ASSIGN_OR_RETURN(const auto ledger, records_.LoadLedger(step_));
  if (ledger) return ledger_.Load(*ledger);
  ledger_.AssumeCovered(plan_.BeginOf(step_));
  return OkStatus();
}

// A checkpoint may still come without its record: where the store fails, or where the process dies
// before the leader's word of the step is heard. Then Restore assumes what the checkpoint holds.
void Coordinator::SaveLedger() {
  const Status status = records_.SaveLedger(step_, ledger_.Save(), saved_step_);
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
  if (admission.replaced) actions_.push_back(CloseConnection{*admission.replaced});
  actions_.push_back(Admit{connection, device});
  ToWorker(device, Welcome{.device = device,
                           .term = term_,
                           .run = spec_.run,
                           .job = spec_.job,
                           .model = spec_.model,
                           .layout = {.number = 1,
                                      .parts = {{.range = {0, spec_.parameter_count()},
                                                 .leader = spec_.leader,
                                                 .endpoint = {},
                                                 .standby_endpoint = {}}}},
                           .heartbeat_ms = spec_.heartbeat_ms,
                           .device_timeout_ms = spec_.device_timeout_ms});
  Emit(DeviceJoined{device, devices_.Find(device)->name, admission.again});
  if (phase_ == Phase::kWaiting) return Advance();
  if (phase_ == Phase::kStepping) Deal();
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
  const auto hopeless = phase_ == Phase::kStepping ? dealer_.Hopeless() : std::nullopt;
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
  if (phase_ != Phase::kStepping) return silent_at;
  const TimePoint ask_at = std::min(silent_at, ask_at_);
  return hopeless_since_ ? std::min(ask_at, *hopeless_since_ + Timeout()) : ask_at;
}

Actions Coordinator::Tick(TimePoint now) {
  NoteCall(now);
  if (done()) return Take();
  if (now >= spare_until_) TakeOutSilent();
  if (phase_ == Phase::kStepping && now >= ask_at_) AskWhatIsMissing();
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
  actions_.push_back(Send{spec_.leader, AskMissing{term_, step_}});
}

// ---- messages

Actions Coordinator::Handle(TimePoint now, Address from, const Message& message) {
  const bool is_leader = from == spec_.leader;
  if (done() || (!is_leader && devices_.Find(from.device) == nullptr)) return {};
  NoteCall(now);
  devices_.Saw(from.device, now);
  std::visit([&](const auto& m) { On(now, from, m); }, message);
  return Take();
}

// Meant for another role, or from one that has no business sending it.
template <class Other>
void Coordinator::On(TimePoint, Address from, const Other& other) {
  Emit(Warning{fmt::format("{} sent the coordinator a {}, which it does not take; dropped",
                           Describe(from), MessageName(other))});
}

void Coordinator::On(TimePoint now, Address from, const Hello& hello) {
  const Device* device = devices_.Find(from.device);
  const bool twice = device != nullptr && device->incarnation == hello.incarnation;
  if (!twice) On<Message>(now, from, hello);
}

void Coordinator::On(TimePoint now, Address from, const Heartbeat& heartbeat) {
  if (heartbeat.term != term_) return;
  Emit(DeviceProgress{from.device, heartbeat.samples_per_second, heartbeat.loss});
  ToWorker(from.device, HeartbeatAck{term_});
  if (phase_ != Phase::kStepping || heartbeat.leases < 0) return;
  const int64_t known = heartbeat.step == step_ ? heartbeat.leases : 0;
  if (heartbeat.step > step_ || known >= dealer_.Load(from.device)) return;
  // Grants under way are younger than this.
  if (dealer_.ExpireAll(from.device, now, Timeout())) {
    disturbed_ = true;
    Deal();
  }
}

void Coordinator::On(TimePoint now, Address from, const Missing& missing) {
  if (from != spec_.leader) return On<Message>(now, from, missing);
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
  if (returned.term != term_ || !dealer_.Return(returned.lease, from.device)) return;
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
  if (from != spec_.leader) return On<Message>(now, from, committed);
  if (committed.term != term_ || committed.step != step_) return;
  if (!committed.problem.empty()) {
    return Fail(
        {Code::kFailedPrecondition, fmt::format("step {}: {}", committed.step, committed.problem)});
  }
  RecordStep(committed);
  if (!disturbed_) patience_.Took(now - step_began_);
  if (phase_ == Phase::kStepping) phase_ = Phase::kWaiting;
  dealer_.End();
  ++step_;
  const bool ends_epoch = plan_.EndsEpoch(committed.step);
  if (ends_epoch) CloseEpoch(plan_.EpochOf(committed.step));
  if (asked_step_ == step_) SaveLedger();
  if (phase_ == Phase::kFinishing || ending_) return FinishWhenSaved();
  if (ends_epoch && spec_.pause_for_eval) {
    phase_ = Phase::kPaused;
    return;
  }
  Advance();
}

void Coordinator::On(TimePoint now, Address from, const CheckpointDone& checkpoint) {
  if (from != spec_.leader) return On<Message>(now, from, checkpoint);
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
  return due || plan_.EndsEpoch(step);
}

void Coordinator::Advance() {
  if (step_ >= plan_.total_steps()) return End(RunDone::How::kCompleted, "the run is complete");
  const auto have = static_cast<int64_t>(devices_.living().size());
  const int64_t want = started_ ? 1 : spec_.start_workers;
  if (have >= want) return BeginStep();
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
  NoteQuiet();
  dealer_.Begin(plan_.Leases(step_, dealer_.Available(step_)));
  next_ = ProbablyNext();
  SendBeginStep(CheckpointAfter(step_));
  Deal();
}

void Coordinator::SendBeginStep(bool checkpoint) {
  if (checkpoint) asked_step_ = step_ + 1;
  actions_.push_back(
      Send{spec_.leader,
           cluster::BeginStep{.term = term_,
                              .step = step_,
                              .epoch = plan_.EpochOf(step_),
                              .total_samples = plan_.SamplesOf(step_),
                              .leases = dealer_.leases(),
                              .lr = engine::LearningRate(spec_.schedule, step_, total_steps()),
                              .checkpoint = checkpoint,
                              .range = {0, spec_.parameter_count()},
                              .version = step_}});
}

// A device whose heartbeats are missing may be gone, long before it is sure.
void Coordinator::NoteQuiet() {
  const Duration beats = kQuietHeartbeats * std::chrono::milliseconds(spec_.heartbeat_ms);
  dealer_.SetQuiet(devices_.SilentSince(now_ - beats));
}

void Coordinator::Deal() {
  NoteQuiet();
  if (devices_.living().empty() && !std::exchange(told_waiting_, true)) {
    Emit(WaitingForWorkers{0, 1});
  }
  for (const Dealer::Dealt& dealt : dealer_.Deal(now_)) {
    told_waiting_ = false;
    if (dealt.before != 0 && dealt.before != dealt.device) {
      Emit(LeaseRedealt{dealt.lease, dealt.before, dealt.device});
    }
    const auto slot = static_cast<size_t>(dealt.lease.slot);
    ToWorker(dealt.device, Grant{.term = term_,
                                 .lease = dealt.lease,
                                 .version = step_,
                                 .next = slot < next_.size() ? next_[slot] : Lease{},
                                 .again = dealt.again});
  }
  LookForHope();
}

// A device keeps its slot from step to step if as many devices are there then.
std::vector<Lease> Coordinator::ProbablyNext() const {
  if (step_ + 1 >= plan_.total_steps()) return {};
  return plan_.Leases(step_ + 1, static_cast<int64_t>(dealer_.leases().size()));
}

void Coordinator::RecordStep(const Committed& committed) {
  ledger_.Commit(committed.leases);
  StepDone done{.step = committed.step,
                .epoch = plan_.EpochOf(committed.step),
                .samples = committed.samples,
                .loss = committed.loss_sum / static_cast<double>(committed.samples),
                .correct = committed.correct,
                .lr = engine::LearningRate(spec_.schedule, committed.step, total_steps()),
                .gradient_norm = committed.gradient_norm,
                .parts = {}};
  for (size_t i = 0; i < committed.leases.size() && i < committed.devices.size(); ++i) {
    done.parts.push_back({committed.devices[i], committed.leases[i].count});
    dealer_.Committed(committed.leases[i], committed.devices[i]);
  }
  epoch_.loss += committed.loss_sum;
  epoch_.correct += committed.correct;
  epoch_.samples += committed.samples;
  Emit(std::move(done));
}

void Coordinator::CloseEpoch(int64_t epoch) {
  const Ledger::EpochCount count = ledger_.EndEpoch();
  const auto samples = static_cast<double>(epoch_.samples);
  Emit(EpochDone{.epoch = epoch,
                 .next_step = step_,
                 .loss = epoch_.loss / samples,
                 .accuracy = static_cast<double>(epoch_.correct) / samples,
                 .lost = count.lost,
                 .duplicated = count.duplicated});
  epoch_ = {};
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
  if (asked_step_ == step_) return;
  // Asks for a checkpoint of the step that is already applied: the leader saves what it has.
  asked_step_ = step_;
  SaveLedger();
  cluster::BeginStep again;
  again.term = term_;
  again.step = step_ - 1;
  again.checkpoint = true;
  actions_.push_back(Send{spec_.leader, again});
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
