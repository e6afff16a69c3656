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
namespace {

// A device that was started again before its last life was found to be over has the name with a
// number, and none of the data that stands under the name. Of several lives the last; null: none.
const Device* NewLifeOf(const Device& lost, const DeviceTable& devices) {
  const Device* last = nullptr;
  for (const auto& [id, device] : devices.living()) {
    if (device.shard < 0 && device.name.starts_with(lost.name + "-")) last = &device;
  }
  return last;
}

}  // namespace

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
      links_(LinkOptionsOf(spec_)),
      shares_(plan_.batch()),
      leaders_({.fewest_values = spec_.least_range,
                .alignment = std::min<int64_t>(spec_.least_range, 64),
                .exactly = spec_.leaders > 1 ? spec_.leaders : 0}),
      sites_(spec_.site),
      step_(first_step),
      version_(first_version),
      saved_step_(first_step),
      asked_step_(first_step) {
  CHECK(Validate(spec_).ok());
  CHECK(first_step >= 0);
  if (spec_.aggregation.automatic) chooser_.emplace(mode_, plan_.batch(), spec_.policy);
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

// A record is the epoch and its ledger. Where there is none, each step before is taken to have had
// a whole batch.
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
    if (step_ > 0 && !StepsTakeWholeBatches()) {
      Emit(
          Warning{fmt::format("no record says which samples were applied before step {}; taken "
                              "for {} of epoch {}",
                              step_, ledger_.covered(), epoch_)});
    }
  }
  deck_.Open(ledger_.positions());
  return OkStatus();
}

bool Coordinator::SaveLedger() {
  const std::string record = fmt::format("{} {}", epoch_, ledger_.Save());
  const Status status = records_.SaveLedger(step_, record, saved_step_);
  if (!status.ok()) Emit(Warning{"the ledger was not saved: " + status.message()});
  return status.ok();
}

