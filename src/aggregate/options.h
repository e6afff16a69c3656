#pragma once
// Options: how updates become a new version of the parameters. Plain values, as the job says them
// (config/) and as cluster/ hands them to coordinator, leaders and workers.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::aggregate {

// When a leader applies updates. On the wire as numbers.
enum class Mode : uint8_t {
  kSync = 0,   // all of a step's updates at once
  kSsp = 1,    // each by itself; nobody may be more than max_staleness rounds ahead of the slowest
  kAsync = 2,  // each by itself
  kBuffered = 3,  // `buffer` of them at once
};

// How the updates that are applied at once are joined.
enum class Combine : uint8_t {
  kMean,         // weighted by samples
  kMedian,       // of each coordinate, unweighted
  kTrimmedMean,  // of each coordinate, without the `trim` highest and lowest share
};

// A round is as many samples as the job's batch (times local_steps): the unit of staleness.
struct Options {
  Mode mode = Mode::kSync;
  // Sync or async, whichever is predicted to be sooner, changed while the run goes on
  // (cluster/policy.h); `mode` is what it starts with.
  bool automatic = false;
  Combine combine = Combine::kMean;
  double trim = 0.1;  // of kTrimmedMean, at each end, below 0.5
  // Sync: apply a step once so great a share of its samples has come; the rest are dealt anew.
  // Source: Chen et al. 2016, Revisiting Distributed Synchronous SGD, whose backup workers' samples
  // are lost; here they are not.
  double quorum = 1;
  // Sync: so many more devices than needed get leases, those of the slowest; the first update
  // counts.
  double over_selection = 0;
  int64_t max_staleness =
      0;  // rounds; ssp: at most ahead; async, buffered: older is refused; 0: any
  double staleness_exponent = 0.5;  // an update s > 1 rounds older than usual weighs s^-exponent
  double delay_compensation = 0;    // lambda of DC-ASGD; 0: none
  int64_t buffer = 0;               // of kBuffered; 0: half of the workers
  int64_t local_steps = 1;          // of each worker between two updates
  double outer_lr = 0.7;            // with local steps: of the outer optimizer
  double outer_momentum = 0.9;      // Nesterov's; 0 with outer_lr = 1 is FedAvg
  // As many local steps as the links ask for, at most so many, changed while the run goes on; 0:
  // local_steps.
  int64_t most_local_steps = 0;
  // Updates are what local steps change, and not gradients.
  bool TrainsLocally() const { return local_steps > 1 || most_local_steps > 0; }
  bool operator==(const Options&) const = default;
};

}  // namespace weft::aggregate
