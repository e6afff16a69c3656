#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "sim/checker.h"
#include "sim/push_log.h"
#include "sim/range_lines.h"

namespace weft::sim {
namespace {

constexpr size_t kStepsKept = 16;                    // as long as the log remembers a push
constexpr uint64_t kIdsPerStep = uint64_t{1} << 20;  // see Lease::id

class AtMostOnce : public Checker {
 public:
  explicit AtMostOnce(const cluster::JobSpec& spec)
      : most_at_once_(std::max<int64_t>(spec.aggregation.most_local_steps, 1)),
        lines_(spec.parameter_count()) {}
  std::string_view name() const override { return "at-most-once"; }

  void OnHubStarted(TimePoint, uint64_t term, int64_t first_step) override {
    term_ = term;
    lines_.VisitAll([&](Line& line) {
      line.version = -1;
      line.next_step = first_step;
      line.records.clear();
      line.fates.erase(line.fates.lower_bound(first_step), line.fates.end());
    });
  }

  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    if (const auto* push = std::get_if<cluster::Push>(&envelope.message)) {
      Sent(now, *push);
    } else if (const auto* ack = std::get_if<cluster::PushAck>(&envelope.message)) {
      Acknowledged(now, envelope.to.device, *ack);
    } else if (const auto* record = std::get_if<cluster::Committed>(&envelope.message)) {
      if (record->problem.empty() && record->term == term_) Committed(now, *record);
    } else if (std::holds_alternative<cluster::BeginStream>(envelope.message)) {
      streams_ = true;
    } else if (std::holds_alternative<cluster::BeginStep>(envelope.message)) {
      streams_ = false;
    }
  }

 private:
  // Of a lease in one stretch of the vector.
  struct Fate {
    cluster::DeviceId recorded = 0;  // whose update the record names
    cluster::DeviceId acked = 0;     // whose was acknowledged as applied,
    uint64_t sequence = 0;           // under this number
  };
  struct Record {
    int64_t version = 0;
    int64_t step = 0;
    std::vector<uint64_t> leases;
    std::vector<cluster::DeviceId> devices;
    bool operator==(const Record&) const = default;
  };
  struct Line {
    int64_t version = -1;    // of the newest record under this term
    int64_t next_step = -1;  // in runs of steps; -1: any
    std::deque<Record> records;
    std::map<int64_t, std::vector<Fate>> fates;  // by the lease's step and slot

    // Null if its step is long over.
    Fate* FateOf(uint64_t lease) {
      const auto step = static_cast<int64_t>((lease - 1) / kIdsPerStep);
      const auto slot = static_cast<size_t>((lease - 1) % kIdsPerStep);
      if (fates.size() >= kStepsKept && step < fates.begin()->first) return nullptr;
      std::vector<Fate>& of_step = fates[step];
      if (fates.size() > kStepsKept) fates.erase(fates.begin());
      if (slot >= of_step.size()) of_step.resize(slot + 1);
      return &of_step[slot];
    }
  };

  void Sent(TimePoint now, const cluster::Push& push) {
    const PushLog::Entry* entry = pushes_.Add(push);
    if (entry == nullptr) return;
    const bool same = entry->lease == push.lease.id && entry->incarnation == push.incarnation &&
                      entry->range == push.range;
    if (same) return;
    Violate(now, fmt::format("device {} sends number {} for lease {} of incarnation {:x}; want the "
                             "{} of {:x} that it was first sent for, and of one range",
                             push.device, push.sequence, push.lease.id, push.incarnation,
                             entry->lease, entry->incarnation));
  }

  void Acknowledged(TimePoint now, cluster::DeviceId device, const cluster::PushAck& ack) {
    PushLog::Entry* entry = pushes_.Find(device, ack.sequence);
    if (entry == nullptr) return;
    if (entry->fate_term == ack.term && entry->applied != ack.applied) {
      Violate(now, fmt::format("number {} of device {} (lease {}) is acknowledged both as applied "
                               "and as refused; want one of them",
                               ack.sequence, device, entry->lease));
    }
    entry->fate_term = ack.term;
    entry->applied = ack.applied;
    if (!ack.applied || ack.term != term_) return;
    bool said = false;  // once is enough
    lines_.VisitRange(entry->range, [&](Line& line) {
      said = said || !IsTheOne(now, device, ack.sequence, entry->lease, &line);
    });
  }

