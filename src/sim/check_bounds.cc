#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "cluster/back_off.h"
#include "cluster/describe.h"
#include "cluster/leader.h"
#include "cluster/worker.h"
#include "sim/checker.h"
#include "sim/push_log.h"

namespace weft::sim {
namespace {

// What a leader may keep beside what a step brings: what it allows itself (Leader::kMaxKept),
// twice.
constexpr size_t kKeptAlways = 2048;
// And of each lease of a step: one update that came early and one that was beaten, and as many for
// devices that came and went meanwhile.
constexpr size_t kKeptPerLease = 4;
// Leases of this step and of the next, each computed again after a reconnect, in each range.
constexpr size_t kUnacknowledgedPerLease = 4;
constexpr size_t kFewLeases = 4;  // then as if there were so many
// Leases that a device has at a time where there are no steps, beside those that wait for others.
constexpr size_t kLeasesInStream = 2;
// Versions that a standby may not have confirmed yet; each holds a gradient.
constexpr int64_t kMostReplicas = 8;
// A lease may be dealt again because its holder is late; a rule of the dealer, bounded here.
constexpr int64_t kExpiries = 8;
// Two clocks of the simulation round to nanoseconds.
constexpr Duration kRounding = std::chrono::microseconds(1);

class Bounds : public Checker {
 public:
  explicit Bounds(const cluster::JobSpec& spec)
      : buffer_(static_cast<size_t>(std::max(spec.aggregation.buffer, spec.slots))) {}
  std::string_view name() const override { return "bounds"; }

  void OnHubStarted(TimePoint, uint64_t, int64_t) override {
    losses_ = 0;
    step_ = -1;
    redeals_.clear();
    confirmed_.clear();
  }

  void OnDeviceUp(TimePoint, int device, uint64_t) override { DeviceAt(device) = {}; }

  void OnDial(TimePoint now, int device) override {
    Dials& dials = DeviceAt(device);
    if (dials.last) CheckDial(now, device, dials);
    dials.last = now;
    ++dials.since_welcome;
  }

  void OnDeviceRest(TimePoint now, int device, const cluster::Worker& worker) override {
    if (worker.joined()) DeviceAt(device).since_welcome = 0;
    const size_t leases = most_leases_ == 0 ? 0 : std::max(most_leases_, kFewLeases);
    const size_t most = kUnacknowledgedPerLease * leases * most_ranges_;
    if (worker.unacknowledged() <= std::max<size_t>(most, 1)) return;
    Violate(now,
            fmt::format("device {} holds {} updates that are not acknowledged; want at most {}",
                        device, worker.unacknowledged(), most));
  }

  void OnHubRest(TimePoint now, const cluster::Coordinator&,
                 const cluster::Leader& leader) override {
    CheckQueues(now, leader);
  }
  void OnLeaderRest(TimePoint now, int, const cluster::Leader& leader) override {
    CheckQueues(now, leader);
  }
  void OnPeerLost(TimePoint, cluster::DeviceId device, cluster::DeviceId) override {
    ++CallsOf(device);
  }

  void OnSent(TimePoint now, const cluster::Envelope& envelope) override {
    if (const auto* begin = std::get_if<cluster::BeginStep>(&envelope.message)) {
      most_leases_ = std::max(most_leases_, begin->leases.size());
      if (!begin->leases.empty() && begin->step != step_) Open(*begin);
    } else if (const auto* push = std::get_if<cluster::Push>(&envelope.message)) {
      if (push->gradient != nullptr) CheckPush(now, *push);
    } else if (std::holds_alternative<cluster::BeginStream>(envelope.message)) {
      most_leases_ = std::max(most_leases_, kLeasesInStream + buffer_);
    } else if (const auto* copy = std::get_if<cluster::Replicate>(&envelope.message)) {
      CheckReplica(now, envelope, *copy);
    } else if (const auto* state = std::get_if<cluster::RangeState>(&envelope.message)) {
      NoteState(envelope, *state);
    }
  }

