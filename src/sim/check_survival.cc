#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cluster/describe.h"
#include "cluster/leader.h"
#include "cluster/leader_seats.h"
#include "sim/checker.h"
#include "sim/push_log.h"
#include "sim/range_lines.h"

namespace weft::sim {
namespace {

using cluster::Address;
using cluster::DeviceId;
using cluster::Range;

class Survival : public Checker {
 public:
  explicit Survival(const cluster::JobSpec& spec)
      : hub_(spec.leader), lines_(spec.parameter_count()) {
    lines_.VisitAll([&](Line& line) { line.leader = hub_; });
  }
  std::string_view name() const override { return "survival"; }

  void OnHubStarted(TimePoint now, uint64_t term, int64_t first_step) override {
    if (first_step < saved_) {
      Violate(now, fmt::format("the hub starts at step {}; want {}, which was saved, or later",
                               first_step, saved_));
    }
    term_ = term;
    confirmed_.clear();
    layout_ = 1;
    change_ = {};
    lines_.VisitAll([&](Line& line) { line = {.leader = hub_}; });
  }

  void OnEvent(TimePoint now, const cluster::Event& event) override {
    if (const auto* saved = std::get_if<cluster::CheckpointSaved>(&event)) {
      saved_ = std::max(saved_, saved->step);
    } else if (const auto* changed = std::get_if<cluster::LeadersChanged>(&event)) {
      TakeLayout(now, *changed);
    }
  }

  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    const Address from = envelope.from;
    if (const auto* push = std::get_if<cluster::Push>(&envelope.message)) {
      pushes_.Add(*push);
    } else if (const auto* ack = std::get_if<cluster::PushAck>(&envelope.message)) {
      if (ack->applied && ack->term == term_) Acknowledged(now, envelope, *ack);
    } else if (const auto* record = std::get_if<cluster::Committed>(&envelope.message)) {
      if (record->problem.empty() && record->term == term_) Committed(now, from, *record);
    } else if (const auto* copy = std::get_if<cluster::Replicate>(&envelope.message)) {
      if (copy->term == term_) Copied(*copy);
    } else if (const auto* word = std::get_if<cluster::Replicated>(&envelope.message)) {
      if (word->term == term_) Confirm(from.device, word->range, word->version);
    } else if (const auto* reshape = std::get_if<cluster::Reshape>(&envelope.message)) {
      if (reshape->term == term_) change_ = *reshape;
    } else if (const auto* state = std::get_if<cluster::RangeState>(&envelope.message)) {
      if (state->term == term_) TakeStandby(envelope, *state);
    } else if (const auto* seated = std::get_if<cluster::Seated>(&envelope.message)) {
      if (seated->term == term_ && seated->problem.empty()) {
        Confirm(from.device, seated->range, seated->version);
      }
    }
  }

  void OnHubRest(TimePoint now, const cluster::Coordinator&,
                 const cluster::Leader& leader) override {
    Look(now, leader);
  }
  void OnLeaderRest(TimePoint now, int, const cluster::Leader& leader) override {
    if (leader.term() == term_) Look(now, leader);
  }

 private:
  // An update in a version that its standby has not confirmed.
  struct Waiting {
    DeviceId device = 0;
    uint64_t sequence = 0;
    int64_t version = 0;
  };
  // A stretch of the vector, as the coordinator's layout has it.
  struct Line {
    Address leader;
    DeviceId standby = 0;
    int64_t seen = -1;          // version of this leader
    int64_t acknowledged = -1;  // version with all that was acknowledged or committed
    std::vector<Waiting> waiting;
  };

  // A leader that has none waits for its standby to be from when it sends it the state.
  void TakeStandby(const cluster::Envelope& envelope, const cluster::RangeState& state) {
    if (state.layout <= layout_ || state.layout != change_.to.number) return;
    if (!cluster::GetsStandby(change_, envelope.from, state.range)) return;
    const DeviceId standby = envelope.to.device;
    Confirm(standby, state.range, state.version);
    lines_.VisitRange(state.range, [&](Line& line) {
      if (line.leader == envelope.from) line.standby = standby;
    });
  }

  void TakeLayout(TimePoint now, const cluster::LeadersChanged& changed) {
    layout_ = changed.layout;
    for (const cluster::Layout::Part& part : changed.parts) {
      if (part.leader != hub_ && part.standby == 0 && changed.reason.starts_with("a new plan")) {
        Violate(now, fmt::format("a new plan leaves {} with {} alone; want a standby for it",
                                 cluster::Describe(part.range), cluster::Describe(part.leader)));
      }
      lines_.VisitRange(part.range, [&](Line& line) {
        if (line.leader != part.leader) line.seen = -1;
        line.leader = part.leader;
        line.standby = part.standby;
        line.waiting.clear();
      });
    }
  }

