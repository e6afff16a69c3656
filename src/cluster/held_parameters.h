#pragma once
// HeldParameters: what a worker holds of the parameters, range by range as their leaders send them:
// the newest version of each and the one before, which a lease that is dealt late may still need.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "cluster/message.h"

namespace weft::cluster {

// A range of the parameters in one version.
struct Piece {
  Range range;
  int64_t version = 0;
  Payload values;  // codec packet; null: yet to come
};

class HeldParameters {
 public:
  // From now on the vector comes in these ranges. What is held in others stays until all of the new
  // ones have come.
  void SetCut(const Layout& layout);
  // False if it is of another cut, or neither newer than what is held nor the version before it.
  bool Put(const Parameters& parameters);
  void Clear();

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
  static Payload ValuesIn(const Slot& slot, int64_t version);
  static bool IsWhole(const Cut& cut);
  // The newest cut that is held whole.
  const Cut* Whole() const;

  Cut cut_;
  Cut old_;  // empty once cut_ is whole
};

}  // namespace weft::cluster
