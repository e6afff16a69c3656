#pragma once
// CommitBook: which ranges of which lease are applied, from the records of the leaders. A lease is
// committed once every range of its update is.

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "cluster/message.h"

namespace weft::cluster {

class CommitBook {
 public:
  // From now on an update has these ranges. Leases that are half applied are forgotten: to be
  // called when there are none.
  void SetRanges(const Layout& layout);

  // What a record completed.
  struct Done {
    Lease lease;
    DeviceId device = 0;  // whose update the first range has
  };
  // Enters a record. A lease that the range has already is passed over.
  std::vector<Done> Enter(const Committed& record);

  // A lease is applied in some ranges, not in all.
  bool HalfApplied(uint64_t lease) const { return open_.contains(lease); }
  size_t half_applied() const { return open_.size(); }
  // Whether this range has the lease, or all of them do and it is forgotten.
  bool Has(uint64_t lease, const Range& range) const;

 private:
  struct Open {
    Lease lease;
    DeviceId device = 0;
    std::set<Range> applied;
  };
  size_t ranges_ = 1;
  std::map<uint64_t, Open> open_;  // by lease
};

}  // namespace weft::cluster
