#pragma once
// Worker: keeps a connection to the coordinator, computes the leases it is granted and pushes the
// updates, keeping each until the leader has acknowledged it.
//
//   dialing -> greeting -> joined -> stopped
//      ^----- offline <------+   (back-off)
//
// A connection over which nothing was heard for the coordinator's device timeout is lost: somebody
// answers each heartbeat, so that a way cut in one direction is noticed at both ends.
//
// The math runs elsewhere (the host's own thread); one Compute is out at a time.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cluster/action.h"
#include "cluster/back_off.h"
#include "cluster/message.h"

namespace weft::cluster {

struct WorkerOptions {
  std::string name;
  std::string token;
  std::string program;
  int64_t cores = 0;
  int64_t memory_bytes = 0;
  uint64_t incarnation = 0;  // random per process start
  uint64_t jitter_seed = 0;
  Duration dial_timeout = std::chrono::seconds(60);      // for a connection
  Duration greeting_timeout = std::chrono::seconds(10);  // for the answer to Hello
  std::optional<Duration> give_up_after;  // without a coordinator for so long; nothing: never
};

// Threads: one.
class Worker {
 public:
  explicit Worker(const WorkerOptions& options);

  Actions Start(TimePoint now);
  Actions OnConnected(TimePoint now);
  // The connection broke, or could not be made.
  Actions OnDisconnected(TimePoint now, const std::string& reason);
  Actions Handle(TimePoint now, Address from, const Message& message);

  // What a Compute led to.
  struct Update {
    double loss_sum = 0;
    int64_t correct = 0;
    Payload gradient;  // codec packet
    double samples_per_second = 0;
  };
  Actions OnComputed(TimePoint now, const Update& update);
  // The math failed in a way that concerns the whole run, such as a loss that is not finite.
  Actions OnFault(TimePoint now, const Status& status);
  // This device cannot compute this lease (it cannot read the data, say); another one may.
  Actions OnCannotCompute(TimePoint now, const Status& status);

  // A direct line to that device broke, and what was under way on it is lost.
  Actions OnPeerLost(TimePoint, DeviceId) { return {}; }

  std::optional<TimePoint> NextWake() const;
  Actions Tick(TimePoint now);

  // Leaves on purpose: says Bye, by which all that it holds goes to others, and stops with
  // `status`.
  Actions Leave(TimePoint now, const std::string& reason, const Status& status = OkStatus());

  // Device 0 before the first Welcome.
  Address address() const { return {device_, Role::kWorker}; }
  bool joined() const { return phase_ == Phase::kJoined; }
  bool stopped() const { return phase_ == Phase::kStopped; }
  size_t unacknowledged() const { return pushed_.size(); }

 private:
  enum class Phase { kOffline, kDialing, kGreeting, kJoined, kStopped };
  struct Work {
    Lease lease;
    int64_t version = 0;
  };

  void On(TimePoint now, const Welcome& welcome);
  void On(TimePoint now, const Refuse& refuse);
  void On(TimePoint now, const HeartbeatAck& ack);
  void On(TimePoint now, const Grant& grant);
  void On(TimePoint now, const PushAck& ack);
  void On(TimePoint now, const Parameters& parameters);
  void On(TimePoint now, const Finished& finished);
  template <class Other>
  void On(TimePoint now, const Other& other);

  void Dial(TimePoint now);
  void Beat(TimePoint now);
  Heartbeat Signs() const;
  void AskAfterOld();
  void LoseConnection(TimePoint now, const char* awaited, Duration timeout);
  void GoOffline(TimePoint now, const std::string& reason);
  void StopWith(const std::string& reason, const Status& status);
  void ForgetRun();
  void BeginVersion(int64_t version);
  void DropOlderThan(int64_t version);
  void SayAgain(const Grant& grant);
  void Return(const Lease& lease, const std::string& reason);
  bool Has(const Lease& lease) const;
  void ComputeNext();
  std::optional<Compute> TakeResult();
  void PullUnlessHeld(int64_t version);
  void ReadAheadOnce(const Lease& lease);
  void ToCoordinator(Message message);
  void ToLeader(Message message);
  void Emit(Event event) { actions_.push_back(cluster::Emit{std::move(event)}); }
  Actions Take() { return std::exchange(actions_, {}); }

  const WorkerOptions options_;
  BackOff back_off_;
  Phase phase_ = Phase::kOffline;
  TimePoint wake_;           // offline: dial again; dialing, greeting: give up; joined: heartbeat
  TimePoint heard_;          // when something came over this connection
  TimePoint offline_since_;  // without a coordinator

  DeviceId device_ = 0;
  std::string run_;
  uint64_t term_ = 0;
  Layout layout_;
  Duration heartbeat_{};
  Duration device_timeout_{};  // 0: the coordinator does not answer heartbeats
  uint64_t next_sequence_ = 1;

  std::deque<Work> queue_;            // granted, not begun
  std::vector<Lease> next_;           // what it will probably be granted after these
  std::set<uint64_t> announced_;      // leases whose samples are being read
  std::optional<Compute> computing_;  // out with the host
  bool abandoned_ = false;            // its result is no longer wanted
  std::map<uint64_t, Push> pushed_;   // by sequence, not acknowledged
  int64_t granted_version_ = -1;      // the newest; of its leases, by id:
  std::set<uint64_t> done_;           //   acknowledged, so a grant that comes twice is known
  std::map<uint64_t, std::string> returned_;  //   given back, and why

  Parameters held_;                // the newest; no values: none
  std::optional<int64_t> pulled_;  // the version asked for, not come yet
  double samples_per_second_ = 0;
  double loss_ = 0;
  Actions actions_;
};

}  // namespace weft::cluster
