#pragma once
// HeldParameters: what a worker holds of the parameters, range by range as their leaders send them:
// the newest version of each and the one before, which a lease that is dealt late may still need.
// Both are whole packets, whether they came whole or as deltas (delta_log.h).

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/message.h"
#include "codec/codec.h"
#include "codec/dense.h"

namespace weft::cluster {

// A range of the parameters in one version.
struct Piece {
  Range range;
  int64_t version = 0;
  Payload values;    // codec packet; null: yet to come
  uint64_t log = 0;  // of the leader, that the version is of; 0: none
};

class HeldParameters {
 public:
  // From now on the vector comes in these ranges. What is held in others stays until all of the new
  // ones have come.
  void SetCut(const Layout& layout);
  // Deltas are of this codec and run (RunTag); before this is said they cannot be added.
  void UseCodec(std::unique_ptr<codec::Codec> down, uint64_t run);
  enum class Got {
    kTaken,
    kNotWanted,  // of another cut, or neither newer than what is held nor the version before it
    kLacksBase,  // deltas for a version that is not held, or damaged ones
  };
  // Deltas cost a pass over the whole range, and twice its values in memory meanwhile.
  Got Put(const Parameters& parameters);
  void Clear();
  // What deltas of this range can be added to.
  struct Base {
    uint64_t log = 0;  // 0: nothing
    int64_t version = -1;
  };
  Base BaseOf(const Range& range) const;

  // Pieces that tile the vector, all of this version.
  std::optional<std::vector<Piece>> Exactly(int64_t version) const;
  // The same before all have come, of the newest cut: those that are older here have no values.
  // Nothing without the first one, or if one is newer and was not held in this version.
  std::optional<std::vector<Piece>> Begun(int64_t version) const;
  // The newest of each range, if none is older than this.
  std::optional<std::vector<Piece>> AtLeast(int64_t version) const;
  // The newest version of this range, of either cut; -1: it is not held.
  int64_t NewestOf(const Range& range) const;
  // This version of this range, of either cut; null: it is not held.
  Payload ValuesOf(const Range& range, int64_t version) const;
  // The oldest and the newest of the versions that AtLeast would give; nothing: not all is held.
  struct Span {
    int64_t oldest = 0;
    int64_t newest = 0;
  };
  std::optional<Span> Versions() const;

 private:
  struct Slot {
    Piece newest;  // no values: nothing is held
    Piece before;
  };
  using Cut = std::map<Range, Slot>;
  static bool Wants(const Slot& slot, int64_t version);
  Payload Added(const Slot& slot, const Parameters& deltas) const;
  static Payload ValuesIn(const Slot& slot, int64_t version);
  static bool IsWhole(const Cut& cut);
  // The newest cut that is held whole.
  const Cut* Whole() const;

  std::unique_ptr<codec::Codec> codec_;
  uint64_t run_ = 0;
  std::unique_ptr<codec::Codec> whole_ = codec::MakeDense();  // of ranges that have a log
  Cut cut_;
  Cut old_;  // empty once cut_ is whole
};

}  // namespace weft::cluster
