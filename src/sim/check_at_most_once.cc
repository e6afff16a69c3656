#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "sim/checker.h"
#include "sim/push_log.h"

namespace weft::sim {
namespace {

class AtMostOnce : public Checker {
 public:
  std::string_view name() const override { return "at-most-once"; }

  void OnHubStarted(TimePoint, uint64_t, int64_t first_step) override {
    next_step_ = first_step;
    unconfirmed_.clear();
    while (!records_.empty() && records_.back().step >= first_step) records_.pop_back();
  }

  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    if (const auto* push = std::get_if<cluster::Push>(&envelope.message)) {
      Sent(now, *push);
    } else if (const auto* ack = std::get_if<cluster::PushAck>(&envelope.message)) {
      Acknowledged(now, envelope.to.device, *ack);
    } else if (const auto* record = std::get_if<cluster::Committed>(&envelope.message)) {
      if (record->problem.empty()) Committed(now, *record);
    }
  }

 private:
  static constexpr size_t kRecordsKept = 16;  // as long as the log remembers a push

  struct Ack {
    cluster::DeviceId device = 0;
    uint64_t sequence = 0;
    int64_t step = 0;
    uint64_t lease = 0;
  };
  struct Record {
    int64_t step = 0;
    std::vector<cluster::DeviceId> devices;  // by slot
  };

  void Sent(TimePoint now, const cluster::Push& push) {
    const PushLog::Entry* entry = pushes_.Add(push);
    if (entry == nullptr) return;
    if (entry->lease == push.lease.id && entry->incarnation == push.incarnation) return;
    Violate(now, fmt::format("device {} sends number {} for lease {} of incarnation {:x}; want the "
                             "{} of {:x} that it was first sent for",
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
    if (!ack.applied) return;
    const Ack found{device, ack.sequence, entry->step, entry->lease};
    if (entry->step >= next_step_) {
      unconfirmed_.push_back(found);
    } else {
      Compare(now, found);
    }
  }

  void Committed(TimePoint now, const cluster::Committed& record) {
    if (record.step != next_step_) {
      Violate(now, fmt::format("step {} is committed; want step {}, each of them once", record.step,
                               next_step_));
    }
    next_step_ = record.step + 1;
    Keep(now, record);
    std::ranges::sort(unconfirmed_, {}, &Ack::lease);
    for (size_t i = 0; i < unconfirmed_.size(); ++i) {
      Compare(now, unconfirmed_[i]);
      if (i == 0 || unconfirmed_[i].lease != unconfirmed_[i - 1].lease) continue;
      if (unconfirmed_[i].sequence == unconfirmed_[i - 1].sequence) continue;
      Violate(now, fmt::format("lease {} is acknowledged as applied for the numbers {} and {}; "
                               "want one update",
                               unconfirmed_[i].lease, unconfirmed_[i - 1].sequence,
                               unconfirmed_[i].sequence));
    }
    unconfirmed_.clear();
  }

  void Keep(TimePoint now, const cluster::Committed& committed) {
    Record record{committed.step, {}};
    record.devices.resize(committed.leases.size());
    for (size_t i = 0; i < committed.leases.size(); ++i) {
      const auto slot = static_cast<size_t>(committed.leases[i].slot);
      const bool fits = slot < record.devices.size() && record.devices[slot] == 0 &&
                        committed.leases[i].step == committed.step;
      if (!fits) {
        Violate(now, fmt::format("step {} is committed with lease {} twice or of another step; "
                                 "want each of its leases once",
                                 committed.step, committed.leases[i].id));
      } else if (i < committed.devices.size()) {
        record.devices[slot] = committed.devices[i];
      }
    }
    records_.push_back(std::move(record));
    if (records_.size() > kRecordsKept) records_.pop_front();
  }

  // Was this device's update the one that its step's record names?
  void Compare(TimePoint now, const Ack& ack) {
    const auto record = std::ranges::find(records_, ack.step, &Record::step);
    if (record == records_.end()) return;                         // long over
    const uint64_t slot = (ack.lease - 1) % (uint64_t{1} << 20);  // see Lease::id
    const bool named = slot < record->devices.size() && record->devices[slot] == ack.device;
    if (named) return;
    Violate(now,
            fmt::format("number {} of device {} is acknowledged as applied for lease {}, which "
                        "step {} took from device {}; want one device a lease",
                        ack.sequence, ack.device, ack.lease, ack.step,
                        slot < record->devices.size() ? record->devices[slot] : 0));
  }

  PushLog pushes_;
  int64_t next_step_ = 0;
  std::vector<Ack> unconfirmed_;  // of steps whose record has not been sent
  std::deque<Record> records_;    // the newest steps of the line of history
};

}  // namespace

std::unique_ptr<Checker> MakeAtMostOnceChecker(const cluster::JobSpec&) {
  return std::make_unique<AtMostOnce>();
}

}  // namespace weft::sim
