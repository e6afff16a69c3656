#pragma once
// Checker: an observer that knows one promise of a run and says where it was broken. Each keeps
// books of its own, from what it sees, and trusts none of the machines'.
//
// All of them together take about half a microsecond a message (checker_bench.cc: 1,000 devices).
//
// What "the line of history" means: a hub that starts again at step s undoes all later steps; what
// had been applied in them does not count any more.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/job_spec.h"
#include "sim/observer.h"

namespace weft::sim {

// Threads: one.
class Checker : public Observer {
 public:
  // Violations are kept up to so many.
  static constexpr size_t kMostKept = 20;

  // "exactly-once", ...
  virtual std::string_view name() const = 0;
  // Each "12.345 s: what happened; want ...", in order of time.
  const std::vector<std::string>& violations() const { return violations_; }

 protected:
  void Violate(TimePoint now, std::string_view what);

 private:
  std::vector<std::string> violations_;
};

// Each position of each epoch is in exactly one committed lease of the line of history.
// Cost: one interval a step (neighbouring leases are joined); sorting a step's leases, and an
// epoch's intervals at its end.
std::unique_ptr<Checker> MakeExactlyOnceChecker(const cluster::JobSpec& spec);

// A step is committed once; an update is acknowledged as applied only if the record of its step
// names its device, and never as refused besides; a sequence number is used for one lease.
// Cost: O(1) for a push and an acknowledgement, O(leases) a step.
std::unique_ptr<Checker> MakeAtMostOnceChecker(const cluster::JobSpec& spec);

// What was acknowledged stays: the version never falls while the hub lives and is always above the
// step of an acknowledged update, and no hub starts before the last checkpoint that was reported.
// Updates acknowledged since then are lost with the leader's process: promise 3's present limit.
// Cost: O(1) an event.
std::unique_ptr<Checker> MakeSurvivalChecker(const cluster::JobSpec& spec);

// Of each device: its residual is the sum, over its updates that were not refused, of gradient -
// packet, each times its samples; a codec without loss changes no bit.
// Cost: O(n) for a lease computed or settled, n values; nothing in cost mode.
std::unique_ptr<Checker> MakeGradientMassChecker(const cluster::JobSpec& spec);

// The parameters change by what the optimizer makes of the sample-weighted mean of the packets that
// a step's record names.
// Cost: O(n) for a push, O(n) a step; keeps at most 64 MiB of earlier optimizer states, and does
// not judge a run on from a step whose state it has not kept.
std::unique_ptr<Checker> MakeAppliedSumChecker(const cluster::JobSpec& spec);

// Terms rise with each start of the hub. All that is granted, committed or acknowledged as applied
// is of the hub's term, and a worker speaks under the term by which it was welcomed.
// Cost: O(1) a message.
std::unique_ptr<Checker> MakeTermChecker(const cluster::JobSpec& spec);

// Queues stay short, a device dials no more often than its back-off allows, an update is sent again
// only after a welcome or when its lease is granted again, a lease is dealt again only after a
// loss, a return or an expiry. Cost: O(1) an event.
std::unique_ptr<Checker> MakeBoundsChecker(const cluster::JobSpec& spec);

// The run goes on: a step is committed at least every `most` while the hub lives and enough devices
// have joined it.
// Cost: O(1) an event.
std::unique_ptr<Checker> MakeProgressChecker(const cluster::JobSpec& spec, Duration most);

// Where devices have data of their own, each is granted leases of that only.
// Cost: O(log n) a grant.
std::unique_ptr<Checker> MakeLocalityChecker(const cluster::JobSpec& spec);

// All of them. `most_between_steps`: for the progress checker; far above what a step takes.
std::vector<std::unique_ptr<Checker>> AllCheckers(
    const cluster::JobSpec& spec, Duration most_between_steps = std::chrono::hours(1));

// "exactly-once: 12.345 s: ...", of all of them.
std::vector<std::string> ViolationsOf(const std::vector<std::unique_ptr<Checker>>& checkers);

}  // namespace weft::sim
