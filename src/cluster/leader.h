#pragma once
// Leader: holds ranges of the parameters on one device, each a Shard: joins the updates of a step,
// applies them once and hands the new version to whoever asks. Ranges come and go with the layout
// (message.h); the leader of the coordinator's process has all of the vector at first, and makes
// the checkpoints of all.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cluster/action.h"
#include "cluster/job_spec.h"
#include "cluster/leader_archive.h"
#include "cluster/leader_seats.h"
#include "cluster/message.h"
#include "cluster/shard.h"
#include "cluster/snapshot.h"

namespace weft::cluster {

// In its messages a range of no values stands for all of the vector. Threads: one. Handle does the
// math of a step.
class Leader {
 public:
  static constexpr size_t kMaxKept = Shard::kMaxKept;  // of a range
  // Pulls of ranges that are not here (yet); more are dropped.
  static constexpr size_t kMaxStrayPulls = 4096;
  // Layouts to come whose ranges it holds beside those of the present one.
  static constexpr size_t kMostSeatings = 3;

  // The coordinator's process: leads all of the vector (layout 1) at spec.leader. Starts from a
  // snapshot: of a checkpoint, or {0, 0, initial parameters, {}}.
  // Errors: kInvalidArgument for an unknown codec, kDataLoss for a snapshot of another model or
  // optimizer.
  static Result<std::unique_ptr<Leader>> Make(const JobSpec& spec, Snapshot start);
  // A device's: holds nothing until a Reshape seats it.
  // Errors: kInvalidArgument for an unknown codec.
  static Result<std::unique_ptr<Leader>> MakeEmpty(const JobSpec& spec, Address self);

  // `from` as the host knows it, not as the message claims.
  Actions Handle(TimePoint now, Address from, const Message& message);
  // The host has written a snapshot (`status` ok) or could not.
  Actions OnCheckpointDone(TimePoint now, int64_t step, const std::string& path,
                           const Status& status);

  Address address() const { return context_.self; }
  uint64_t term() const { return context_.term; }
  // The newest of the ranges that it leads; -1 if it leads none.
  int64_t version() const;
  // The flat vector of version(), if it leads all of it in one range, else empty; valid until the
  // next Handle.
  std::span<const float> parameters() const;
  // The ranges that it leads, ascending.
  std::vector<Range> led() const;
  // All ranges that it holds, also for the layout to come.
  template <class Look>
  void ForEachShard(const Look& look) const {
    for (const auto& [begin, shard] : shards_) look(*shard);
    for (const auto& [number, seating] : seatings_) seating.ForEachShard(look);
  }
  // The newest checkpoint that was made of several leaders' ranges; null: none yet.
  std::shared_ptr<const Snapshot> archived() const { return archive_.newest(); }

  // Updates that wait for their step, or for its end to be refused; at most 2 * most_kept().
  size_t kept() const;
  size_t most_kept() const;
  // Pulls that wait for a version to come.
  size_t waiting_pulls() const;

 private:
  Leader(const JobSpec& spec, Address self);
  static Result<std::unique_ptr<Leader>> MakeBare(const JobSpec& spec, Address self);

  void On(Address from, const BeginStep& begin);
  void On(Address from, const BeginStream& begin);
  void On(Address from, const EndStream& end);
  void On(Address from, const AskMissing& ask);
  void On(Address from, const Push& push);
  void On(Address from, const JointPush& joint);
  void On(Address from, const Pull& pull);
  void On(Address from, const Replicate& replicate);
  void On(Address from, const Replicated& replicated);
  void On(Address from, const Reshape& reshape);
  void On(Address from, const Relayout& relayout);
  void On(Address from, const RangeState& state);
  template <class Other>
  void On(Address from, const Other& other);

  // The coordinator's word: true if it is of this term, which may have become newer by it.
  template <class Order>
  bool Obeys(Address from, const Order& order);
  template <class Order>
  void ToShard(Address from, const Order& order);
  void AdoptTerm(uint64_t term);
  Range Named(const Range& range) const;
  Shard* Find(const Range& range) const;
  bool IsTooOld(uint64_t number) const;
  Seating& SeatingOf(uint64_t number);
  void SendStates(const Reshape& reshape);
  void SendState(Shard* shard, const Reshape& reshape, const Layout::Part& part);
  std::unique_ptr<Shard> TakeShard(const Range& range);
  void TakeSeat(const Layout::Part& part, bool repeated,
                std::map<int64_t, std::unique_ptr<Shard>>* next);
  void TellSeated(const Range& range, int64_t version, bool standby, const std::string& problem);
  void AnswerStrays();
  void AnswerOfOldRange(Address from, const Push& push);
  bool IsArchive() const { return context_.self == context_.spec.leader; }
  void CollectSaves();
  void Archived(int64_t step, const RangeAssembly::Piece& piece);
  void WriteNext();
  Actions Take() { return std::exchange(context_.actions, {}); }

  ShardContext context_;
  Layout layout_;                                     // that holds
  uint64_t layout_term_ = 0;                          // of it
  std::map<int64_t, std::unique_ptr<Shard>> shards_;  // by begin
  // For layouts to come, by number. What is sent for one can be here before the word that the one
  // before it holds.
  std::map<uint64_t, Seating> seatings_;
  std::map<std::pair<Address, Range>, Pull> strays_;
  Archive archive_;
};

}  // namespace weft::cluster
