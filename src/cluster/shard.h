#pragma once
// Shard: one range of the parameters on one device, with its optimizer. The primary one (leads())
// joins the updates of a step, or of a stream one by one, applies them once and hands the new
// version to whoever asks; a standby applies whatever the primary applies, and can take over.
//
// An update is applied at most once: (device, incarnation, sequence) is remembered, and so is its
// lease. It is acknowledged, and its step committed, only after it is in the parameters, and in
// those of the standby if there is one.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "aggregate/aggregator.h"
#include "cluster/action.h"
#include "cluster/delta_log.h"
#include "cluster/job_spec.h"
#include "cluster/message.h"
#include "cluster/range_history.h"
#include "cluster/range_state.h"
#include "cluster/shard_memory.h"
#include "cluster/shard_replicas.h"
#include "cluster/snapshot.h"
#include "cluster/step_plan.h"
#include "codec/codec.h"
#include "engine/optimizer.h"

namespace weft::cluster {

// What all shards of a device have in common.
struct ShardContext {
  JobSpec spec;
  Address self;
  std::unique_ptr<codec::Codec> up;
  std::unique_ptr<codec::Codec> down;  // of whole ranges
  std::unique_ptr<codec::Codec> dense;
  uint64_t run = 0;                // RunTag
  bool corrects_momentum = false;  // the devices do (job_spec.h)
  uint64_t term = 0;
  uint64_t layout = 0;  // number of the one that holds
  uint32_t logs = 0;    // of deltas, begun so far
  Actions actions;      // asked for by the message in hand

  codec::Place PlaceOf(const Range& range, int64_t version) const {
    return {.begin = range.begin, .run = run, .base = version};
  }
  void SendTo(Address to, Message message);
  void ToCoordinator(Message message);
  void Warn(std::string text);
};

// Threads: one.
class Shard {
 public:
  // Updates that came before their step began, and updates beaten by another device, are kept: of
  // each kind so many, and two for each lease of the newest step; more are refused.
  static constexpr size_t kMaxKept = 1024;
  // The gradients of the early ones: so many bytes, or four updates if they are larger.
  static constexpr size_t kMaxKeptBytes = size_t{256} << 20;
  // Sums of sites that came before their step began.
  static constexpr size_t kMaxJoint = 64;
  // Records that are kept to be told again, of kMaxSlots leases together; of steps the last one.
  static constexpr size_t kMaxRecords = 64;

  // A standby of this range, with the numbers of `start`; `context` must outlive it.
  // Errors: kDataLoss for a snapshot of another range, model or optimizer.
  static Result<std::unique_ptr<Shard>> Make(ShardContext* context, const Range& range,
                                             Snapshot start, AppliedMemory memory);

  // From now on it leads, with this standby (0: none). What waits for another standby waits no
  // longer; the same one is told again what it has not confirmed. A standby that is adopted for a
  // layout to come stays.
  void Lead(DeviceId standby);
  // The standby that a layout to come gives it, while it has none; steps and streams go on. From
  // now on what is told waits for it, so the state, which is to be sent to it, has all that was
  // told before, and what may still be asked.
  RangeState Adopt(DeviceId standby, uint64_t layout);
  // What the leader had told when it sent the numbers that this standby has.
  void Recall(RangeHistory history);
  // From now on it follows the range's leader.
  void Stand();
  bool leads() const { return leads_; }
  // The context has a new term. What was sent to the coordinator's predecessor is void: its leases
  // are dealt anew.
  void AdoptTerm();

  // Of this term, from the coordinator.
  void On(const BeginStep& begin);
  void On(const BeginStream& begin);
  void On(const EndStream& end);
  void On(const AskMissing& ask);
  // From the worker that it names.
  void On(Address from, const Push& push);
  // From whoever asks, for itself or for others.
  void On(Address from, const Pull& pull);
  // From a relay, of the workers that it names.
  void On(const JointPush& joint);
  // From this range's leader, and from its standby.
  void On(Address from, const Replicate& replicate);
  void On(Address from, const Replicated& replicated);

  // An update of an earlier range that lay here in part: is it in?
  bool WasApplied(const Push& push) const;

  // A checkpoint of this step is to be made of the numbers as they are; asked once.
  std::optional<int64_t> TakeSave() { return std::exchange(save_, std::nullopt); }
  // A stretch of the numbers; valid until the next On.
  RangeAssembly::Piece PieceOf(const Range& part) const;
  // The same to send, for a layout (0: a checkpoint, of `step`).
  RangeState StateOf(const Range& part, uint64_t layout, int64_t step) const;

  const Range& range() const { return range_; }
  int64_t version() const { return version_; }
  int64_t next_step() const { return next_step_; }
  std::span<const float> parameters() const { return parameters_; }
  // Updates that wait for their step, or for its end to be refused; at most 2 * most_kept().
  size_t kept() const {
    return early_.updates.size() + early_joint_.size() + beaten_.updates.size();
  }
  size_t most_kept() const { return kMaxKept + 2 * leases_in_step_; }
  // Devices whose pull waits for a version to come.
  size_t waiting_pulls() const { return pulls_.size(); }

