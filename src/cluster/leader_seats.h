#pragma once
// Seating: what a device collects for the layout to come: the ranges that it will lead or stand by
// in, put together from the stretches that the leaders before send. Pieces may come before the
// plan does.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cluster/range_history.h"
#include "cluster/range_state.h"
#include "cluster/shard.h"

namespace weft::cluster {

// The parts tile the vector of the job, each with a leader.
bool IsWhole(const JobSpec& spec, const Layout& layout);
// What a device is to a part.
bool Leads(const Layout::Part& part, Address self);
bool StandsBy(const Layout::Part& part, Address self);
// The device holds just this range in this layout, as leader or standby.
bool Holds(const Layout& layout, Address self, const Range& range);
// The part with this range, if this leader leads it; or null.
const Layout::Part* PartOf(const Layout& layout, Address leader, const Range& range);
// Between the layouts the range keeps its leader and gets a standby, having none.
bool GetsStandby(const Reshape& plan, Address leader, const Range& range);

class Seating {
 public:
  // Stretches that came before their plan: so many values of parameters, in terms of the whole
  // vector; more are dropped.
  static constexpr int64_t kMaxEarly = 2;

  // For the layout of this number, in this term.
  Seating(ShardContext* context, uint64_t number) : context_(context), number_(number) {}

  // The plan, which may be said again. `held` says whether this device has a range already, as it
  // is in plan.from: then that seat needs nothing.
  void Begin(const Reshape& plan, const std::map<int64_t, std::unique_ptr<Shard>>& held);
  // A stretch from a leader of plan.from, inside of the vector; what does not fit is dropped with a
  // warning.
  void Add(Address from, const RangeState& state);
  // A stretch that this device holds itself.
  void Add(const RangeAssembly::Piece& piece, const std::vector<Applied>& applied);

  // The seat of this range, once it is whole and if it is not one that was there before; or null.
  Shard* Find(const Range& range) const;
  std::unique_ptr<Shard> TakeShard(const Range& range);
  // Those that are whole.
  template <class Look>
  void ForEachShard(const Look& look) const {
    for (const auto& [begin, seat] : seats_) {
      if (seat.shard != nullptr) look(*seat.shard);
    }
  }

 private:
  struct Seat {
    Range range;
    bool standby = false;
    bool was_here = false;
    std::unique_ptr<RangeAssembly> parts;  // until it is whole
    AppliedMemory memory;
    RangeHistory history;
    std::unique_ptr<Shard> shard;  // then
  };

  void KeepEarly(Address from, const RangeState& state);
  void AddEarly();
  void AddTo(Seat* seat, const RangeAssembly::Piece& piece, const std::vector<Applied>& applied);
  void Finish(Seat* seat);
  bool TakeHistory(Address from, const Range& range, ByteView payload);
  void TellLeader(const Seat& seat) const;
  void Tell(const Seat& seat, int64_t version, const std::string& problem) const;

  ShardContext* const context_;
  const uint64_t number_;
  std::optional<Reshape> plan_;
  std::map<int64_t, Seat> seats_;  // by begin
  std::vector<std::pair<Address, RangeState>> early_;
  int64_t early_values_ = 0;
};

}  // namespace weft::cluster