  void OnDelivered(TimePoint, const cluster::Envelope& envelope) override {
    if (envelope.to.role == cluster::Role::kRelay) relays_.insert(envelope.to.device);
    const auto* word = std::get_if<cluster::Replicated>(&envelope.message);
    if (word != nullptr) {
      // What an earlier standby says does not count.
      const auto it = confirmed_.find({envelope.to, word->range});
      if (it != confirmed_.end() && it->second.standby == envelope.from) {
        it->second.version = std::max(it->second.version, word->version);
      }
    } else if (std::holds_alternative<cluster::Relayout>(envelope.message) &&
               envelope.to.role == cluster::Role::kWorker) {
      ++CallsOf(envelope.to.device);
    }
    if (std::holds_alternative<cluster::PushAgain>(envelope.message) ||
        (std::holds_alternative<cluster::UseRelay>(envelope.message) &&
         envelope.to.role == cluster::Role::kWorker)) {
      ++CallsOf(envelope.to.device);
    }
    const auto* grant = std::get_if<cluster::Grant>(&envelope.message);
    if (grant != nullptr && grant->again) ++CallsOf(envelope.to.device);
    if (const auto* welcome = std::get_if<cluster::Welcome>(&envelope.message)) {
      ++CallsOf(welcome->device);
      welcomed_ = std::max<size_t>(welcomed_, welcome->device);
    } else if (std::holds_alternative<cluster::ReturnLease>(envelope.message) ||
               std::holds_alternative<cluster::Hello>(envelope.message)) {
      ++losses_;  // a device that greets again is dealt its leases anew
    }
  }

  void OnEvent(TimePoint now, const cluster::Event& event) override {
    if (std::holds_alternative<cluster::DeviceLeft>(event) ||
        std::holds_alternative<cluster::DeviceSilent>(event)) {
      ++losses_;
    }
    if (const auto* dealt = std::get_if<cluster::LeaseRedealt>(&event)) CheckRedeal(now, *dealt);
    const auto* changed = std::get_if<cluster::LeadersChanged>(&event);
    if (changed == nullptr) return;
    most_ranges_ = std::max(most_ranges_, changed->parts.size());
    confirmed_.clear();
  }

 private:
  struct Dials {
    std::optional<TimePoint> last;
    int64_t since_welcome = 0;
  };

  // The n-th wait since it was last welcome is at least half of BackOff's n-th.
  void CheckDial(TimePoint now, int device, const Dials& dials) {
    using cluster::BackOff;
    const auto before = static_cast<double>(std::max<int64_t>(dials.since_welcome - 1, 0));
    const double seconds =
        0.5 * std::min(BackOff::kFirstSeconds * std::pow(BackOff::kGrowth, before),
                       BackOff::kLastSeconds);
    const Duration least = Duration(static_cast<int64_t>(seconds * 1e9)) - kRounding;
    if (now - *dials.last >= least) return;
    Violate(now, fmt::format("device {} dials {:.3f} s after it last did, {} times since it was "
                             "welcome; want {:.3f} s or more",
                             device, base::Seconds(now - *dials.last), dials.since_welcome,
                             base::Seconds(least)));
  }

  void CheckPush(TimePoint now, const cluster::Push& push) {
    PushLog::Entry* entry = pushes_.Add(push);
    if (entry == nullptr) return;
    const int64_t calls = CallsOf(push.device);
    if (entry->sent++ == 0) entry->calls = calls;
    if (entry->sent <= 1 + calls - entry->calls) return;
    Violate(now,
            fmt::format("device {} has sent number {} {} times with {} calls for it since; want "
                        "it sent again only after a welcome or when its lease is granted again",
                        push.device, push.sequence, entry->sent, calls - entry->calls));
  }

