#pragma once
// Predict: how long a step of a Program takes on a profiled device, and how much memory the process
// will hold, without running it.
//
// Time. Each op's time is its work (FLOPs or bytes) times the time a unit of work takes, which is
// read from the profile's measurements of ops of the same kind: the mean of the logarithms over the
// nearest points, weighted by inverse distance (Shepard 1968, "A two-dimensional interpolation
// function for irregularly-spaced data", equation 2). Distance is in octaves: from one size to its
// double is 1, times a weight that says how far the rate depends on that size. Beyond the grid the
// rate of its edge holds. The measurements were taken op by op within training steps of small
// networks, so they include what running after other ops costs; OpSize::reuse tells apart data in
// and out of the caches. A step is the sum of its ops, the updates, and the filling of the arena.
//
// Memory. What the plan holds (arena, parameters, optimizer state, staging and the batch), plus
// what a training process needs beside it: measured, a constant, one more for oneDNN's
// convolutions, and so much for each op of oneDNN.

#include <array>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "model/graph.h"
#include "plan/device_profile.h"
#include "plan/predict_op.h"
#include "plan/program.h"

namespace weft::plan {

// The time of ops on one device. The profile must outlive it. Threads: any.
class OpTimes {
 public:
  explicit OpTimes(const DeviceProfile& profile);

  // Microseconds. Of a kind without measurements: its FLOPs at the rate of a matrix product, or its
  // bytes at the rate of copying.
  double Microseconds(const OpSize& size) const;

 private:
  const DeviceProfile& profile_;
  std::array<std::vector<const Measurement*>, kOpKinds> points_;  // by kind
};

struct TimePrediction {
  std::vector<double> step_us;  // one a step of the program; of a hand-over, its update
  double load_us = 0;           // filling the arena
  double total_us() const;
};

TimePrediction PredictTime(const Program& program, const UpdateCost& update,
                           const DeviceProfile& profile);

// Bytes by kind. The arena holds gradients and activations; those that are not alive at once share
// memory, so `activations` is what the arena has beside the gradients that are kept to the end of a
// step; a streaming program keeps none.
struct MemoryPrediction {
  double weights = 0;  // and running statistics, in the layouts of the kernels
  double gradients = 0;
  double optimizer = 0;
  double activations = 0;
  double staging = 0;  // one plain tensor on its way from or to the flat vector
  double batch = 0;    // the samples as they were read
  double process = 0;  // all that is no number of the model
  double planned() const { return weights + gradients + optimizer + activations + staging; }
  double peak() const { return planned() + batch + process; }
};

// What a program asks of oneDNN, whose code takes memory too.
struct LibraryUse {
  int64_t ops = 0;
  bool convolutions = false;
};
LibraryUse LibraryUseOf(const Program& program);

MemoryPrediction PredictMemory(const Program& program, const UpdateCost& update,
                               const DeviceProfile& profile);

}  // namespace weft::plan
