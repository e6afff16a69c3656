#include "plan/leaders.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "plan/shares.h"

namespace weft::plan {
namespace {

constexpr double kFewer = 0.02;  // of the time; fewer leaders are worth that

// What a device does for others, in values of the vector.
struct Duty {
  double led = 0;
  double copied_out = 0;  // to standbys
  double copied_in = 0;   // as a standby
};
using Duties = std::unordered_map<uint32_t, Duty>;

Duties DutiesOf(std::span<const LedRange> ranges) {
  Duties duties;
  for (const LedRange& range : ranges) {
    const auto count = static_cast<double>(range.count);
    duties[range.leader].led += count;
    if (range.standby == 0) continue;
    duties[range.leader].copied_out += count;
    duties[range.standby].copied_in += count;
  }
  return duties;
}

double Seconds(double bytes, double bytes_per_s) {
  return bytes_per_s > 0 ? bytes / bytes_per_s : 0;
}

// Seconds that a step keeps a link busy, in each direction, and the leader's processor.
struct Traffic {
  double updates_in_s = 0;
  double updates_out_s = 0;
  double parameters_in_s = 0;  // and copies, which also follow the updates
  double parameters_out_s = 0;
  double leading_s = 0;
};

// Of a leader that `others` send updates to; `values` are what it works with but does not lead.
Traffic TrafficOf(const LeaderInput& input, const Link& link, const Duty& duty, int64_t others,
                  double values) {
  const double update = input.update_value_bytes;
  const double parameter = input.parameter_value_bytes;
  const double copy = input.replica_value_bytes;
  const double sent = duty.led * static_cast<double>(others);
  return {Seconds(sent * update, link.down_bytes_per_s),
          Seconds(values * update, link.up_bytes_per_s),
          Seconds(values * parameter + duty.copied_in * copy, link.down_bytes_per_s),
          Seconds(sent * parameter + duty.copied_out * copy, link.up_bytes_per_s),
          sent / static_cast<double>(input.values) * input.leading_s};
}

Traffic HubTraffic(const LeaderInput& input, const Duty& duty) {
  return TrafficOf(input, input.hub, duty, input.updates, 0);
}

Traffic DeviceTraffic(const LeaderInput& input, const Link& link, const Duty& duty) {
  return TrafficOf(input, link, duty, std::max<int64_t>(input.updates - 1, 0),
                   static_cast<double>(input.values) - duty.led);
}

// The busiest links of a step.
struct Busiest {
  double updates_s = 0;
  double parameters_s = 0;
  double one_way_s = 0;  // both, in one direction of a link
  double leading_s = 0;

