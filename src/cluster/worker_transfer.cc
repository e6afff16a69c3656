// Worker: parameters and samples that it asks for.

#include <algorithm>

#include "cluster/worker.h"

namespace weft::cluster {

// ---- parameters

// A pull waits at the leader until the version is there, so the next one is asked for early.
void Worker::PullUnlessHeld(TimePoint now, int64_t version) {
  const auto versions = held_.Versions();
  if (phase_ != Phase::kJoined || (versions && versions->oldest >= version)) return;
  for (const Layout::Part& part : layout_.parts) {
    if (held_.NewestOf(part.range) < version) PullFrom(now, part, version);
  }
}

// Where a leader is a step ahead because another device's update of the lease has reached it, the
// version before, which it still has.
void Worker::PullBefore(TimePoint now, int64_t version) {
  if (phase_ != Phase::kJoined) return;
  for (const Layout::Part& part : layout_.parts) {
    if (held_.NewestOf(part.range) != version + 1 || held_.ValuesOf(part.range, version)) continue;
    PullFrom(now, part, version, true);
  }
}

void Worker::PullFrom(TimePoint now, const Layout::Part& part, int64_t version, bool exactly) {
  const auto it = pulled_.find(part.range);
  if (it != pulled_.end() && it->second.version == version) {
    it->second.exactly |= exactly;
    return;
  }
  pulled_[part.range] = {version, now, exactly};
  const Pull pull = PullOf(part.range, version);
  const auto relay = exactly ? std::nullopt : RelayFor(part);
  if (!relay) return ToLeader(part.range, pull);
  actions_.push_back(Send{*relay, pull});
}

// With what is held, so that the leader may send the difference.
Pull Worker::PullOf(const Range& range, int64_t version) const {
  const HeldParameters::Base base = held_.BaseOf(range);
  return {.term = term_,
          .device = device_,
          .version = version,
          .range = range,
          .log = base.log,
          .base = base.version};
}

// In a stream: the newest there is. The leader hears this after the update that was pushed before,
// so that update is in the answer, unless it waits for others to be applied with.
void Worker::PullFresher(TimePoint now) {
  if (phase_ != Phase::kJoined) return;
  for (const Layout::Part& part : layout_.parts) {
    PullFrom(now, part, std::max<int64_t>(held_.NewestOf(part.range), 0));
  }
}

// Parameters without its own last update would be a round older (docs/aggregation.md); but the
// answer may be lost.
bool Worker::WaitsForFresher(TimePoint now) const {
  if (pulled_.empty()) return false;
  return !waits_since_ || now - *waits_since_ < std::max(device_timeout_, 2 * heartbeat_);
}

// Enough to begin a lease of a step with: the first range, and all others asked for.
std::optional<std::vector<Piece>> Worker::FirstPieces(int64_t version) const {
  auto pieces = held_.Begun(version);
  const auto comes = [&](const Piece& piece) {
    const auto it = pulled_.find(piece.range);
    return piece.values != nullptr || (it != pulled_.end() && it->second.version == version);
  };
  if (pieces && !std::ranges::all_of(*pieces, comes)) pieces.reset();
  return pieces;
}

bool Worker::LacksPieces() const {
  const auto lacks = [](const Piece& piece) { return piece.values == nullptr; };
  return computing_ && std::ranges::any_of(computing_->pieces, lacks);
}

// To the math, what has come for the lease that is being computed.
void Worker::HandPieces(TimePoint now) {
  if (abandoned_ || !LacksPieces()) return;
  if (IsOver(computing_as_)) return Abandon();
  for (size_t i = 0; i < computing_->pieces.size(); ++i) {
    Piece& piece = computing_->pieces[i];
    if (piece.values != nullptr) continue;
    piece.values = held_.ValuesOf(piece.range, computing_->version);
    if (piece.values != nullptr) actions_.push_back(HandPiece{i, piece.values});
  }
  PullBefore(now, computing_->version);
}

// Nobody wants the lease that is being computed any more, or it cannot be completed.
void Worker::Abandon() {
  if (!computing_ || std::exchange(abandoned_, true)) return;
  if (LacksPieces()) actions_.push_back(GiveUp{});
}

// ---- samples that the store feeds

// Asks for what the lease needs. False: this device has no room for it, and has said so.
bool Worker::WantSamples(const Lease& lease) {
  if (!cache_) return true;
  const auto asks = cache_->Want(lease);
  if (!asks.ok()) {
    const ReturnLease back{term_, lease, asks.status().message()};
    NoteReturned(back, granted_version_, false);
    ToCoordinator(back);
    return false;
  }
  Ask(*asks);
  return true;
}

void Worker::DoneWith(const Lease& lease) {
  if (cache_) Ask(cache_->Done(lease));
}

void Worker::ClearQueue() {
  for (const Work& work : queue_) DoneWith(work.lease);
  queue_.clear();
}

void Worker::Ask(const std::vector<AskSamples>& asks) {
  if (phase_ != Phase::kJoined) return;  // asked again once it has joined
  for (const AskSamples& ask : asks) {
    actions_.push_back(Send{{kCoordinatorDevice, Role::kStore}, ask});
  }
}

void Worker::On(TimePoint now, const Samples& samples) {
  if (!cache_ || samples.term != term_) return;
  const SampleCache::Got got = cache_->OnSamples(samples);
  if (got.wanted && !got.kept.empty()) {
    actions_.push_back(KeepSamples{got.kept, samples.values});
  }
  if (!got.dropped.empty()) actions_.push_back(DropSamples{got.dropped});
  Ask(got.ask);
  for (const Lease& lease : got.failed) {
    std::erase_if(queue_, [&](const Work& work) { return work.lease == lease; });
    const ReturnLease back{term_, lease, samples.problem};
    NoteReturned(back, granted_version_, false);
    ToCoordinator(back);
  }
  ComputeNext(now);
}

void Worker::ReadAheadOnce(const Lease& lease) {
  if (announced_.insert(lease.id).second) actions_.push_back(ReadAhead{lease});
}

}  // namespace weft::cluster
