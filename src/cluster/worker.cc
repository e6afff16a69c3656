#include "cluster/worker.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
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
                      .device = device_});
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
  queue_.clear();
  next_.clear();
  beats_.clear();
  pulled_.reset();
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
  queue_.clear();
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
  AskAfterOld();
  wake_ = now + heartbeat_;
}

// The step of such an update is over, so its fate is known; the answer was lost, or the update is
// still under way and too late. The question is the update without its gradient.
void Worker::AskAfterOld() {
  for (const auto& [sequence, push] : pushed_) {
    if (push.version >= granted_version_) continue;
    Push question = push;
    question.gradient = nullptr;
    ToLeader(std::move(question));
  }
}

Heartbeat Worker::Signs() const {
  const auto of_step = [&](const auto& work) { return work.version == granted_version_; };
  const auto was_pushed = [&](const auto& entry) { return of_step(entry.second); };
  auto leases = static_cast<int64_t>(done_.size());
  leases += std::ranges::count_if(queue_, of_step) + std::ranges::count_if(pushed_, was_pushed);
  if (computing_ && !abandoned_ && of_step(*computing_)) ++leases;
  return {.term = term_,
          .samples_per_second = samples_per_second_,
          .loss = loss_,
          .step = granted_version_,
          .leases = leases,
          .stats = profiler_.stats()};
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
  layout_ = welcome.layout;
  heartbeat_ = std::chrono::milliseconds(std::max<int64_t>(welcome.heartbeat_ms, 1));
  device_timeout_ = std::chrono::milliseconds(std::max<int64_t>(welcome.device_timeout_ms, 0));
  wake_ = now + heartbeat_;
  Emit(Joined{device_, again});
  if (!again) actions_.push_back(OpenRun{welcome});
  for (const auto& [sequence, push] : pushed_) ToLeader(push);
}