 private:
  // An update in the step, or one that waits.
  struct Held {
    Address from;
    Push push;
  };
  using Key = std::tuple<DeviceId, uint64_t, uint64_t>;  // device, incarnation, sequence
  struct Kept {
    std::vector<Held> updates;  // in the order they came
    std::set<Key> keys;         // of them
    size_t bytes = 0;           // of their gradients
  };
  // Updates that are applied at once.
  struct Joint {
    Committed record;
    double lr = 0;
    engine::Optimizer::Portion portion;
    std::vector<Held> in;
    std::vector<Held> beaten;  // refused with it
    bool checkpoint = false;
  };
  struct Stream {
    aggregate::Mode mode = aggregate::Mode::kAsync;
    int64_t begun = 0;     // step
    int64_t from = 0;      // version
    int64_t at_once = 1;   // updates
    std::vector<Held> in;  // in the aggregator, without their gradients
  };

  Shard(ShardContext* context, const Range& range, Snapshot start, AppliedMemory memory);

  // shard.cc
  std::unique_ptr<aggregate::Aggregator> MakeAggregator() const;
  void CloseStep();
  bool IsHere(const Held& held) const;
  bool IsToCome(const Push& push) const;
  bool MayBeLate(const Push& push) const;
  bool MayBeOfNextStream(const Push& push) const;
  void Keep(Held held, Kept* kept);
  void DrainEarly();
  void Take(Held held);
  bool Decode(const Held& held);
  void Acknowledge(const Held& held, bool applied);
  PushAck AckOf(const Held& held, bool applied) const;
  static Key KeyOf(const Held& held);
  static Applied AppliedOf(const Held& held);
  int64_t Round() const;
  uint64_t term() const { return context_->term; }

  // shard_parameters.cc
  void Aim(const BeginStep& begin);
  DeltaLog* Log();
  std::unique_ptr<DeltaLog> BeginLog();
  Payload Encoded();
  Parameters Newest(const Pull& pull);
  void AnswerPull(const Pull& pull, Address to);
  void AnswerPulls();

  // shard_step.cc
  bool WasBegun(const BeginStep& begin) const;
  void TellAgain(const BeginStep& begin);
  void GoOn(const BeginStep& begin);
  void Open(const BeginStep& begin);
  std::optional<size_t> SlotOf(const Push& push) const;
  void AddToStep(Held held);
  bool StepIsFull() const;
  std::optional<std::vector<int64_t>> SlotsOf(const JointPush& joint) const;
  Status Join(const JointPush& joint, const std::vector<int64_t>& slots);
  void AskForEach(const JointPush& joint);
  void ApplyStep();
  Committed RecordOfStep() const;

  // shard_stream.cc
  void ChangeMode(aggregate::Mode mode);
  std::string ProblemInStream(const Push& push) const;
  double Staleness(const Push& push) const;
  void AddToStream(Held held);
  void Compensate(const Push& push);
  void ApplyStream();

  // shard_apply.cc
  std::string ProblemWith(const Joint& joint, std::span<const float> combined) const;
  void Apply(Joint joint, std::span<const float> combined);
  void Remember(const Committed& record);
  void TellRecords();
  void SendReplica(Joint joint, std::span<const float> combined, Due due);
  void Release(std::vector<Due> due);
  void Say(Due due);
  void SayWhenSafe(Due due);
  void SendReplicas();
  uint64_t ReplicaLayout() const { return std::max(context_->layout, adopted_for_); }
  void Advance(double lr, const engine::Optimizer::Portion& portion,
               std::span<const float> combined);

  ShardContext* const context_;
  const Range range_;
  std::unique_ptr<aggregate::Aggregator> aggregator_;  // null until it leads
  engine::Optimizer optimizer_;
  int64_t version_;
  int64_t next_step_;
  int64_t over_before_;               // leases of earlier steps are of a stream that is over
  std::vector<float> parameters_;     // [n]
  std::vector<float> gradient_;       // [n] scratch: one decoded update, or a difference
  std::unique_ptr<DeltaLog> log_;     // null until somebody asks, and where all is sent whole
  std::optional<codec::Target> aim_;  // of the log
  Payload encoded_;                   // of version_, whole; null until somebody asks
  Payload before_;                    // of the version before it, while other ranges may be there

  bool leads_ = false;
  DeviceId standby_ = 0;
  uint64_t adopted_for_ = 0;  // layout, of the standby; 0: it is the present one's
  Replicas replicas_;
  AppliedMemory memory_;
  std::vector<Committed> records_;  // newest last
  bool took_over_ = false;          // and has begun nothing since
  std::optional<int64_t> save_;

  std::optional<BeginStep> open_;
  size_t leases_in_step_ = static_cast<size_t>(kMaxSlots);  // of the newest one
  // By slot; without their gradients, which are in the aggregator.
  std::vector<std::optional<Held>> in_step_;
  std::set<Key> keys_in_step_;  // of those
  std::set<size_t> waived_;     // empty slots that the step does not wait for any more
  std::set<uint64_t> left_;     // leases that the last step did not wait for
  Kept beaten_;  // another device filled the slot first: refused once the step is done
  Kept early_;   // their step has not begun here
  std::vector<JointPush> early_joint_;  // likewise
  std::map<Address, Pull> pulls_;       // for versions to come

  std::optional<Stream> stream_;
  Progress progress_;
  Bases bases_;
};

}  // namespace weft::cluster
