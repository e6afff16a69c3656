#pragma once
// Toy: a model small enough to compute in a simulation, yet one in which every sample shows: linear
// regression on made-up samples, and running means of its features. Any sample lost or counted
// twice moves the parameters.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/job_spec.h"
#include "cluster/message.h"
#include "cluster/snapshot.h"
#include "sim/workload.h"

namespace weft::sim {

inline constexpr int64_t kToyFeatures = 8;

// Job with the toy's parameter counts; the rest by default.
cluster::JobSpec ToyJob(int64_t samples, int64_t epochs, int64_t batch);

// Over the samples at positions [begin, begin + count) of the lease's epoch: a pure function.
//   parameters  [2 * features] f32  read
// The gradient is [2 * features]: mean gradient, then means of the features.
Workload::Computed ComputeToy(std::span<const float> parameters, int64_t samples,
                              const cluster::Lease& lease);

cluster::Snapshot ToyStart(const cluster::JobSpec& spec);

// The toy as a workload.
std::shared_ptr<Workload> MakeToyWorkload(const cluster::JobSpec& spec);

// The whole run by one plain loop with no cluster: what any cluster must arrive at. `parts`: leases
// a step, as a deterministic job with so many slots has; their sum is in slot order.
struct ToyRun {
  std::vector<float> parameters;
  std::vector<double> losses;  // by step: mean over its samples
};
ToyRun RunToy(const cluster::JobSpec& spec);

}  // namespace weft::sim
