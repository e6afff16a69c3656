#pragma once
// Worker: keeps a connection to the coordinator, computes the leases it is granted and pushes the
// updates, keeping each until the leader has acknowledged it.
//
//   dialing -> greeting -> joined -> stopped
//      ^----- offline <------+   (back-off)
//
// The parameters come in ranges, each from its leader, and a gradient goes out in the same ranges:
// an update of a lease is one Push a range, each with its own acknowledgement. A range whose leader
// has changed, or whose way there was lost, is pushed and pulled again.
//
// A connection over which nothing was heard for the coordinator's device timeout is lost: somebody
// answers each heartbeat, so that a way cut in one direction is noticed at both ends.
//
// The math runs elsewhere (the host's own thread); one Compute is out at a time. A lease of a step
// begins once the first range of its parameters is here; the others are handed over as they come.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cluster/action.h"
#include "cluster/back_off.h"
#include "cluster/held_parameters.h"
#include "cluster/message.h"
#include "cluster/profiler.h"
#include "cluster/sample_cache.h"
#include "codec/codec.h"

namespace weft::cluster {

struct WorkerOptions {
  std::string name;
  std::string token;
  std::string program;
  int64_t cores = 0;
  int64_t memory_bytes = 0;
  uint64_t incarnation = 0;  // random per process start
  uint64_t jitter_seed = 0;
  std::string endpoint;       // where other devices can dial it; empty: it leads nothing
  int64_t storage_bytes = 0;  // for samples that the store feeds; 0: no limit
  std::string site;           // where it stands; empty: not said
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
  // A part of a message has come.
  void OnSign(TimePoint now) { heard_ = now; }

  // The run that the host was just asked to open (OpenRun) feeds its samples from the store. To be
  // called before anything else.
  void UseStore(SampleCacheOptions options);
  // The run that the host was last asked to open sends its parameters with this codec. Until this
  // is said they come whole.
  void UseCodec(std::unique_ptr<codec::Codec> down);

  // A direct way to this device is gone; what went over it may be lost.
  Actions OnPeerLost(TimePoint now, DeviceId device);

  // A part of the gradient of the lease that is being computed.
  struct Part {
    Range range;
    Payload gradient;  // codec packet
  };
  // One that is ready before the others. Loss and correct are of the whole lease.
  Actions OnPart(TimePoint now, const Range& range, const Payload& gradient, double loss_sum,
                 int64_t correct);
  // What a Compute led to.
  struct Update {
    double loss_sum = 0;
    int64_t correct = 0;
    std::vector<Part> parts;  // those not handed to OnPart
    double samples_per_second = 0;
    double seconds = 0;       // that it took, but for
    double plan_seconds = 0;  // what a size that is new took besides; 0: it is not new
  };
  Actions OnComputed(TimePoint now, const Update& update);
  // The math failed in a way that concerns the whole run, such as a loss that is not finite.
  Actions OnFault(TimePoint now, const Status& status);
  // This device cannot compute this lease (it cannot read the data, say); another one may. Also
  // after a GiveUp.
  Actions OnCannotCompute(TimePoint now, const Status& status);

  // For the profile (profiler.h) that heartbeats carry.
  void OnTransfer(bool up, int64_t bytes, double seconds) {
    profiler_.OnTransfer(up, bytes, seconds);
  }
  void OnHost(int64_t free_bytes, double other_load, double temperature) {
    profiler_.OnHost(free_bytes, other_load, temperature);
  }
  const DeviceStats& stats() const { return profiler_.stats(); }

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
    int64_t version = 0;   // to compute with
    bool newest = false;   // or a newer one
    bool overlap = false;  // wanted even when a later step begins
    double lr = 0;
    int64_t joint = 0;  // leases of the step at this site; 0: pushed by itself
    int64_t local_steps = 0;
    std::optional<codec::Target> target;
  };
  struct Pushed {
    Push push;
    TimePoint at;
    bool overlap = false;
  };