  void CheckQueues(TimePoint now, const cluster::Leader& leader) {
    size_t ranges = 0;
    leader.ForEachShard([&](const cluster::Shard&) { ++ranges; });
    const size_t most_kept = (kKeptAlways + kKeptPerLease * most_leases_) * ranges;
    if (leader.kept() > most_kept) {
      Violate(now, fmt::format("the leader keeps {} updates; want at most {}", leader.kept(),
                               most_kept));
    }
    // Those of an earlier layout may come to who leads nothing of it any more.
    const size_t askers = welcomed_ + relays_.size();
    const size_t most_pulls = askers * (2 * most_ranges_ - 1);
    if (leader.waiting_pulls() > most_pulls) {
      Violate(now,
              fmt::format("{} pulls wait at the leader; want at most one a device and relay, {}",
                          leader.waiting_pulls(), most_pulls));
    }
  }

  void CheckReplica(TimePoint now, const cluster::Envelope& envelope,
                    const cluster::Replicate& copy) {
    const cluster::Address from = envelope.from;
    const int64_t version = copy.record.version;
    // Of the first one of a layout: its standby was seated with the version before.
    const int64_t confirmed =
        confirmed_.try_emplace({from, copy.range}, envelope.to, version - 1).first->second.version;
    if (version - confirmed <= kMostReplicas) return;
    Violate(now, fmt::format("{} sends version {} of {} to its standby, which has confirmed {}; "
                             "want at most {} on their way",
                             cluster::Describe(from), version, cluster::Describe(copy.range),
                             confirmed, kMostReplicas));
  }

  // The same standby may be seated once more, for a later layout: it then has what it is sent.
  void NoteState(const cluster::Envelope& envelope, const cluster::RangeState& state) {
    const auto it = confirmed_.find({envelope.from, state.range});
    if (it == confirmed_.end() || state.layout <= it->second.seated_for) return;
    it->second = {envelope.to, state.version, state.layout};
  }

  void Open(const cluster::BeginStep& begin) {
    step_ = begin.step;
    losses_ = 0;
    redeals_.clear();
  }

  void CheckRedeal(TimePoint now, const cluster::LeaseRedealt& dealt) {
    const int64_t times = ++redeals_[dealt.lease.id];
    if (times <= losses_ + kExpiries) return;
    Violate(now,
            fmt::format("lease {} is dealt again for the {}. time after {} losses and returns; "
                        "want at most {} more",
                        dealt.lease.id, times, losses_, kExpiries));
  }

  Dials& DeviceAt(int device) {
    const auto at = static_cast<size_t>(device);
    if (at >= devices_.size()) devices_.resize(at + 1);
    return devices_[at];
  }
  // Welcomes, and grants of what it was granted before: by either it is to push again.
  int64_t& CallsOf(cluster::DeviceId device) {
    if (device >= calls_.size()) calls_.resize(device + 1);
    return calls_[device];
  }

  const size_t buffer_;                 // updates that may wait for others, at most
  std::vector<Dials> devices_;          // by number
  std::vector<int64_t> calls_;          // by id
  size_t welcomed_ = 0;                 // highest id
  std::set<cluster::DeviceId> relays_;  // that were spoken to
  size_t most_leases_ = 0;              // of a step
  size_t most_ranges_ = 1;              // of a layout
  int64_t step_ = -1;
  int64_t losses_ = 0;                   // since the step began, or the run if it has none
  std::map<uint64_t, int64_t> redeals_;  // likewise, by lease
  struct Confirmed {
    cluster::Address standby;
    int64_t version = 0;
    uint64_t seated_for = 0;  // layout
  };
  // By leader and range, since the layout changed last.
  std::map<std::pair<cluster::Address, cluster::Range>, Confirmed> confirmed_;
  PushLog pushes_;
};

}  // namespace

std::unique_ptr<Checker> MakeBoundsChecker(const cluster::JobSpec& spec) {
  return std::make_unique<Bounds>(spec);
}

}  // namespace weft::sim
