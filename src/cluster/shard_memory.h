#pragma once
// What a shard remembers beside its numbers: whose updates are in them, how far they have come, and
// what its workers computed with.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "cluster/interval_set.h"
#include "cluster/message.h"

namespace weft::cluster {

// Which updates and leases are in the parameters. Of each device only the newest incarnation.
class AppliedMemory {
 public:
  // Handed on to another leader at most: so many, the newest.
  static constexpr size_t kMostRecent = 4096;
  // Leases are known of so many steps, the newest; older ones all count as applied.
  static constexpr size_t kMostSteps = 4096;

  void Remember(const Applied& applied);
  bool Contains(const Applied& update) const;  // by device, incarnation and sequence
  bool HasLease(uint64_t lease) const;
  std::vector<Applied> Recent() const { return {recent_.begin(), recent_.end()}; }

 private:
  struct Sender {
    uint64_t incarnation = 0;
    IntervalSet sequences;
  };
  std::map<DeviceId, Sender> senders_;
  std::map<int64_t, IntervalSet> leases_;  // by step
  int64_t forgotten_ = -1;                 // leases of steps up to it
  std::deque<Applied> recent_;
};

// How far the parameters have come since a version, in rounds (batches).
class Progress {
 public:
  static constexpr size_t kMostVersions = 4096;

  explicit Progress(int64_t version) : version_(version), rounds_{0} {}
  // One version more, by so much of a round.
  void Advance(double fraction);
  // Of versions from before this began, or too long ago, each is taken for `fraction` of a round. 0
  // for a version that is to come.
  double RoundsSince(int64_t version, double fraction) const;

 private:
  int64_t version_;
  std::deque<double> rounds_;  // at each version up to version_; the last is now
};

// The parameters that devices have got, kept until they have pushed what they computed with them.
// A device is taken to be at work with the last two versions that it got, as its pull may overtake
// its push.
class Bases {
 public:
  static constexpr size_t kMostVersions = 64;  // then the oldest is dropped

  void Note(Address device, int64_t version, std::span<const float> parameters);
  // Valid until the next Note; empty if it is not there.
  std::span<const float> Find(int64_t version) const;
  size_t size() const { return bases_.size(); }
  void Clear();

 private:
  struct Base {
    std::vector<float> parameters;
    int64_t users = 0;  // devices at work with it
  };
  void Release(int64_t version);

  std::map<Address, std::deque<int64_t>> got_;  // at most two versions of each
  std::map<int64_t, Base> bases_;
};

}  // namespace weft::cluster
