#pragma once
// Replicas: what a leader has applied and its standby has not confirmed yet, with all that may be
// said only then.

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "cluster/action.h"
#include "cluster/message.h"

namespace weft::cluster {

// What is due once a version is safe, in this order.
struct Due {
  Actions actions;
  std::optional<int64_t> save;  // a checkpoint of this step
};

class Replicas {
 public:
  // Versions that may wait; each holds a gradient.
  static constexpr size_t kMost = 8;

  void Add(Replicate message, Due due) { waiting_.push_back({std::move(message), std::move(due)}); }
  // Of all versions up to this one, oldest first.
  std::vector<Due> Confirm(int64_t version);
  // Of all, for there is nobody left to wait for.
  std::vector<Due> TakeAll();
  void Clear();

  bool empty() const { return waiting_.empty(); }
  bool full() const { return waiting_.size() >= kMost; }
  // The standby has confirmed nothing new though versions wait: it may miss the oldest. Said once
  // of each, so that answers to what is sent again ask for nothing.
  bool IsBehind();
  // The update is in a version that waits.
  bool Holds(const Applied& update) const;
  bool HoldsStep(int64_t step) const;
  bool HoldsVersion(int64_t version) const;
  // Of the newest version that waits; CHECKs that there is one.
  Due& last();
  // What to send again, oldest first, as of this layout.
  std::vector<Replicate> Messages(uint64_t layout) const;

 private:
  struct Waiting {
    Replicate message;
    Due due;
  };
  std::deque<Waiting> waiting_;
  int64_t missed_ = -1;  // the newest version that IsBehind was true of
};

}  // namespace weft::cluster