  // False if another update of the lease is applied there.
  bool IsTheOne(TimePoint now, cluster::DeviceId device, uint64_t sequence, uint64_t lease,
                Line* line) {
    Fate* fate = line->FateOf(lease);
    if (fate == nullptr) return true;
    if (fate->recorded != 0 && fate->recorded != device) {
      SayTaken(now, device, sequence, lease, fate->recorded);
      return false;
    }
    if (fate->acked == device && fate->sequence != sequence) {
      Violate(now, fmt::format("lease {} is acknowledged as applied for the numbers {} and {}; "
                               "want one update",
                               lease, fate->sequence, sequence));
      return false;
    }
    if (fate->acked != 0 && fate->acked != device) {
      SayTaken(now, device, sequence, lease, fate->acked);
      return false;
    }
    fate->acked = device;
    fate->sequence = sequence;
    return true;
  }

  void SayTaken(TimePoint now, cluster::DeviceId device, uint64_t sequence, uint64_t lease,
                cluster::DeviceId from) {
    Violate(now, fmt::format("number {} of device {} is acknowledged as applied for lease {}, "
                             "which step {} took from device {}; want one device a lease",
                             sequence, device, lease, (lease - 1) / kIdsPerStep, from));
  }

  void Committed(TimePoint now, const cluster::Committed& committed) {
    Record record{committed.version, committed.step, {}, committed.devices};
    for (const cluster::Lease& lease : committed.leases) record.leases.push_back(lease.id);
    bool said = false;
    lines_.VisitRange(committed.range,
                      [&](Line& line) { said = said || !Enter(now, record, &line); });
  }

  // A record may be told again, by a leader or by the standby that took over from it, but it is
  // then the same.
  bool Enter(TimePoint now, const Record& record, Line* line) {
    if (record.version <= line->version) return IsToldAgain(now, record, *line);
    line->version = record.version;
    // One that covers several steps goes by the number of the last.
    const bool in_order =
        streams_ || line->next_step < 0 ||
        (record.step >= line->next_step && record.step < line->next_step + most_at_once_);
    if (!in_order) {
      Violate(now, fmt::format("step {} is committed; want step {}, each of them once", record.step,
                               line->next_step));
    }
    line->next_step = streams_ ? -1 : record.step + 1;
    line->records.push_back(record);
    if (line->records.size() > kStepsKept) line->records.pop_front();
    bool sound = in_order;
    for (size_t i = 0; i < record.leases.size() && i < record.devices.size(); ++i) {
      sound = Enter(now, record.step, record.leases[i], record.devices[i], line) && sound;
    }
    return sound;
  }

  bool Enter(TimePoint now, int64_t step, uint64_t lease, cluster::DeviceId device, Line* line) {
    Fate* fate = line->FateOf(lease);
    if (fate == nullptr) return true;
    if (fate->recorded != 0) {
      Violate(now, fmt::format("step {} is committed with lease {} twice, or after it was; want "
                               "each lease once in each range",
                               step, lease));
      return false;
    }
    fate->recorded = device;
    if (fate->acked == 0 || fate->acked == device) return true;
    SayTaken(now, fate->acked, fate->sequence, lease, device);
    return false;
  }

  bool IsToldAgain(TimePoint now, const Record& record, const Line& line) {
    const auto known = std::ranges::find(line.records, record.version, &Record::version);
    if (known == line.records.end() || *known == record) return true;
    Violate(now, fmt::format("version {} is told as step {} with {} leases, and was before as step "
                             "{} with {}; want the same ones of the same devices",
                             record.version, record.step, record.leases.size(), known->step,
                             known->leases.size()));
    return false;
  }

  PushLog pushes_;
  uint64_t term_ = 0;
  bool streams_ = false;        // there are no steps
  const int64_t most_at_once_;  // steps that one covers
  RangeLines<Line> lines_;
};

}  // namespace

std::unique_ptr<Checker> MakeAtMostOnceChecker(const cluster::JobSpec& spec) {
  return std::make_unique<AtMostOnce>(spec);
}

}  // namespace weft::sim
