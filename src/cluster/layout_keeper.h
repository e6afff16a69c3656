#pragma once
// LayoutKeeper: who leads which range, for the coordinator: the layout that holds, the one that is
// being changed to, and what becomes of both when a device goes.
//
// A change (Reshape) happens between steps: whoever is to hold a stretch gets it from who holds it
// now, and says so (Seated); once all have, the new layout holds (Relayout). When a leader goes,
// its standby leads at once, from the version it has.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cluster/message.h"

namespace weft::cluster {

class LayoutKeeper {
 public:
  // Layout 1: `hub` leads all `values`.
  LayoutKeeper(int64_t values, Address hub);

  const Layout& layout() const { return layout_; }
  bool flat() const { return layout_.parts.size() == 1 && layout_.parts[0].leader == hub_; }
  // The part with this range, if `leader` leads it.
  const Layout::Part* Led(Address leader, const Range& range) const;
  bool Leads(DeviceId device) const;
  // Parts on other devices than the hub's that nobody stands by.
  bool NeedsStandby() const;

  struct Loss {
    bool changed = false;           // the layout that holds: all are to be told
    std::vector<Range> promoted;    // ranges that their standby leads from now on
    std::optional<Range> orphaned;  // one that nobody holds any more
    bool abandoned = false;         // the change under way is given up
  };
  // The device can lead nothing and stand by nothing any more.
  Loss Lose(DeviceId device);
  // These devices do not answer: what they lead their standbys lead, if those do, and they stand by
  // nothing. What nobody else holds they keep.
  Loss Relieve(const std::set<DeviceId>& silent);

  // Starts a change; `next` needs parts only. To be sent to Concerned().
  Reshape Begin(uint64_t term, Layout next);
  bool changing() const { return next_.has_value(); }
  // The change under way once more; CHECKs that there is one.
  Reshape Again(uint64_t term) const;
  const std::set<DeviceId>& concerned() const { return concerned_; }
  // True if that was the last one: layout() is the new one.
  bool OnSeated(Address from, const Seated& seated);
  void Abandon();

 private:
  static void Promote(Layout::Part* part, Loss* loss);
  static void DropStandby(Layout::Part* part, Loss* loss);

  using Seat = std::tuple<DeviceId, Range, bool>;  // standby

  Address hub_;
  Layout layout_;
  uint64_t last_number_ = 1;  // given to any
  std::optional<Layout> next_;
  std::set<Seat> empty_;          // seats of next_ that are still to be taken
  std::set<DeviceId> concerned_;  // by the change
};

}  // namespace weft::cluster
