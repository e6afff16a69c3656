#include "cluster/worker.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "cluster/job_spec.h"
#include "cluster/wire_status.h"

namespace weft::cluster {

Worker::Worker(const WorkerOptions& options) : options_(options), back_off_(options.jitter_seed) {}

// ---- the connection

Actions Worker::Start(TimePoint now) {
  offline_since_ = now;
  Dial(now);
  return Take();
}

void Worker::Dial(TimePoint now) {
  phase_ = Phase::kDialing;
  wake_ = now + options_.dial_timeout;
  actions_.push_back(Connect{});
}

Actions Worker::OnConnected(TimePoint now) {
  if (phase_ != Phase::kDialing) return {};
  phase_ = Phase::kGreeting;
  wake_ = now + options_.greeting_timeout;
  ToCoordinator(Hello{.name = options_.name,
                      .incarnation = options_.incarnation,
                      .token = options_.token,
                      .program = options_.program,
                      .cores = options_.cores,
                      .memory_bytes = options_.memory_bytes,
                      .device = device_,
                      .endpoint = options_.endpoint,
                      .storage_bytes = options_.storage_bytes,
                      .site = options_.site});
  return Take();
}

Actions Worker::OnDisconnected(TimePoint now, const std::string& reason) {
  if (phase_ != Phase::kStopped && phase_ != Phase::kOffline) GoOffline(now, reason);
  return Take();
}

// What was granted goes to others now; what is being computed or was pushed may still count.
void Worker::GoOffline(TimePoint now, const std::string& reason) {
  if (phase_ == Phase::kJoined) offline_since_ = now;
  phase_ = Phase::kOffline;
  if (LacksPieces()) Abandon();
  ClearQueue();
  next_.clear();
  pulled_.clear();
  beats_.clear();
  if (options_.give_up_after && now - offline_since_ >= *options_.give_up_after) {
    const std::string why = fmt::format("no coordinator for {:.0f} s ({})",
                                        base::Seconds(now - offline_since_), reason);
    return StopWith(why, base::Unavailable(why));
  }
  const Duration wait = base::Planted("worker.dials_at_once") ? Duration(0) : back_off_.Next();
  wake_ = now + wait;
  Emit(CoordinatorLost{reason, base::Seconds(wait)});
}

void Worker::StopWith(const std::string& reason, const Status& status) {
  phase_ = Phase::kStopped;
  if (LacksPieces()) Abandon();
  ClearQueue();
  actions_.push_back(Disconnect{});
  Emit(Left{reason});
  actions_.push_back(Stop{status});
}

Actions Worker::Leave(TimePoint, const std::string& reason, const Status& status) {
  if (phase_ == Phase::kStopped) return {};
  if (phase_ == Phase::kJoined) ToCoordinator(Bye{reason});
  StopWith(reason, status);
  return Take();
}

std::optional<TimePoint> Worker::NextWake() const {
  if (phase_ == Phase::kStopped) return std::nullopt;
  return wake_;
}

Actions Worker::Tick(TimePoint now) {
  const auto wake = NextWake();
  if (!wake || now < *wake) return {};
  switch (phase_) {
    case Phase::kOffline:
      Dial(now);
      break;
    case Phase::kDialing:
      LoseConnection(now, "connection", options_.dial_timeout);
      break;
    case Phase::kGreeting:
      LoseConnection(now, "answer", options_.greeting_timeout);
      break;
    case Phase::kJoined:
      Beat(now);
      break;
    case Phase::kStopped:
      break;
  }
  return Take();
}

// Nothing came within `timeout`.
void Worker::LoseConnection(TimePoint now, const char* awaited, Duration timeout) {
  actions_.push_back(Disconnect{});
  GoOffline(now, fmt::format("no {} for {:g} s", awaited, base::Seconds(timeout)));
}

void Worker::Beat(TimePoint now) {
  // After a halt of its own, what has come in the meantime may wait behind this call.
  if (now - wake_ >= device_timeout_ / 2) heard_ = now;
  if (device_timeout_ > Duration(0) && now - heard_ >= device_timeout_) {
    return LoseConnection(now, "sign of life", device_timeout_);
  }
  ToCoordinator(Signs());
  if (device_timeout_ > Duration(0)) beats_.push_back(now);
  AskAfterOld(now);
  wake_ = now + heartbeat_;
  ComputeNext(now);
}

// The step of such an update is over, so its fate is known; the answer was lost, or the update is
// still under way and too late. The question is the update without its gradient.
void Worker::AskAfterOld(TimePoint now) {
  const Duration late = 2 * device_timeout_;
  for (const auto& [sequence, pushed] : pushed_) {
    const bool over = pushed.push.version < granted_version_;
    if (pushed.overlap ? now - pushed.at < late : !over) continue;
    Push question = pushed.push;
    question.gradient = nullptr;
    ToLeader(question.range, question);
  }
}

Heartbeat Worker::Signs() const {
  std::set<uint64_t> known(done_);
  const auto note = [&](int64_t version, bool overlap, const Lease& lease) {
    if (version == granted_version_ || overlap) known.insert(lease.id);
  };
  for (const Work& work : queue_) note(work.version, work.overlap, work.lease);
  for (const auto& [sequence, pushed] : pushed_) {
    note(pushed.push.version, pushed.overlap, pushed.push.lease);
  }
  if (computing_ && !abandoned_)
    note(computing_->version, computing_as_.overlap, computing_->lease);
  DeviceStats stats = profiler_.stats();
  if (cache_) stats.stored_bytes = cache_->bytes();
  return {.term = term_,
          .samples_per_second = samples_per_second_,
          .loss = loss_,
          .version = granted_version_,
          .leases = static_cast<int64_t>(known.size()),
          .stats = std::move(stats)};
}

// ---- messages

Actions Worker::Handle(TimePoint now, Address, const Message& message) {
  if (phase_ != Phase::kGreeting && phase_ != Phase::kJoined) return {};
  heard_ = now;
  std::visit([&](const auto& m) { On(now, m); }, message);
  return Take();
}

template <class Other>
void Worker::On(TimePoint, const Other& other) {
  Emit(Warning{fmt::format("a worker does not take {}; dropped", MessageName(other))});
}

void Worker::On(TimePoint now, const Welcome& welcome) {
  if (phase_ != Phase::kGreeting) return;
  const bool again = welcome.run == run_ && welcome.term == term_ && welcome.device == device_;
  if (!again && !base::Planted("worker.keeps_an_older_term")) ForgetRun();
  phase_ = Phase::kJoined;
  back_off_.Reset();
  device_ = welcome.device;
  run_ = welcome.run;
  term_ = welcome.term;
  TakeLayout(welcome.layout);
  heartbeat_ = std::chrono::milliseconds(std::max<int64_t>(welcome.heartbeat_ms, 1));
  device_timeout_ = std::chrono::milliseconds(std::max<int64_t>(welcome.device_timeout_ms, 0));
  wake_ = now + heartbeat_;
  Emit(Joined{device_, again});
  if (!again) actions_.push_back(OpenRun{welcome});
  site_ = {};  // it is told again
  for (auto& [sequence, pushed] : pushed_) PushStraight(&pushed);
  if (cache_) Ask(cache_->AskAgain());
}

void Worker::UseStore(SampleCacheOptions options) {
  cache_.emplace(std::move(options));
  cache_->SetTerm(term_);
}

void Worker::UseCodec(std::unique_ptr<codec::Codec> down) {
  held_.UseCodec(std::move(down), RunTag(run_));
}

void Worker::TakeLayout(const Layout& layout) {
  layout_ = layout;
  held_.SetCut(layout);
  std::erase_if(pulled_, [&](const auto& entry) {
    const auto is_it = [&](const Layout::Part& part) { return part.range == entry.first; };
    return std::ranges::none_of(layout_.parts, is_it);
  });
  // In ranges that are gone no pieces come. Ranges change between steps: nobody waits for a lease.
  const auto is_lost = [&](const Piece& piece) {
    return piece.values == nullptr &&
           std::ranges::none_of(
               layout_.parts, [&](const Layout::Part& part) { return part.range == piece.range; });
  };
  if (computing_ && std::ranges::any_of(computing_->pieces, is_lost)) Abandon();
  actions_.push_back(UseLayout{layout});
}

// Where another device leads now, what was said to the one before may be lost.
void Worker::On(TimePoint now, const Relayout& relayout) {
  if (relayout.term != term_ || relayout.layout.number <= layout_.number) return;
  const Layout before = std::exchange(layout_, {});
  TakeLayout(relayout.layout);
  for (const Layout::Part& part : layout_.parts) {
    const auto same = [&](const Layout::Part& old) {
      return old.range == part.range && old.leader == part.leader;
    };
    if (std::ranges::none_of(before.parts, same)) AskAgain(now, part.range);
  }
  ComputeNext(now);
}

Actions Worker::OnPeerLost(TimePoint now, DeviceId device) {
  if (site_.relay != 0 && site_.relay == device) LeaveRelay(now);
  for (const Layout::Part& part : layout_.parts) {
    if (part.leader.device == device) AskAgain(now, part.range);
  }
  return Take();
}

// Pushes again what its leader has not acknowledged, and pulls again.
void Worker::AskAgain(TimePoint now, const Range& range) {
  for (auto& [sequence, pushed] : pushed_) {
    if (pushed.push.range == range) PushStraight(&pushed);
  }
  const auto it = pulled_.find(range);
  if (it == pulled_.end()) return;
  it->second.at = now;
  ToLeader(range, PullOf(range, it->second.version));
}

// Under another term the leases were dealt anew, and the same version may have other parameters.
void Worker::ForgetRun() {
  ClearQueue();
  cache_.reset();
  next_.clear();
  announced_.clear();
  for (const auto& [sequence, pushed] : pushed_) {
    actions_.push_back(Settled{pushed.push.term, pushed.push.lease, false, pushed.push.range});
  }
  pushed_.clear();
  granted_version_ = -1;
  done_.clear();
  returned_.clear();
  held_.Clear();
  pulled_.clear();
  Abandon();
}

void Worker::On(TimePoint now, const Refuse& refuse) {
  if (!refuse.retry) return StopWith(refuse.reason, StatusFrom(refuse.code, refuse.reason));
  actions_.push_back(Disconnect{});
  GoOffline(now, refuse.reason);
}

void Worker::On(TimePoint, const Finished& finished) {
  StopWith(finished.reason, StatusFrom(finished.code, finished.reason));
}

// Heartbeats are answered in their order.
void Worker::On(TimePoint now, const HeartbeatAck&) {
  if (beats_.empty()) return;
  profiler_.OnRoundTrip(base::Seconds(now - beats_.front()));
  beats_.pop_front();
}

void Worker::On(TimePoint now, const Grant& grant) {
  if (phase_ != Phase::kJoined || grant.term != term_) return;
  if (grant.version < granted_version_ && !grant.overlap) return;  // its step is over
  BeginVersion(std::max(grant.version, granted_version_), grant.overlap);
  if (done_.contains(grant.lease.id)) return;
  if (const auto it = returned_.find(grant.lease.id); it != returned_.end()) {
    return ToCoordinator(it->second);
  }
  if (grant.again) SayAgain(now, grant);
  if (Has(grant.lease) || !WantSamples(grant.lease)) return;
  queue_.push_back({grant.lease, grant.version, grant.newest, grant.overlap, grant.lr, grant.joint,
                    grant.local_steps, TargetOf(grant.density, grant.value_kind)});
  if (grant.next.count > 0) next_.push_back(grant.next);
  if (cache_ && grant.next.count > 0) Ask(cache_->Ahead(grant.next));
  ReadAheadOnce(grant.lease);
  PullUnlessHeld(now, grant.version);
  ComputeNext(now);
}

// The coordinator waits for the lease: whatever this worker said of it may be lost.
void Worker::SayAgain(TimePoint now, const Grant& grant) {
  for (auto& [sequence, pushed] : pushed_) {
    if (pushed.push.lease == grant.lease) PushStraight(&pushed);
  }
  pulled_.clear();
  PullUnlessHeld(now, grant.version);
}

void Worker::On(TimePoint now, const Parameters& parameters) {
  if (parameters.term != term_ || (parameters.values == nullptr && parameters.base < 0)) return;
  const auto pulled = pulled_.find(parameters.range);
  const bool asked = pulled != pulled_.end() && parameters.version >= pulled->second.version;
  if (held_.Put(parameters) == HeldParameters::Got::kLacksBase) {
    if (!asked) return;
    pulled->second.at = now;
    return ToLeader(parameters.range,
                    Pull{term_, device_, pulled->second.version, parameters.range});  // whole
  }
  // A leader that has nothing so old any more is not asked for it again.
  if (asked && (!pulled->second.exactly || parameters.version == pulled->second.version)) {
    pulled_.erase(pulled);
  }
  ComputeNext(now);
}

void Worker::On(TimePoint now, const PushAck& ack) {
  const auto it = pushed_.find(ack.sequence);
  if (ack.term != term_ || it == pushed_.end()) return;
  const Pushed pushed = std::move(it->second);
  const Push& push = pushed.push;
  pushed_.erase(it);
  actions_.push_back(Settled{push.term, push.lease, ack.applied, push.range});
  if (!ack.applied && (pushed.overlap || ack.version <= push.version)) {
    // Refused though it is still wanted: it must not wait for this device, nor this device for the
    // version that it would have made.
    pulled_.erase(push.range);
    const ReturnLease back{term_, push.lease, "the leader refused the update", true};
    NoteReturned(back, push.version, pushed.overlap);
    ToCoordinator(back);
  } else if (push.version == granted_version_ && !pushed.overlap && !IsPushed(push.lease)) {
    done_.insert(push.lease.id);
  }
  ComputeNext(now);
}

// ---- work

void Worker::BeginVersion(int64_t version, bool overlap) {
  if (version == granted_version_) return;
  granted_version_ = version;
  done_.clear();
  returned_.clear();
  if (!overlap) DropOlderThan(version);
}

// It need not compute a lease of this step that comes again.
void Worker::NoteReturned(const ReturnLease& back, int64_t version, bool overlap) {
  if (version == granted_version_ && !overlap) returned_[back.lease.id] = back;
}

// A step of this version has begun: leases of older ones are done, by whomever.
void Worker::DropOlderThan(int64_t version) {
  const auto older = [&](const Work& work) { return work.version < version; };
  for (const Work& work : queue_) {
    if (older(work)) DoneWith(work.lease);
  }
  if (std::ranges::any_of(queue_, older)) std::erase_if(queue_, older);
  if (queue_.empty()) next_.clear();
  if (computing_ && computing_->version < version) Abandon();
}

bool Worker::IsPushed(const Lease& lease) const {
  const auto is_it = [&](const auto& entry) { return entry.second.push.lease == lease; };
  return std::ranges::any_of(pushed_, is_it);
}

// The lease is being worked on, or waits to be acknowledged.
bool Worker::Has(const Lease& lease) const {
  const auto is_it = [&](const auto& work) { return work.lease == lease; };
  return std::ranges::any_of(queue_, is_it) || IsPushed(lease) ||
         (computing_ && !abandoned_ && computing_->lease == lease);
}

// Its leaders have all applied the step already.
bool Worker::IsOver(const Work& work) const {
  const auto versions = held_.Versions();
  return !work.newest && !work.overlap && versions && versions->oldest > work.version;
}

// A lease of a step that waits for all is computed with that step's parameters and no others, or
// the result would depend on who died when.
std::optional<std::vector<Piece>> Worker::PiecesFor(const Work& work) const {
  if (work.newest) return held_.AtLeast(work.version);
  if (auto pieces = held_.Exactly(work.version)) return pieces;
  return work.overlap ? held_.AtLeast(work.version) : FirstPieces(work.version);
}

void Worker::ComputeNext(TimePoint now) {
  if (computing_) return HandPieces(now);
  if (queue_.empty()) return;
  const Work work = queue_.front();
  PullUnlessHeld(now, work.version);
  if (!work.newest && !work.overlap) PullBefore(now, work.version);
  if (IsOver(work)) {
    queue_.pop_front();
    DoneWith(work.lease);
    return ComputeNext(now);
  }
  if (cache_ && !cache_->Has(work.lease)) return;
  if (work.newest && held_.Versions() && WaitsForFresher(now)) {
    if (!waits_since_) waits_since_ = now;
    return;
  }
  auto pieces = PiecesFor(work);
  if (!pieces) return;
  queue_.pop_front();
  waits_since_.reset();
  Begin(work, std::move(*pieces));
}

void Worker::Begin(const Work& work, std::vector<Piece> pieces) {
  abandoned_ = false;
  computing_as_ = work;
  int64_t version = work.version;
  if (work.newest) {
    version = std::ranges::min(pieces, {}, &Piece::version).version;
  }
  std::vector<Range> ranges;
  for (const Layout::Part& part : layout_.parts) ranges.push_back(part.range);
  computing_ = Compute{.term = term_,
                       .lease = work.lease,
                       .version = version,
                       .pieces = std::move(pieces),
                       .ranges = std::move(ranges),
                       .lr = work.lr,
                       .alone = work.newest,
                       .local_steps = work.local_steps,
                       .target = work.target};
  announced_.erase(announced_.begin(), announced_.upper_bound(work.lease.id));
  actions_.push_back(*computing_);
  if (!queue_.empty()) return;
  for (const Lease& lease : std::exchange(next_, {})) ReadAheadOnce(lease);
}

// Nothing if nobody wants it any more.
std::optional<Compute> Worker::TakeResult() {
  CHECK(computing_.has_value());
  Compute work = *std::exchange(computing_, std::nullopt);
  const auto is_it = [&](const Work& queued) { return queued.lease == work.lease; };
  if (std::ranges::none_of(queue_, is_it)) DoneWith(work.lease);  // else granted again since
  const bool wanted = phase_ != Phase::kStopped && !std::exchange(abandoned_, false);
  return wanted ? std::optional(std::move(work)) : std::nullopt;
}

void Worker::PushPart(TimePoint now, const Part& part, double loss_sum, int64_t correct) {
  const Push push{.term = computing_->term,
                  .device = device_,
                  .incarnation = options_.incarnation,
                  .sequence = next_sequence_++,
                  .lease = computing_->lease,
                  .version = computing_->VersionOf(part.range),
                  .loss_sum = loss_sum,
                  .correct = correct,
                  .gradient = part.gradient,
                  .range = part.range,
                  .lr = computing_as_.lr,
                  .joint = computing_as_.joint};
  Pushed& pushed =
      pushed_.emplace(push.sequence, Pushed{push, now, computing_as_.overlap}).first->second;
  const auto led = std::ranges::find(layout_.parts, push.range, &Layout::Part::range);
  const auto relay = led == layout_.parts.end() ? std::nullopt : RelayFor(*led);
  if (push.joint == 0 || !relay || phase_ != Phase::kJoined) return PushStraight(&pushed);
  actions_.push_back(Send{*relay, push});
}

Actions Worker::OnPart(TimePoint now, const Range& range, const Payload& gradient, double loss_sum,
                       int64_t correct) {
  CHECK(computing_.has_value());
  if (phase_ == Phase::kStopped || abandoned_) {
    actions_.push_back(Settled{computing_->term, computing_->lease, false, range});
  } else {
    PushPart(now, {range, gradient}, loss_sum, correct);
    const int64_t next = computing_->version + 1;
    for (const Layout::Part& part : layout_.parts) {
      if (computing_as_.newest || part.range != range || held_.NewestOf(range) >= next) continue;
      PullFrom(now, part, next);
    }
  }
  return Take();
}

Actions Worker::OnComputed(TimePoint now, const Update& update) {
  CHECK(computing_.has_value());
  const bool wanted = phase_ != Phase::kStopped && !abandoned_;
  profiler_.OnLease(computing_->lease.count, update.seconds);
  profiler_.OnPlan(update.plan_seconds);
  if (wanted) {
    samples_per_second_ = update.samples_per_second;
    const auto samples = static_cast<double>(std::max<int64_t>(computing_->lease.count, 1));
    loss_ = update.loss_sum / samples;
    for (const Part& part : update.parts) PushPart(now, part, update.loss_sum, update.correct);
    if (!computing_as_.newest) {
      PullUnlessHeld(now, computing_->version + 1);
    } else {
      PullFresher(now);
    }
  } else {
    for (const Part& part : update.parts) {
      actions_.push_back(Settled{computing_->term, computing_->lease, false, part.range});
    }
  }
  TakeResult();
  ComputeNext(now);
  return Take();
}

Actions Worker::OnFault(TimePoint now, const Status& status) {
  if (const std::optional<Compute> work = TakeResult()) {
    ToCoordinator(Fault{term_, work->lease.step, CodeNumber(status.code()), status.message()});
  }
  ComputeNext(now);
  return Take();
}

Actions Worker::OnCannotCompute(TimePoint now, const Status& status) {
  if (const std::optional<Compute> work = TakeResult()) {
    Emit(Warning{"a lease is given back: " + status.message()});
    const ReturnLease back{term_, work->lease, status.message()};
    NoteReturned(back, work->version, computing_as_.overlap);
    ToCoordinator(back);
  }
  ComputeNext(now);
  return Take();
}

void Worker::ToCoordinator(Message message) {
  if (phase_ != Phase::kGreeting && phase_ != Phase::kJoined) return;
  actions_.push_back(Send{{kCoordinatorDevice, Role::kCoordinator}, std::move(message)});
}

// Through which updates and parameters of this part go; nothing: straight, as its leader is at this
// site, too.
std::optional<Address> Worker::RelayFor(const Layout::Part& part) const {
  if (site_.relay == 0) return std::nullopt;
  if (std::ranges::binary_search(site_.members, part.leader.device)) return std::nullopt;
  return Address{site_.relay, Role::kRelay};
}

// Whatever the relay was given of it.
void Worker::PushStraight(Pushed* pushed) {
  pushed->push.joint = 0;
  ToLeader(pushed->push.range, pushed->push);
}

void Worker::On(TimePoint, const PushAgain& again) {
  const auto it = pushed_.find(again.sequence);
  if (again.term == term_ && it != pushed_.end()) PushStraight(&it->second);
}

void Worker::On(TimePoint now, const UseRelay& use) {
  if (use.term != term_ || use.number <= site_.number) return;
  if (site_.relay != 0 && use.relay != site_.relay) LeaveRelay(now);
  site_ = use;
}

// What it was given, or asked for, may be lost.
void Worker::LeaveRelay(TimePoint now) {
  const UseRelay left = std::exchange(site_, {.term = site_.term, .number = site_.number});
  for (const Layout::Part& part : layout_.parts) {
    const bool straight = std::ranges::binary_search(left.members, part.leader.device);
    if (!straight) AskAgain(now, part.range);
  }
}

// To the leader of the range, or of what begins there now.
void Worker::ToLeader(const Range& range, Message message) {
  if (phase_ != Phase::kJoined) return;
  for (const Layout::Part& part : layout_.parts) {
    const bool holds = part.range.begin <= range.begin && range.begin < part.range.end();
    if (holds) return actions_.push_back(Send{part.leader, std::move(message)});
  }
}

}  // namespace weft::cluster