  void On(TimePoint now, const Welcome& welcome);
  void On(TimePoint now, const Refuse& refuse);
  void On(TimePoint now, const HeartbeatAck& ack);
  void On(TimePoint now, const Grant& grant);
  void On(TimePoint now, const Relayout& relayout);
  void On(TimePoint now, const Samples& samples);
  void On(TimePoint now, const PushAck& ack);
  void On(TimePoint now, const PushAgain& again);
  void On(TimePoint now, const UseRelay& use);
  void On(TimePoint now, const Parameters& parameters);
  void On(TimePoint now, const Finished& finished);
  template <class Other>
  void On(TimePoint now, const Other& other);

  void Dial(TimePoint now);
  void Beat(TimePoint now);
  Heartbeat Signs() const;
  void AskAfterOld(TimePoint now);
  void LoseConnection(TimePoint now, const char* awaited, Duration timeout);
  void GoOffline(TimePoint now, const std::string& reason);
  void StopWith(const std::string& reason, const Status& status);
  void ForgetRun();
  void TakeLayout(const Layout& layout);
  void BeginVersion(int64_t version, bool overlap);
  void DropOlderThan(int64_t version);
  void SayAgain(TimePoint now, const Grant& grant);
  void NoteReturned(const ReturnLease& back, int64_t version, bool overlap);
  bool Has(const Lease& lease) const;
  bool IsPushed(const Lease& lease) const;
  bool IsOver(const Work& work) const;
  std::optional<std::vector<Piece>> PiecesFor(const Work& work) const;
  std::optional<std::vector<Piece>> FirstPieces(int64_t version) const;
  bool LacksPieces() const;
  void HandPieces(TimePoint now);
  void Abandon();
  void ComputeNext(TimePoint now);
  void Begin(const Work& work, std::vector<Piece> pieces);
  void PushPart(TimePoint now, const Part& part, double loss_sum, int64_t correct);
  std::optional<Compute> TakeResult();
  void PullUnlessHeld(TimePoint now, int64_t version);
  void PullFrom(TimePoint now, const Layout::Part& part, int64_t version, bool exactly = false);
  Pull PullOf(const Range& range, int64_t version) const;
  void PullBefore(TimePoint now, int64_t version);
  void PullFresher(TimePoint now);
  bool WaitsForFresher(TimePoint now) const;
  void AskAgain(TimePoint now, const Range& range);
  void ReadAheadOnce(const Lease& lease);
  bool WantSamples(const Lease& lease);
  void DoneWith(const Lease& lease);
  void ClearQueue();
  void Ask(const std::vector<AskSamples>& asks);
  void ToCoordinator(Message message);
  void ToLeader(const Range& range, Message message);
  std::optional<Address> RelayFor(const Layout::Part& part) const;
  void PushStraight(Pushed* pushed);
  void LeaveRelay(TimePoint now);
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
  UseRelay site_;
  Duration heartbeat_{};
  Duration device_timeout_{};  // 0: the coordinator does not answer heartbeats
  uint64_t next_sequence_ = 1;

  std::deque<Work> queue_;             // granted, not begun
  std::vector<Lease> next_;            // what it will probably be granted after these
  std::set<uint64_t> announced_;       // leases whose samples are being read
  std::optional<Compute> computing_;   // out with the host
  Work computing_as_;                  // how it was granted
  bool abandoned_ = false;             // its result is no longer wanted
  std::map<uint64_t, Pushed> pushed_;  // by sequence, not acknowledged
  int64_t granted_version_ = -1;       // the newest; of its leases, by id:
  std::set<uint64_t> done_;            //   acknowledged, so a grant that comes twice is known
  std::map<uint64_t, ReturnLease> returned_;  //   given back, and why

  std::optional<SampleCache> cache_;  // nothing: this device reads the data itself
  HeldParameters held_;
  struct Pulled {
    int64_t version = 0;
    TimePoint at;
    bool exactly = false;  // nothing newer does
  };
  std::map<Range, Pulled> pulled_;        // asked for, not come yet
  std::optional<TimePoint> waits_since_;  // for fresher parameters
  double samples_per_second_ = 0;
  double loss_ = 0;
  Profiler profiler_;
  std::deque<TimePoint> beats_;  // heartbeats over this connection that are not answered yet
  Actions actions_;
};

}  // namespace weft::cluster
