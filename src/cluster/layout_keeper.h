#pragma once
// LayoutKeeper: who leads which range, for the coordinator: the layout that holds, the one that is
// being changed to, and what becomes of both when a device goes.
//
// A change (Reshape) happens between steps: whoever is to hold a stretch gets it from who holds it
// now, and says so (Seated); once all have, the new layout holds (Relayout). When a leader goes,
// its standby leads at once, from the version it has. A change that only gives standbys to ranges
// that have none can happen at any time: their leaders go on, and wait for the new standby from
// when they send it the state; so it can lead as soon as it has said that it is seated.

#include <cstdint>
#include <functional>
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
  struct Standby {
    Range range;  // of a part that has none
    DeviceId device = 0;
    std::string endpoint;
  };
  // Starts one that only seats standbys. CHECKs that no change is under way.
  Reshape BeginSeating(uint64_t term, const std::vector<Standby>& standbys);
  bool changing() const { return next_.has_value(); }
  // The change under way only seats standbys.
  bool seating() const { return changing() && seating_; }
  // The change under way once more; CHECKs that there is one.
  Reshape Again(uint64_t term) const;
  const std::set<DeviceId>& concerned() const { return concerned_; }
  // It is of the change under way.
  bool Awaits(const Seated& seated) const { return next_ && seated.layout == next_->number; }
  // True if that was the last one: layout() is the new one.
  bool OnSeated(Address from, const Seated& seated);
  // The change under way is given up. layout() has a higher number then, and is to be told: a
  // leader may wait for a standby that was to come.
  void Abandon();

 private:
  static void Promote(Layout::Part* part, Loss* loss);
  static void DropStandby(Layout::Part* part, Loss* loss);
  void TakeSeated();
  void EndChange(const std::function<bool(DeviceId)>& lost, Loss* loss);

  using Seat = std::tuple<DeviceId, Range, bool>;  // standby

  Address hub_;
  Layout layout_;
  uint64_t last_number_ = 1;  // given to any
  std::optional<Layout> next_;
  bool seating_ = false;          // it only seats standbys
  std::set<Seat> empty_;          // seats of next_ that are still to be taken
  std::set<DeviceId> concerned_;  // by the change
};

}  // namespace weft::cluster
