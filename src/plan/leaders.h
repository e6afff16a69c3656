#pragma once
// Leader splitting: which devices lead which range of the parameter vector, so that a step's
// updates and parameters are carried by many links instead of the coordinator's alone.
// Source of the idea: Hao and Zhang 2021, EDDL (leader role splitting). The prediction
// and the choice are our own; docs/elastic.md derives them.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace weft::plan {

inline constexpr uint32_t kHub = 0;  // the coordinator's process; other devices count from 1

// A device's own link, which sends and receives at the same time. 0: not measured.
struct Link {
  double up_bytes_per_s = 0;
  double down_bytes_per_s = 0;
};

struct LinkedDevice {
  uint32_t device = 0;
  Link link;
  double round_trip_s = 0;
  bool can_lead = false;  // others can dial it, and it has the memory
};

struct LeaderInput {
  int64_t values = 0;                // of the parameter vector, above 0
  double update_value_bytes = 4;     // of an update as encoded, a value
  double parameter_value_bytes = 4;  // of the parameters as encoded
  double replica_value_bytes = 4;    // of what a leader sends its standby each step; 0: nothing
  Link hub;
  std::span<const LinkedDevice> devices;  // the workers, ascending, each once
  int64_t updates = 0;                    // of a step; usually one a worker
  double compute_s = 0;                   // of a step
  // Of its processor, that leading all of the vector takes a leader for one update: taking it in
  // and sending the parameters out.
  double leading_s = 0;
  // Parameters of a range go out while updates of others still come in (async, ssp, or pushes
  // layer by layer). Otherwise all updates come first, then all parameters.
  bool overlapped = false;
};

struct LedRange {
  int64_t begin = 0;
  int64_t count = 0;
  uint32_t leader = kHub;
  uint32_t standby = 0;  // 0: none
  bool operator==(const LedRange&) const = default;
};

struct LeaderPlan {
  std::vector<LedRange> ranges;  // ascending; they tile the vector
  double communication_s = 0;    // predicted, of a step
  double flat_s = 0;             // if the hub led all of it
};

struct LeaderOptions {
  double worth = 0.15;           // part of the step's time that a split must save
  int64_t fewest_values = 4096;  // of a range
  int64_t alignment = 64;        // ranges begin at multiples of it
  int64_t most_leaders = 64;
  int64_t exactly = 0;  // so many leaders as far as there are devices, whatever that saves; 0: any
  int64_t change_steps = 20;  // between two plans, and so between two changes (LeaderPlanner)
};

// Seconds that a step's updates and parameters take: the busiest link while updates come in, plus
// the busiest while parameters go out (overlapped: the busiest with both), plus what the busiest
// leader's processor does, plus the longest round trip. Links not measured count as free; a leader
// that is not among the devices makes it infinite.
// O(ranges + devices).
double PredictCommunication(const LeaderInput& input, std::span<const LedRange> ranges);

// The layout with the least predicted step time of those where the k devices with the most
// bandwidth, hub included, lead ranges in proportion to it. More leaders than needed cost what they
// save: a k must be 2 % better than the lower ones. Bandwidth is that of both directions together,
// or of the one that is tight when updates and parameters get given parts of the time; several
// parts are tried. The hub leads all unless a split saves `worth` of the step.
// O(devices * most_leaders).
LeaderPlan PlanLeaders(const LeaderInput& input, const LeaderOptions& options = {});

// The standby of each range: of the devices that lead, the one with the least to carry, the next
// one in the ring of equals; where one device leads alone, of all that could. Never the leader
// itself; none where there is no other, where standbys are sent nothing, and where the hub leads
// all (its checkpoints stand for one).
void ChooseStandbys(const LeaderInput& input, std::vector<LedRange>* ranges);

// Decides when a layout is changed: it plans anew every change_steps steps, and changes when that
// saves `worth` of the step, or has another number of leaders where `exactly` asks for it; at once
// when a leader has gone, or (the standbys only) when a range lacks a standby that it could have,
// or when no device is left that could stand by another. Threads: one.
class LeaderPlanner {
 public:
  explicit LeaderPlanner(LeaderOptions options = {}) : options_(options) {}

  // The layout that holds from `step` on, whoever chose it (a standby that took over).
  void Holds(int64_t step, std::vector<LedRange> ranges);

  // A layout to change to before `step`; none: keep what holds. The planner takes it as holding.
  std::optional<LeaderPlan> Next(int64_t step, const LeaderInput& input);

 private:
  LeaderOptions options_;
  std::vector<LedRange> ranges_;    // empty: the hub leads all
  std::optional<int64_t> planned_;  // step
};

}  // namespace weft::plan
