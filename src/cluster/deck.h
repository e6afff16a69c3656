#pragma once
// Deck: the positions of an epoch that no lease has yet. They are dealt in order, and what is given
// back is dealt first.

#include <cstdint>
#include <map>
#include <vector>

#include "cluster/interval_set.h"

namespace weft::cluster {

class Deck {
 public:
  // Positions 0..samples-1. `shards`: their lengths, which sum to `samples`; a piece never crosses
  // from one into the next. Empty: one shard.
  Deck(int64_t samples, const std::vector<int64_t>& shards);

  // A new epoch, of which these positions are done already.
  void Open(const IntervalSet& done);

  struct Piece {
    int64_t begin = 0;
    int64_t count = 0;  // 0: none is left
  };
  // The first positions of any shard, or of this one: at most `most`, without a gap.
  Piece Take(int64_t most);
  Piece TakeOf(int64_t shard, int64_t most);
  void PutBack(const Piece& piece);

  int64_t left() const { return left_; }
  int64_t LeftOf(int64_t shard) const;
  int64_t ShardOf(int64_t position) const;
  // Where the next piece of any shard begins; -1: none is left.
  int64_t next() const { return free_.empty() ? -1 : free_.begin()->first; }

 private:
  using Free = std::map<int64_t, int64_t>;  // begin -> end, within a shard each
  Piece TakeAt(Free::iterator it, int64_t most);
  // The end of the shard that holds the position.
  int64_t EndOf(int64_t position) const;

  std::vector<int64_t> ends_;  // of the shards
  Free free_;
  int64_t left_ = 0;
};

}  // namespace weft::cluster
