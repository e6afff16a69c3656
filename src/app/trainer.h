#pragma once
// Trainer: the math side of a worker: computes one lease after another with the engine and encodes
// the update. The worker's host runs it on a thread of its own.

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

namespace weft::app {

// Threads: one.
class Trainer {
 public:
  // `memory_budget`: bytes of the engine, as plan::FitMemory counts them; 0: no limit. Errors:
  // those of the engine and the codecs; kInvalidArgument if the budget cannot hold one sample at a
  // time.
  static Result<std::unique_ptr<Trainer>> Make(std::shared_ptr<const Job> job, int threads,
                                               size_t memory_budget);

  // Nothing where samples of the lease are yet to come.
  void ReadAhead(const cluster::Lease& lease);

  // Errors: kFailedPrecondition for a loss or gradient that is not finite (says the step and what
  // to try); kDataLoss for parameters that do not decode or a label out of range.
  Result<cluster::Worker::Update> Compute(const cluster::Compute& compute);

  void Settle(const cluster::Settled& settled);

  // Samples that the store has fed; ignored where this device reads the data itself. Errors: those
  // of data::FedDataset::Put.
  Status Keep(const cluster::KeepSamples& keep);
  void Drop(const cluster::DropSamples& drop);
  // Whether the samples of a lease are here. Errors: kDataLoss.
  Status CheckSamples(const cluster::Lease& lease) const;

 private:
  Trainer(std::shared_ptr<const Job> job, std::unique_ptr<engine::Engine> engine,
          std::unique_ptr<codec::Codec> up, std::unique_ptr<codec::Codec> down);

  std::shared_ptr<const Job> job_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<codec::Codec> down_;
  cluster::UpdateEncoder encoder_;
  data::BatchReader reader_;
  std::vector<float> flat_;  // parameters in, gradient out
  std::string given_up_;     // for the budget, as last logged
};

}  // namespace weft::app