// So that the number of a step says which samples were applied before it.
bool Coordinator::StepsTakeWholeBatches() const {
  const aggregate::Options& how = spec_.aggregation;
  return how.mode == aggregate::Mode::kSync && !how.automatic && how.quorum == 1 &&
         spec_.shard_samples.empty();
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
  stream_shares_.clear();
  unable_.erase(device);
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
  if (admission.again) TellLeaderAgain(device);
  SeatStandbys();
  sites_.Forget(device);
  PlanSites();
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
  if (const Device* again = lost->shard < 0 ? nullptr : NewLifeOf(*lost, devices_)) {
    const std::string why = "it is to have its own data again";
    ToWorker(again->id, Refuse{CodeNumber(Code::kUnavailable), why, true});
    actions_.push_back(CloseConnection{again->connection});
  }
  devices_.Remove(device);
  if (!base::Planted("coordinator.keeps_leases_of_the_lost")) dealer_.Remove(device);
  stream_.Remove(device);
  stream_shares_.clear();
  unable_.erase(device);
  if (chooser_) chooser_->OnLost(device);
  if (done()) return;
  LoseSeats(device);
  if (done()) return;
  PlanSites();
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

// What every device here has returned.
std::optional<Lease> Coordinator::Hopeless() const {
  if (phase_ == Phase::kStepping) return dealer_.Hopeless();
  if (phase_ == Phase::kStreaming) return stream_.Hopeless();
  return std::nullopt;
}

// Another device may come, or come back, for a while.
void Coordinator::LookForHope() {
  const std::optional<Lease> hopeless = Hopeless();
  const bool none = phase_ == Phase::kWaiting && !unable_.empty();
  if (!hopeless && !none) return hopeless_since_.reset();
  if (!hopeless_since_) hopeless_since_ = now_;
  if (now_ - *hopeless_since_ < Timeout()) return;
  if (phase_ == Phase::kStreaming && stream_.TryAgain(*hopeless)) {
    hopeless_since_.reset();
    return DealStream();
  }
  const std::string what = hopeless ? "lease " + Describe(*hopeless) : "its own samples";
  Fail({Code::kUnavailable,
        fmt::format("no device can compute {}; the last one said: {}", what, return_reason_)});
}

std::optional<TimePoint> Coordinator::NextWake() const {
  const auto silence = SilenceWake();
  if (done() || !silence) return std::nullopt;
  TimePoint wake = *silence;
  if (seats_.changing()) wake = std::min(wake, reshape_at_);
  if (phase_ == Phase::kStepping || phase_ == Phase::kStreaming) wake = std::min(wake, ask_at_);
  return hopeless_since_ ? std::min(wake, *hopeless_since_ + Timeout()) : wake;
}

Actions Coordinator::Tick(TimePoint now) {
  NoteCall(now);
  if (done()) return Take();
  LookForSilent();
  if (phase_ == Phase::kStepping && now >= ask_at_) AskWhatIsMissing();
  if (phase_ == Phase::kStreaming && now >= ask_at_) {
    ask_at_ = now + Timeout();
    if (stream_.ExpireOverdue(now, Timeout())) DealStream();
    LookForStall();
  }
  if (seats_.changing() && now >= reshape_at_) SayReshapeAgain();
  LookForHope();
  return Take();
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
  NoteSign(from.device);
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
  if (chooser_) chooser_->OnStats(from.device, heartbeat.stats);
  Emit(DeviceProgress{from.device, heartbeat.samples_per_second, heartbeat.loss, heartbeat.stats});
  ToWorker(from.device, HeartbeatAck{term_});
  if (phase_ == Phase::kStreaming && stream_.IsQuiet(from.device)) DealStream();  // no longer
  if (heartbeat.leases < 0) return;
  if (phase_ == Phase::kStreaming) {
    const auto load = static_cast<int64_t>(stream_.Load(from.device));
    if (heartbeat.leases < load && stream_.ExpireOf(from.device, now, Timeout())) DealStream();
    return;
  }
  if (phase_ != Phase::kStepping) return;
  const int64_t known = heartbeat.version == version_ ? heartbeat.leases : 0;
  if (heartbeat.version > version_ || known >= dealer_.Load(from.device)) return;
  // Grants under way are younger than this.
  if (dealer_.ExpireAll(from.device, now, Timeout())) {
    disturbed_ = true;
    Deal();
  }
}

void Coordinator::On(TimePoint now, Address from, const Missing& missing) {
  if (seats_.Led(from, missing.range) == nullptr) return NotTaken(from, missing);
  if (missing.term != term_ || missing.step != step_ || phase_ != Phase::kStepping) return;
  if (IsLocal()) return LeaveOutLate(missing);
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
  if (IsLocal()) NoteReturn(from.device, returned);
  if (phase_ == Phase::kStreaming &&
      stream_.Return(returned.lease, from.device, returned.refused)) {
    return_reason_ = returned.reason;
    // Nobody else could try.
    if (IsLocal()) stream_.TryAgain(returned.lease);
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
  if (phase_ == Phase::kStepping && !devices_.living().empty()) return;
  if (phase_ == Phase::kStreaming) return Settle();
  if (phase_ == Phase::kSettling) return;
  if (phase_ == Phase::kReshaping) {
    seats_.Abandon();
    TellLayout();
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
  if (!AskForCheckpoint()) Finish();
}

// Of the step that is already applied: the leaders save what they have. The ledger's record is kept
// first, so that there is no checkpoint that nobody knows the samples of; where it cannot be kept
// there is none, unless nothing is left to count; and none of leases that are half applied. False:
// none is under way.
bool Coordinator::AskForCheckpoint() {
  if (saved_step_ >= step_ || !carried_.empty()) return false;
  if (asked_step_ == step_) return true;
  if (!SaveLedger() && !StepsTakeWholeBatches() && epoch_ < spec_.epochs) return false;
  asked_step_ = step_;
  for (const Layout::Part& part : seats_.layout().parts) SendSave(part);
  return true;
}

// A standby that took over may not know that a stream is over, so that is said with it.
void Coordinator::SendSave(const Layout::Part& part) {
  if (Streams()) {
    actions_.push_back(Send{part.leader, EndStream{term_, part.range, true, step_}});
    return;
  }
  cluster::BeginStep again;
  again.term = term_;
  again.step = step_ - 1;
  again.checkpoint = true;
  again.range = part.range;
  actions_.push_back(Send{part.leader, std::move(again)});
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
