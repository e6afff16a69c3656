#pragma once
// Workload: what a simulated device computes, apart from how long that takes: a toy, a real network
// (app/), or nothing at all (cost mode).

#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "cluster/action.h"
#include "cluster/job_spec.h"
#include "cluster/snapshot.h"

namespace weft::sim {

// One cluster's. Threads: one.
class Workload {
 public:
  virtual ~Workload() = default;

  struct Computed {
    // [n] mean over the lease's samples, or with local steps what the parameters lost; statistics
    // behind it
    std::vector<float> gradient;
    double loss_sum = 0;
    int64_t correct = 0;
  };
  // A pure function of the parameters, the lease and the rate, whichever device asks; but where the
  // links of a job choose its local steps (JobSpec::aggregation.most_local_steps), also of the
  // optimizer's state that the device's earlier leases left.
  //   device      its number
  //   parameters  [n] f32  read: the pieces of `compute`, decoded
  // Errors: kFailedPrecondition for a loss that is not finite: the run ends with it.
  virtual base::Result<Computed> Compute(std::span<const float> parameters,
                                         const cluster::Compute& compute, int device) = 0;

  // Where a run starts.
  virtual cluster::Snapshot Start() = 0;
};

// Computes nothing: so many parameters (JobSpec::parameter_count), gradients of zero. For cost
// mode, whose JobSpec has few parameters that stand for those of the model.
std::shared_ptr<Workload> MakeCostWorkload(int64_t parameter_count = 1);

}  // namespace weft::sim