  // A copy that it has confirmed may be sent again.
  void Copied(const cluster::Replicate& copy) {
    lines_.VisitRange(copy.range, [&](Line& line) {
      const auto has = confirmed_.find({line.standby, copy.range});
      if (line.standby == 0) return;
      if (has != confirmed_.end() && has->second >= copy.record.version) return;
      for (const cluster::Applied& update : copy.applied) {
        line.waiting.push_back({update.device, update.sequence, copy.record.version});
      }
    });
  }

  // A device's own word of what it has.
  void Confirm(DeviceId device, const Range& range, int64_t version) {
    int64_t& has = confirmed_.try_emplace({device, range}, -1).first->second;
    has = std::max(has, version);
    lines_.VisitRange(range, [&](Line& line) {
      if (line.standby != device) return;
      std::erase_if(line.waiting, [&](const Waiting& each) { return each.version <= version; });
    });
  }

  void Acknowledged(TimePoint now, const cluster::Envelope& envelope, const cluster::PushAck& ack) {
    const DeviceId device = envelope.to.device;
    const PushLog::Entry* entry = pushes_.Find(device, ack.sequence);
    if (entry == nullptr) return;
    if (ack.version <= entry->version) {
      Violate(now, fmt::format("number {} of device {}, computed with version {}, is acknowledged "
                               "as applied in version {}; want a later one",
                               ack.sequence, device, entry->version, ack.version));
    }
    bool early = false;
    lines_.VisitRange(entry->range, [&](Line& line) {
      // Acknowledged again it names the version that its sender has, of which a standby may not
      // know yet, nor the leaders of other ranges.
      const int64_t least = entry->version + 1;
      const bool named = line.standby == 0 && line.leader == envelope.from;
      const int64_t safe = named ? std::max(least, ack.version) : least;
      line.acknowledged = std::max(line.acknowledged, safe);
      early |= std::ranges::any_of(line.waiting, [&](const Waiting& each) {
        return each.device == device && each.sequence == ack.sequence;
      });
    });
    if (!early) return;
    Violate(now, fmt::format("number {} of device {} is acknowledged as applied before the standby "
                             "has it; want it there first",
                             ack.sequence, device));
  }

  void Committed(TimePoint now, Address from, const cluster::Committed& record) {
    DeviceId behind = 0;
    lines_.VisitRange(record.range, [&](Line& line) {
      line.acknowledged = std::max(line.acknowledged, record.version);
      if (line.standby == 0 || line.leader != from) return;
      const auto has = confirmed_.find({line.standby, record.range});
      if (has == confirmed_.end() || has->second < record.version) behind = line.standby;
    });
    if (behind == 0) return;
    Violate(now, fmt::format("version {} of {} is committed before its standby, device {}, has it; "
                             "want it there first",
                             record.version, cluster::Describe(record.range), behind));
  }

  // Whoever leads has all that was acknowledged.
  void Look(TimePoint now, const cluster::Leader& leader) {
    leader.ForEachShard([&](const cluster::Shard& shard) {
      if (!shard.leads()) return;
      int64_t before = -1;
      int64_t acknowledged = -1;
      lines_.VisitRange(shard.range(), [&](Line& line) {
        if (line.leader != leader.address()) return;
        before = std::max(before, std::exchange(line.seen, shard.version()));
        if (shard.version() >= line.acknowledged) return;
        acknowledged = std::max(acknowledged, std::exchange(line.acknowledged, -1));
      });
      Compare(now, shard, before, acknowledged);
    });
  }

  void Compare(TimePoint now, const cluster::Shard& shard, int64_t before, int64_t acknowledged) {
    if (shard.version() < before) {
      Violate(now, fmt::format("the version of {} falls from {} to {}; want it to rise only",
                               cluster::Describe(shard.range()), before, shard.version()));
    }
    if (acknowledged < 0) return;
    Violate(now, fmt::format("an update in version {} of {} was acknowledged as applied, but the "
                             "parameters are of version {}; want {} or more",
                             acknowledged, cluster::Describe(shard.range()), shard.version(),
                             acknowledged));
  }

  const Address hub_;
  PushLog pushes_;
  uint64_t term_ = 0;
  int64_t saved_ = 0;
  uint64_t layout_ = 1;      // number of the one that holds
  cluster::Reshape change_;  // the newest
  RangeLines<Line> lines_;
  std::map<std::pair<DeviceId, Range>, int64_t> confirmed_;  // versions
};

}  // namespace

std::unique_ptr<Checker> MakeSurvivalChecker(const cluster::JobSpec& spec) {
  return std::make_unique<Survival>(spec);
}

}  // namespace weft::sim