  void Add(const Traffic& traffic) {
    updates_s = std::max({updates_s, traffic.updates_in_s, traffic.updates_out_s});
    parameters_s = std::max({parameters_s, traffic.parameters_in_s, traffic.parameters_out_s});
    one_way_s = std::max({one_way_s, traffic.updates_in_s + traffic.parameters_in_s,
                          traffic.updates_out_s + traffic.parameters_out_s});
    leading_s = std::max(leading_s, traffic.leading_s);
  }
};

// A leader to be, and how long leading all of the vector would keep its link and processor busy.
struct Candidate {
  uint32_t device;
  double in_s;
  double out_s;
  double leading_s;
  double all_s() const { return in_s + out_s + leading_s; }
};

Candidate MakeCandidate(uint32_t device, const Traffic& traffic) {
  return {device, traffic.updates_in_s, traffic.parameters_out_s, traffic.leading_s};
}

// How a step's time is divided between updates and parameters when ranges are sized: a leader takes
// what its link carries of either in its part of the time. 0: not divided.
constexpr double kDivisions[] = {0, 0.25, 0.4, 0.5, 0.6, 0.75};

double Bandwidth(const Candidate& leader, double division) {
  const double in_s = std::max(leader.in_s, 1e-12);
  const double out_s = std::max(leader.out_s, 1e-12);
  if (division == 0) return 1 / (in_s + out_s + leader.leading_s);
  return std::min(division / in_s, (1 - division) / out_s);
}

bool Measured(const Link& link) { return link.up_bytes_per_s > 0 && link.down_bytes_per_s > 0; }

// A device leads only where another one can stand by.
bool HasStandbys(const LeaderInput& input) {
  return input.replica_value_bytes <= 0 ||
         std::ranges::count(input.devices, true, &LinkedDevice::can_lead) > 1;
}

// Those with the most bandwidth, in order; of equals the hub, then the lower id.
std::vector<Candidate> Candidates(const LeaderInput& input, int64_t most) {
  const Duty all{.led = static_cast<double>(input.values)};
  std::vector<Candidate> candidates;
  if (Measured(input.hub)) candidates.push_back(MakeCandidate(kHub, HubTraffic(input, all)));
  const bool standbys = HasStandbys(input);
  for (const LinkedDevice& device : input.devices)
    if (standbys && device.can_lead && Measured(device.link))
      candidates.push_back(MakeCandidate(device.device, DeviceTraffic(input, device.link, all)));
  std::ranges::stable_sort(candidates, {}, &Candidate::all_s);
  candidates.resize(std::min(candidates.size(), static_cast<size_t>(most)));
  return candidates;
}

// Ranges in proportion to bandwidth; none if one would be too small.
std::vector<LedRange> RangesOf(std::span<const Candidate> leaders, double division, int64_t values,
                               const LeaderOptions& options) {
  std::vector<double> weights;
  for (const Candidate& leader : leaders) weights.push_back(Bandwidth(leader, division));
  const int64_t blocks = (values + options.alignment - 1) / options.alignment;
  const std::vector<int64_t> shares = ProportionalShares(blocks, weights);
  std::vector<LedRange> ranges;
  int64_t begin = 0;
  for (size_t i = 0; i < leaders.size(); ++i) {
    const int64_t end = std::min(values, begin + shares[i] * options.alignment);
    if (leaders.size() > 1 && end - begin < options.fewest_values) return {};
    ranges.push_back({begin, end - begin, leaders[i].device});
    begin = end;
  }
  return ranges;
}

std::vector<LedRange> Flat(const LeaderInput& input) { return {{0, input.values, kHub, 0}}; }

// The devices that standbys are chosen from: those that lead, in the order of their ranges; where
// one leads alone, the others that could follow it.
std::vector<const LinkedDevice*> StandbyRing(const LeaderInput& input,
                                             std::span<const LedRange> ranges) {
  std::vector<const LinkedDevice*> ring;
  const auto join = [&](const LinkedDevice& device) {
    if (device.can_lead && std::ranges::find(ring, &device) == ring.end()) ring.push_back(&device);
  };
  for (const LedRange& range : ranges) {
    const auto it =
        std::ranges::lower_bound(input.devices, range.leader, {}, &LinkedDevice::device);
    if (it != input.devices.end() && it->device == range.leader) join(*it);
  }
  if (ring.size() > 1) return ring;
  const LinkedDevice* alone = ring.empty() ? nullptr : ring.front();
  for (const LinkedDevice& device : input.devices)
    if (device.can_lead && &device != alone) ring.push_back(&device);
  return ring;
}

using Ids = std::unordered_set<uint32_t>;

Ids AbleToLead(const LeaderInput& input) {
  Ids able;
  for (const LinkedDevice& device : input.devices)
    if (device.can_lead) able.insert(device.device);
  return able;
}

bool LeaderGone(std::span<const LedRange> ranges, const Ids& able) {
  return std::ranges::any_of(ranges, [&](const LedRange& range) {
    return range.leader != kHub && !able.contains(range.leader);
  });
}

// By other devices than the hub.
bool Led(std::span<const LedRange> ranges) {
  return std::ranges::any_of(ranges, [](const LedRange& range) { return range.leader != kHub; });
}

// Some range has no standby that is still there, and `chosen` knows one for it.
bool LacksStandby(std::span<const LedRange> ranges, const Ids& able,
                  std::span<const LedRange> chosen) {
  for (size_t r = 0; r < ranges.size(); ++r)
    if (!able.contains(ranges[r].standby) && chosen[r].standby != 0) return true;
  return false;
}

// Of such leaders; without flat_s, and infinitely slow if a range would be too small.
LeaderPlan BestRanges(const LeaderInput& input, std::span<const Candidate> leaders,
                      const LeaderOptions& options) {
  LeaderPlan best{{}, std::numeric_limits<double>::infinity()};
  for (double division : kDivisions) {
    std::vector<LedRange> ranges = RangesOf(leaders, division, input.values, options);
    if (ranges.empty()) continue;
    ChooseStandbys(input, &ranges);
    const double seconds = PredictCommunication(input, ranges);
    if (seconds < best.communication_s) best = {std::move(ranges), seconds};
    if (leaders.size() == 1) break;
  }
  return best;
}

}  // namespace

double PredictCommunication(const LeaderInput& input, std::span<const LedRange> ranges) {
  CHECK(input.values > 0 && input.updates >= 0);
  Duties duties = DutiesOf(ranges);
  Busiest busiest;
  busiest.Add(HubTraffic(input, duties[kHub]));
  duties.erase(kHub);
  double round_trip_s = 0;
  for (const LinkedDevice& device : input.devices) {
    const auto it = duties.find(device.device);
    busiest.Add(DeviceTraffic(input, device.link, it == duties.end() ? Duty{} : it->second));
    round_trip_s = std::max(round_trip_s, device.round_trip_s);
    if (it != duties.end()) duties.erase(it);
  }
  for (const auto& [device, duty] : duties)
    if (duty.led > 0) return std::numeric_limits<double>::infinity();
  return round_trip_s + busiest.leading_s +
         (input.overlapped ? busiest.one_way_s : busiest.updates_s + busiest.parameters_s);
}

void ChooseStandbys(const LeaderInput& input, std::vector<LedRange>* ranges) {
  for (LedRange& range : *ranges) range.standby = 0;
  const bool flat = ranges->size() == 1 && ranges->front().leader == kHub;
  if (flat || input.replica_value_bytes <= 0) return;
  const std::vector<const LinkedDevice*> ring = StandbyRing(input, *ranges);
  const Duties duties = DutiesOf(*ranges);
  std::vector<double> busy_s;
  for (const LinkedDevice* device : ring) {
    const auto it = duties.find(device->device);
    const Duty duty = it == duties.end() ? Duty{} : it->second;
    const Traffic traffic = DeviceTraffic(input, device->link, duty);
    busy_s.push_back(traffic.updates_in_s + traffic.parameters_out_s);
  }
  for (LedRange& range : *ranges) {
    const auto own = std::ranges::find(ring, range.leader, &LinkedDevice::device) - ring.begin();
    size_t best = ring.size();
    for (size_t k = 1; k <= ring.size(); ++k) {
      const size_t i = (static_cast<size_t>(own) + k) % ring.size();
      if (ring[i]->device == range.leader) continue;
      if (best == ring.size() || busy_s[i] < busy_s[best]) best = i;
    }
    if (best == ring.size()) continue;
    range.standby = ring[best]->device;
    busy_s[best] += Seconds(static_cast<double>(range.count) * input.replica_value_bytes,
                            ring[best]->link.down_bytes_per_s);
  }
}

LeaderPlan PlanLeaders(const LeaderInput& input, const LeaderOptions& options) {
  const double flat_s = PredictCommunication(input, Flat(input));
  LeaderPlan best{Flat(input), flat_s, flat_s};
  if (!Measured(input.hub)) return best;
  const std::vector<Candidate> candidates =
      Candidates(input, options.exactly > 0 ? options.exactly : options.most_leaders);
  if (options.exactly > 0) {
    for (size_t k = candidates.size(); k > 0; --k) {
      LeaderPlan plan = BestRanges(input, {candidates.data(), k}, options);
      if (!plan.ranges.empty()) return {std::move(plan.ranges), plan.communication_s, flat_s};
    }
    return best;
  }
  for (size_t k = 1; k <= candidates.size(); k += 1 + k / 8) {
    const LeaderPlan plan = BestRanges(input, {candidates.data(), k}, options);
    if (plan.communication_s < (1 - kFewer) * best.communication_s)
      best = {plan.ranges, plan.communication_s, flat_s};
  }
  const double worth_s = options.worth * (input.compute_s + flat_s);
  if (flat_s - best.communication_s <= worth_s) return {Flat(input), flat_s, flat_s};
  return best;
}

void LeaderPlanner::Holds(int64_t step, std::vector<LedRange> ranges) {
  ranges_ = std::move(ranges);
  planned_ = step;
}

std::optional<LeaderPlan> LeaderPlanner::Next(int64_t step, const LeaderInput& input) {
  if (ranges_.empty()) ranges_ = Flat(input);
  const Ids able = AbleToLead(input);
  const bool gone = LeaderGone(ranges_, able);
  // Devices that were asked for may have come since.
  const bool fewer = HasStandbys(input) &&
                     static_cast<int64_t>(ranges_.size()) < options_.exactly &&
                     ranges_.size() <= able.size();
  const bool due = !planned_ || fewer || step - *planned_ >= options_.change_steps;
  if (gone || (due && Measured(input.hub))) {
    planned_ = step;
    LeaderPlan plan = PlanLeaders(input, options_);
    const double held_s = PredictCommunication(input, ranges_);
    const double worth_s = options_.worth * (input.compute_s + held_s);
    const bool other_number = options_.exactly > 0 && plan.ranges.size() != ranges_.size();
    if (gone || other_number || held_s - plan.communication_s > worth_s) {
      ranges_ = plan.ranges;
      return plan;
    }
  }
  if (Led(ranges_) && !HasStandbys(input)) {
    ranges_ = Flat(input);
    const double flat_s = PredictCommunication(input, ranges_);
    return LeaderPlan{ranges_, flat_s, flat_s};
  }
  std::vector<LedRange> chosen = ranges_;
  ChooseStandbys(input, &chosen);
  if (!LacksStandby(ranges_, able, chosen)) return std::nullopt;
  ranges_ = std::move(chosen);
  return LeaderPlan{ranges_, PredictCommunication(input, ranges_),
                    PredictCommunication(input, Flat(input))};
}

}  // namespace weft::plan