// Under another term the leases were dealt anew, and the same version may have other parameters.
void Worker::ForgetRun() {
  queue_.clear();
  next_.clear();
  announced_.clear();
  for (const auto& [sequence, push] : pushed_) {
    actions_.push_back(Settled{push.term, push.lease, false});
  }
  pushed_.clear();
  granted_version_ = -1;
  done_.clear();
  returned_.clear();
  held_ = {};
  pulled_.reset();
  abandoned_ = computing_.has_value();
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

void Worker::On(TimePoint, const Grant& grant) {
  if (phase_ != Phase::kJoined || grant.term != term_) return;
  if (grant.version < granted_version_) return;  // its step is over
  BeginVersion(grant.version);
  if (done_.contains(grant.lease.id)) return;
  if (const auto it = returned_.find(grant.lease.id); it != returned_.end()) {
    return Return(grant.lease, it->second);
  }
  if (grant.again) SayAgain(grant);
  if (Has(grant.lease)) return;
  queue_.push_back({grant.lease, grant.version});
  if (grant.next.count > 0) next_.push_back(grant.next);
  ReadAheadOnce(grant.lease);
  PullUnlessHeld(grant.version);
  ComputeNext();
}

// The coordinator waits for the lease: whatever this worker said of it may be lost.
void Worker::SayAgain(const Grant& grant) {
  for (const auto& [sequence, push] : pushed_) {
    if (push.lease == grant.lease) ToLeader(push);
  }
  pulled_.reset();
  PullUnlessHeld(grant.version);
}

void Worker::On(TimePoint, const Parameters& parameters) {
  if (parameters.term != term_ || parameters.values == nullptr) return;
  if (pulled_ && parameters.version >= *pulled_) pulled_.reset();
  if (held_.values != nullptr && parameters.version <= held_.version) return;
  held_ = parameters;
  ComputeNext();
}

void Worker::On(TimePoint, const PushAck& ack) {
  const auto it = pushed_.find(ack.sequence);
  if (ack.term != term_ || it == pushed_.end()) return;
  const Push push = std::move(it->second);
  pushed_.erase(it);
  actions_.push_back(Settled{push.term, push.lease, ack.applied});
  if (!ack.applied && ack.version <= push.version) {
    // Refused though its step is still open: it must not wait for this device.
    Return(push.lease, "the leader refused the update");
  } else if (push.version == granted_version_) {
    done_.insert(push.lease.id);
  }
}

// ---- work

void Worker::BeginVersion(int64_t version) {
  if (version == granted_version_) return;
  granted_version_ = version;
  done_.clear();
  returned_.clear();
  DropOlderThan(version);
}

void Worker::Return(const Lease& lease, const std::string& reason) {
  if (lease.step == granted_version_) returned_[lease.id] = reason;
  ToCoordinator(ReturnLease{term_, lease, reason});
}

// A step of this version has begun: leases of older ones are done, by whomever.
void Worker::DropOlderThan(int64_t version) {
  const auto older = [&](const Work& work) { return work.version < version; };
  if (std::ranges::any_of(queue_, older)) std::erase_if(queue_, older);
  if (queue_.empty()) next_.clear();
  if (computing_ && computing_->version < version) abandoned_ = true;
}

// The lease is being worked on, or waits to be acknowledged.
bool Worker::Has(const Lease& lease) const {
  const auto is_it = [&](const auto& work) { return work.lease == lease; };
  const auto was_pushed = [&](const auto& entry) { return entry.second.lease == lease; };
  return std::ranges::any_of(queue_, is_it) || std::ranges::any_of(pushed_, was_pushed) ||
         (computing_ && !abandoned_ && computing_->lease == lease);
}

void Worker::ComputeNext() {
  if (computing_ || queue_.empty()) return;
  const Work work = queue_.front();
  PullUnlessHeld(work.version);
  if (held_.values == nullptr || held_.version < work.version) return;
  queue_.pop_front();
  if (held_.version > work.version) return ComputeNext();  // its step is over
  abandoned_ = false;
  computing_ = Compute{term_, work.lease, work.version, held_.values};
  announced_.erase(announced_.begin(), announced_.upper_bound(work.lease.id));
  actions_.push_back(*computing_);
  if (!queue_.empty()) return;
  for (const Lease& lease : std::exchange(next_, {})) ReadAheadOnce(lease);
}

// Nothing if nobody wants it any more.
std::optional<Compute> Worker::TakeResult() {
  CHECK(computing_.has_value());
  Compute work = *std::exchange(computing_, std::nullopt);
  const bool wanted = phase_ != Phase::kStopped && !std::exchange(abandoned_, false);
  return wanted ? std::optional(std::move(work)) : std::nullopt;
}

Actions Worker::OnComputed(TimePoint, const Update& update) {
  const Compute was = *computing_;
  profiler_.OnLease(was.lease.count, update.seconds);
  const std::optional<Compute> work = TakeResult();
  if (work) {
    samples_per_second_ = update.samples_per_second;
    loss_ = update.loss_sum / static_cast<double>(std::max<int64_t>(work->lease.count, 1));
    const Push push{.term = work->term,
                    .device = device_,
                    .incarnation = options_.incarnation,
                    .sequence = next_sequence_++,
                    .lease = work->lease,
                    .version = work->version,
                    .loss_sum = update.loss_sum,
                    .correct = update.correct,
                    .gradient = update.gradient};
    pushed_.emplace(push.sequence, push);
    ToLeader(push);
    PullUnlessHeld(work->version + 1);
  } else {
    actions_.push_back(Settled{was.term, was.lease, false});
  }
  ComputeNext();
  return Take();
}

Actions Worker::OnFault(TimePoint, const Status& status) {
  if (const std::optional<Compute> work = TakeResult()) {
    ToCoordinator(Fault{term_, work->lease.step, CodeNumber(status.code()), status.message()});
  }
  ComputeNext();
  return Take();
}

Actions Worker::OnCannotCompute(TimePoint, const Status& status) {
  if (const std::optional<Compute> work = TakeResult()) {
    Emit(Warning{"a lease is given back: " + status.message()});
    Return(work->lease, status.message());
  }
  ComputeNext();
  return Take();
}

// A pull waits at the leader until the version is there, so the next one is asked for early.
void Worker::PullUnlessHeld(int64_t version) {
  const bool held = held_.values != nullptr && held_.version >= version;
  if (held || phase_ != Phase::kJoined || pulled_ == version) return;
  pulled_ = version;
  ToLeader(Pull{term_, device_, version});
}

void Worker::ReadAheadOnce(const Lease& lease) {
  if (announced_.insert(lease.id).second) actions_.push_back(ReadAhead{lease});
}

void Worker::ToCoordinator(Message message) {
  if (phase_ != Phase::kGreeting && phase_ != Phase::kJoined) return;
  actions_.push_back(Send{{kCoordinatorDevice, Role::kCoordinator}, std::move(message)});
}

void Worker::ToLeader(Message message) {
  if (phase_ != Phase::kJoined || layout_.parts.empty()) return;
  actions_.push_back(Send{layout_.parts.front().leader, std::move(message)});
}

}  // namespace weft::cluster
