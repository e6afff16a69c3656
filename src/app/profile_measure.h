#pragma once
// MeasureOps: times the ops of training steps where they run, inside the steps of small networks
// (app/profile_nets.h) that the engine trains on random samples.

#include "base/clock.h"
#include "base/status.h"
#include "plan/device_profile.h"

namespace weft::app {

struct MeasureOpsOptions {
  double seconds = 12;  // not to be exceeded by more than one training step
  bool quick = false;   // the smallest batch of each network only
};

// Appends the points to the profile, whose kernels, threads and sgemm_gflops stand
// already, and sets its busy_share. A network that would not fit the time left is passed over, the
// largest ones last. Errors of the engine.
Status MeasureOps(const MeasureOpsOptions& options, plan::DeviceProfile* profile);

// What the process holds beside the plan, from training three networks; run it
// first, as it goes by the peak of the process. Errors of the engine.
Status MeasureProcess(plan::DeviceProfile* profile);

}  // namespace weft::app
