#include "cluster/layout_keeper.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace weft::cluster {

LayoutKeeper::LayoutKeeper(int64_t values, Address hub) : hub_(hub) {
  layout_.number = 1;
  layout_.parts.push_back(
      {.range = {0, values}, .leader = hub, .endpoint = {}, .standby = 0, .standby_endpoint = {}});
}

const Layout::Part* LayoutKeeper::Led(Address leader, const Range& range) const {
  const auto is_it = [&](const Layout::Part& part) {
    return part.leader == leader && part.range == range;
  };
  const auto it = std::ranges::find_if(layout_.parts, is_it);
  return it == layout_.parts.end() ? nullptr : &*it;
}

bool LayoutKeeper::Leads(DeviceId device) const {
  return std::ranges::any_of(
      layout_.parts, [&](const Layout::Part& part) { return part.leader.device == device; });
}

bool LayoutKeeper::NeedsStandby() const {
  return std::ranges::any_of(layout_.parts, [&](const Layout::Part& part) {
    return part.leader != hub_ && part.standby == 0;
  });
}

void LayoutKeeper::Promote(Layout::Part* part, Loss* loss) {
  part->leader.device = std::exchange(part->standby, 0);
  part->endpoint = std::exchange(part->standby_endpoint, {});
  loss->promoted.push_back(part->range);
  loss->changed = true;
}

void LayoutKeeper::DropStandby(Layout::Part* part, Loss* loss) {
  part->standby = 0;
  part->standby_endpoint.clear();
  loss->changed = true;
}

// The standbys that are seated count, though others of the change are not.
void LayoutKeeper::TakeSeated() {
  if (!seating()) return;
  for (size_t i = 0; i < layout_.parts.size(); ++i) {
    const Layout::Part& then = next_->parts[i];
    if (empty_.contains({then.standby, then.range, true})) continue;
    layout_.parts[i].standby = then.standby;
    layout_.parts[i].standby_endpoint = then.standby_endpoint;
  }
}

// A change that goes without one of its devices, or from a layout that holds no longer, is given
// up.
void LayoutKeeper::EndChange(const std::function<bool(DeviceId)>& lost, Loss* loss) {
  if (next_ && (loss->changed || std::ranges::any_of(concerned_, lost))) {
    next_.reset();
    loss->abandoned = loss->changed = true;
  }
  if (loss->changed) layout_.number = ++last_number_;
}

LayoutKeeper::Loss LayoutKeeper::Relieve(const std::set<DeviceId>& silent) {
  Loss loss;
  const std::vector<Layout::Part> before = layout_.parts;
  TakeSeated();
  for (Layout::Part& part : layout_.parts) {
    if (part.leader == hub_ || part.standby == 0) continue;
    const bool stands_by = !silent.contains(part.standby);
    const bool leads = !silent.contains(part.leader.device);
    if (!leads && stands_by) Promote(&part, &loss);
    if (leads && !stands_by) DropStandby(&part, &loss);
  }
  EndChange([&](DeviceId device) { return silent.contains(device); }, &loss);
  if (!loss.changed) layout_.parts = before;
  return loss;
}

LayoutKeeper::Loss LayoutKeeper::Lose(DeviceId device) {
  Loss loss;
  const std::vector<Layout::Part> before = layout_.parts;
  TakeSeated();
  for (Layout::Part& part : layout_.parts) {
    if (part.leader.device == device && part.leader != hub_) {
      if (part.standby == 0) {
        loss.orphaned = part.range;
        continue;
      }
      Promote(&part, &loss);
    } else if (part.standby == device) {
      DropStandby(&part, &loss);
    }
  }
  EndChange([&](DeviceId each) { return each == device; }, &loss);
  if (!loss.changed) layout_.parts = before;
  return loss;
}

Reshape LayoutKeeper::Begin(uint64_t term, Layout next) {
  CHECK(!next.parts.empty());
  next.number = ++last_number_;
  seating_ = false;
  empty_.clear();
  concerned_.clear();
  for (const Layout::Part& part : layout_.parts) concerned_.insert(part.leader.device);
  for (const Layout::Part& part : next.parts) {
    empty_.insert({part.leader.device, part.range, false});
    concerned_.insert(part.leader.device);
    if (part.standby == 0) continue;
    empty_.insert({part.standby, part.range, true});
    concerned_.insert(part.standby);
  }
  next_ = std::move(next);
  return Again(term);
}

Reshape LayoutKeeper::BeginSeating(uint64_t term, const std::vector<Standby>& standbys) {
  CHECK(!next_.has_value());
  next_ = layout_;
  next_->number = ++last_number_;
  seating_ = true;
  empty_.clear();
  concerned_.clear();
  for (const Standby& standby : standbys) {
    const auto part = std::ranges::find(next_->parts, standby.range, &Layout::Part::range);
    CHECK(part != next_->parts.end() && part->standby == 0);
    part->standby = standby.device;
    part->standby_endpoint = standby.endpoint;
    empty_.insert({standby.device, standby.range, true});
    concerned_.insert(part->leader.device);
    concerned_.insert(standby.device);
  }
  return Again(term);
}

Reshape LayoutKeeper::Again(uint64_t term) const {
  CHECK(next_.has_value());
  return {.term = term, .from = layout_, .to = *next_};
}

bool LayoutKeeper::OnSeated(Address from, const Seated& seated) {
  if (!Awaits(seated) || from.role != Role::kLeader) return false;
  empty_.erase({from.device, seated.range, seated.standby});
  if (!empty_.empty()) return false;
  layout_ = *std::exchange(next_, std::nullopt);
  return true;
}

void LayoutKeeper::Abandon() {
  TakeSeated();
  next_.reset();
  layout_.number = ++last_number_;
}

}  // namespace weft::cluster
