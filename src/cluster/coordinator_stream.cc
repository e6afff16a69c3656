// Coordinator: runs without steps. Each device has a few leases at a time, and each lease is
// committed by itself once every range of its update is applied.
//
// A stream ends when nothing is under way: nothing new is dealt (settling), what is out comes back
// or is put back into the deck, then each leader ends the stream of its range.

#include <algorithm>

#include "base/planted.h"
#include "cluster/coordinator.h"

namespace weft::cluster {

void Coordinator::BeginStream() {
  phase_ = Phase::kStreaming;
  started_ = true;
  told_waiting_ = false;
  settling_ = false;
  round_dealt_ = 0;
  round_slots_ = 0;
  rounds_ = 0;
  round_ = {};
  ended_.clear();
  uneven_ = false;
  stream_shares_.clear();
  quiet_looks_ = 0;
  stream_step_ = step_;
  ask_at_ = now_ + Timeout();
  for (const Layout::Part& part : seats_.layout().parts) SendBeginStream(part, mode_);
  DealStream();
}

void Coordinator::SendBeginStream(const Layout::Part& part, aggregate::Mode mode) {
  actions_.push_back(
      Send{part.leader,
           cluster::BeginStream{term_, part.range, static_cast<uint8_t>(mode), stream_step_}});
}

std::optional<Lease> Coordinator::CutForStream(DeviceId device) {
  if (settling_) return std::nullopt;
  const Device& owner = *devices_.Find(device);
  const auto devices = static_cast<int64_t>(devices_.living().size());
  const auto found = stream_shares_.find(device);
  // Too slow to help: asked again in a later round.
  if (found == stream_shares_.end() || found->second == 0) return std::nullopt;
  int64_t share = found->second;
  // The last leases of an epoch are smaller, so that all devices are done at about the same time.
  const int64_t fair = deck_.left() / (2 * devices);
  share = std::clamp<int64_t>(fair, std::max<int64_t>(1, share / 4), share);
  const Deck::Piece piece = !IsLocal()          ? deck_.Take(share)
                            : HasSamples(owner) ? deck_.TakeOf(owner.shard, share)
                                                : Deck::Piece{};
  if (piece.count == 0) return std::nullopt;
  if (round_dealt_ >= plan_.batch() || round_slots_ + 1 >= kLeaseIdsPerStep) {
    ++step_;
    ++rounds_;
    ShareStream();
    round_dealt_ = 0;
    round_slots_ = 0;
    const int64_t every = spec_.checkpoint_every;
    if (every > 0 && rounds_ >= every) settling_ = true;
  }
  round_dealt_ += piece.count;
  return plan_.LeaseOf(step_, epoch_, round_slots_++, piece.begin, piece.count);
}

// A device's leases are as large as its part of a batch would be in a step. Devices that are quiet
// have none, so that there is always one among the others that is not too slow.
void Coordinator::ShareStream() {
  stream_shares_.clear();
  std::vector<plan::DevicePace> paces;
  for (const auto& [id, device] : devices_.living()) {
    if (!stream_.IsQuiet(id)) paces.push_back(DevicePaceOf(device));
  }
  if (paces.empty()) return;
  const int64_t even = std::max<int64_t>(1, plan_.batch() / static_cast<int64_t>(paces.size()));
  for (const plan::DevicePace& pace : paces) stream_shares_[pace.device] = even;
  if (!spec_.share_by_speed || IsLocal()) return;
  const plan::KeptShares kept = shares_.Next(plan_.batch(), paces);
  for (size_t i = 0; i < paces.size(); ++i) stream_shares_[paces[i].device] = kept.shares[i];
}

// Devices that are heard, not too slow to help, and have samples left where each has its own.
int64_t Coordinator::AtWork() const {
  const auto is_at_work = [&](const auto& entry) {
    const auto& [id, device] = entry;
    if (stream_.IsQuiet(id)) return false;
    if (stream_.Load(id) > 0) return true;
    if (stream_shares_.at(id) == 0) return false;
    return !IsLocal() || HasSamples(device);
  };
  return std::ranges::count_if(devices_.living(), is_at_work);
}

void Coordinator::DealStream() {
  if (phase_ != Phase::kStreaming) return;
  const Duration beats = kQuietHeartbeats * Beat();
  std::vector<DeviceId> quiet = devices_.SilentSince(now_ - beats);
  stream_.SetQuiet({quiet.begin(), quiet.end()});
  const bool others = quiet != std::exchange(stream_quiet_, quiet);
  if (others || stream_shares_.empty()) ShareStream();
  const int64_t ahead =
      mode_ == aggregate::Mode::kSsp ? std::max<int64_t>(1, spec_.aggregation.max_staleness) : 0;
  // However few devices are at work, what they hold fills the buffers.
  const int64_t at_once = UpdatesAtOnce(spec_, mode_);
  const int64_t devices = at_once > 1 ? std::max<int64_t>(1, AtWork()) : 1;
  const int64_t waiting = (at_once - 1 + devices - 1) / devices;
  stream_.SetDepth(StreamDealer::kDepth + static_cast<size_t>(waiting));
  const auto dealt = stream_.Deal(
      now_, ahead, [this](DeviceId device) { return CutForStream(device); },
      [this](const Lease& lease, DeviceId device) { return MayHave(lease, device); });
  for (const StreamDealer::Dealt& each : dealt) {
    if (each.before != 0 && each.before != each.device) {
      Emit(LeaseRedealt{each.lease, each.before, each.device});
    }
    ToWorker(each.device, Grant{.term = term_,
                                .lease = each.lease,
                                .version = 0,
                                .next = {},
                                .newest = true,
                                .overlap = true,
                                .lr = engine::LearningRate(spec_.schedule, step_, total_steps())});
  }
  LookForHope();
  EndStreamIfSettled();
}

// ---- commits

void Coordinator::OnStreamCommitted(TimePoint now, const Committed& committed) {
  version_ = std::max(version_, committed.version);
  quiet_looks_ = 0;
  // A leader that took over tells again what may not have been heard.
  const auto heard = [&](const Lease& lease) {
    return !stream_.Knows(lease) || book_.Has(lease.id, committed.range);
  };
  if (std::ranges::all_of(committed.leases, heard)) return;
  if (committed.range.begin == 0) RecordStream(committed);
  std::vector<Lease> done;
  for (const CommitBook::Done& each : book_.Enter(committed)) {
    done.push_back(each.lease);
    stream_.Committed(each.lease, now);
  }
  ledger_.Commit(done);
  if (round_.samples >= plan_.batch()) EmitRound();
  if (phase_ == Phase::kStreaming) DealStream();
}

// Where ranges have other updates in their buffers, all that devices may hold can be waiting there.
void Coordinator::LookForStall() {
  if (phase_ != Phase::kStreaming || mode_ != aggregate::Mode::kBuffered || flushing_) return;
  if (++quiet_looks_ > kMostQuietLooks && stream_.open() > 0) Settle();
}

void Coordinator::RecordStream(const Committed& committed) {
  round_.samples += committed.samples;
  round_.loss += committed.loss_sum;
  round_.correct += committed.correct;
  round_.gradient_norm = std::max(round_.gradient_norm, committed.gradient_norm);
  for (size_t i = 0; i < committed.leases.size() && i < committed.devices.size(); ++i) {
    round_.parts.push_back({committed.devices[i], committed.leases[i].count});
  }
  sums_.loss += committed.loss_sum;
  sums_.correct += committed.correct;
  sums_.samples += committed.samples;
}

// A batch's worth of samples is committed: to those who look on, a step.
void Coordinator::EmitRound() {
  if (round_.samples == 0) return;
  round_.step = epoch_ * plan_.steps_per_epoch() + (sums_.samples - 1) / plan_.batch();
  round_.epoch = epoch_;
  round_.loss /= static_cast<double>(round_.samples);
  round_.lr = engine::LearningRate(spec_.schedule, round_.step, total_steps());
  ChooseMode(round_);
  Emit(std::exchange(round_, {}));
}

// ---- the end of a stream

void Coordinator::Settle() {
  if (phase_ != Phase::kStreaming) return;
  settling_ = true;
  DealStream();
}

void Coordinator::EndStreamIfSettled() {
  if (phase_ != Phase::kStreaming) return;
  const bool alone = devices_.living().empty();
  const bool nothing_new = settling_ || deck_.left() == 0 || Absent();
  if (nothing_new && stream_.open() > 0 && mode_ == aggregate::Mode::kBuffered && !flushing_) {
    // A buffer that nothing fills any more must not hold up what is in it.
    flushing_ = true;
    for (const Layout::Part& part : seats_.layout().parts) {
      SendBeginStream(part, aggregate::Mode::kAsync);
    }
  }
  if (!nothing_new && !alone) return;
  // Without devices, what the leader has may still count: what does not is put back after that.
  if (stream_.open() > 0 && !alone && !OnlyAwaysLeft()) return;
  phase_ = Phase::kSettling;
  flushing_ = false;
  ++step_;
  for (const Layout::Part& part : seats_.layout().parts) SendEndStream(part);
}

// What a part of the leaders have applied has to be computed by somebody.
void Coordinator::PutBackUnheld() {
  for (const Lease& lease : stream_.Unheld()) {
    const bool forgets = base::Planted("coordinator.forgets_the_half_applied");
    if (book_.HalfApplied(lease.id) && !forgets) continue;
    deck_.PutBack({lease.begin, lease.count});
    stream_.Forget(lease);
  }
}

void Coordinator::SendEndStream(const Layout::Part& part) {
  actions_.push_back(Send{part.leader, EndStream{term_, part.range, false, step_}});
}

void Coordinator::On(TimePoint, Address from, const StreamEnded& ended) {
  if (from.role != Role::kLeader) return NotTaken(from, ended);
  if (ended.term != term_ || phase_ != Phase::kSettling) return;
  if (seats_.Led(from, ended.range) == nullptr) return;
  uneven_ |= !ended_.empty() && ended.version != version_;
  version_ = ended.version;
  ended_.insert(ended.range);
  if (ended_.size() == seats_.layout().parts.size()) StreamOver();
}

void Coordinator::StreamOver() {
  phase_ = Phase::kWaiting;
  PutBackUnheld();
  for (const Lease& lease : stream_.Unheld()) {
    if (IsLocal() && OwnerOf(lease) == 0) return StartAgain(lease);
  }
  EmitRound();
  if (uneven_ && next_mode_ == aggregate::Mode::kSync) {
    // Steps start from one version of all ranges.
    phase_ = Phase::kDone;
    actions_.push_back(Restart{"the leaders' ranges hold versions that do not belong together"});
    return;
  }
  const bool none_open = stream_.open() == 0;
  const bool ends_epoch =
      none_open && (deck_.left() == 0 || (Absent() && !settling_ && ledger_.covered() > 0));
  if (ends_epoch) CloseEpoch();
  AskForCheckpoint();
  AfterStep(ends_epoch);
}

}  // namespace weft::cluster
