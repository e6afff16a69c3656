#pragma once
// Trainer: the math side of a worker: computes one lease after another with the engine and encodes
// the update, range by range, as soon as each is final. The worker's host runs it on a thread of
// its own.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/job.h"
#include "base/status.h"
#include "cluster/action.h"
#include "cluster/update_encoder.h"
#include "cluster/worker.h"
#include "codec/codec.h"
#include "data/batches.h"
#include "engine/engine.h"
#include "engine/local_momentum.h"
#include "engine/local_steps.h"

namespace weft::app {

struct TrainerOptions {
  int threads = 1;
  // Bytes of the engine, as plan::FitMemory counts them; 0: no limit.
  size_t memory_budget = 0;
  // Above 1: the update of a lease is what so many optimizer steps on its samples change
  // (engine/local_steps.h), and not its gradient.
  int64_t local_steps = 1;
  // The same, with as many steps as each lease says.
  bool adapts_local_steps = false;
  std::string run;  // its id

  bool TrainsLocally() const { return local_steps > 1 || adapts_local_steps; }
};

// What Compute says and asks while it runs, on its thread. Either may be empty.
struct TrainerHooks {
  // A range of the update whose gradient is final before the rest, last layers first.
  std::function<void(const cluster::Range&, cluster::Payload, double loss_sum, int64_t correct)>
      on_part;
  // Waits for the values of a piece that had none when the lease was begun; null: they will not
  // come.
  std::function<cluster::Payload(size_t piece)> await;
};

// Threads: one.
class Trainer {
 public:
  // Errors: those of the engine and the codecs; kInvalidArgument if the memory budget cannot hold
  // one sample at a time.
  static Result<std::unique_ptr<Trainer>> Make(std::shared_ptr<const Job> job,
                                               const TrainerOptions& options);

  // Nothing where samples of the lease are yet to come.
  void ReadAhead(const cluster::Lease& lease);

  // Pieces may lack values; each is awaited when a layer needs it, or at the start if local steps
  // do. With hooks.on_part, ranges that are final before the backward pass ends go there, the
  // others come with the result; no range goes out before the loss and its own gradient are known
  // to be finite.
  // Errors: kFailedPrecondition for a loss or gradient that is not finite (says the step and what
  // to try); kDataLoss for parameters that do not decode; kInvalidArgument for a label out of
  // range, pieces that do not tile the vector or a range outside of it; kCancelled for a piece that
  // did not come.
  Result<cluster::Worker::Update> Compute(const cluster::Compute& compute,
                                          const TrainerHooks& hooks = {});

  void Settle(const cluster::Settled& settled);

  // Samples that the store has fed; ignored where this device reads the data itself. Errors: those
  // of data::FedDataset::Put.
  Status Keep(const cluster::KeepSamples& keep);
  void Drop(const cluster::DropSamples& drop);
  // Whether the samples of a lease are here. Errors: kDataLoss.
  Status CheckSamples(const cluster::Lease& lease) const;

 private:
  class Arrival;    // parameters on their way in
  class Departure;  // ranges of an update on their way out

  Trainer(std::shared_ptr<const Job> job, const TrainerOptions& options,
          std::unique_ptr<engine::Engine> engine, std::unique_ptr<codec::Codec> up,
          std::unique_ptr<codec::Codec> down);
  Status Check(const cluster::Compute& compute) const;
  Result<double> Prepare(const cluster::Compute& compute);
  engine::LocalOptions LocalOptionsFor(const cluster::Compute& compute) const;
  Status ComputeGradient(const data::Batch& batch, Arrival* arrival, Departure* departure);
  Status ComputeLocally(const data::Batch& batch, const cluster::Compute& compute, Arrival* arrival,
                        Departure* departure);
  std::span<float> Flat(int64_t begin, int64_t count);

  std::shared_ptr<const Job> job_;
  const TrainerOptions options_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<codec::Codec> down_;
  engine::LocalMomentum momentum_;
  const bool corrects_momentum_;  // cluster/job_spec.h
  cluster::UpdateEncoder encoder_;
  data::BatchReader reader_;
  std::vector<float> flat_;   // parameters in, update out
  std::vector<float> start_;  // of local steps
  std::string given_up_;      // for the budget, as last logged
};

}  // namespace weft::app
