#pragma once
// TunedBackend: asks several backends for a convolution and gives the one that ran fastest here.
// The first candidate is the measure of correctness: another whose result strays by more than
// kMostDeviation of the result's norm is refused, however fast.
//
// A trial runs on random numbers in memory of its own, freed afterwards, at most kTrialBatch
// samples; its outcome is kept for the process, so that a shape is tried once whatever the number
// of engines and (to a factor of two) batch sizes. Choices follow the clock: they may differ from
// run to run, and with them the last bits of the results. Threads: any.

#include <memory>
#include <vector>

#include "base/clock.h"
#include "kernel/partial_backend.h"

namespace weft::kernel {

class TunedBackend : public PartialBackend {
 public:
  static constexpr double kMostDeviation = 1e-3;
  static constexpr int64_t kTrialBatch = 32;

  // `candidates`: the trusted one first. `reorder` makes the reorders of the trials.
  TunedBackend(const BackendOptions& options, std::vector<std::unique_ptr<Backend>> candidates,
               std::unique_ptr<Backend> reorder);

  std::string name() const override { return "tuned"; }

  OpResult ConvForward(const ConvDesc& desc, const Layout& src) override;
  OpResult ConvBackwardData(const ConvDesc& desc, const Layout& diff_dst,
                            const Layout& src) override;
  OpResult ConvBackwardWeights(const ConvDesc& desc, const Layout& src, const Layout& diff_dst,
                               const Layout& weights) override;

 private:
  // make(candidate, desc) makes the Op for any batch size. `key` names all that the choice depends
  // on but the batch.
  template <class Make>
  OpResult Choose(const std::string& key, const ConvDesc& desc, const Make& make);
  template <class Make>
  Result<size_t> FindBest(const ConvDesc& desc, const Make& make);

  BackendOptions options_;
  std::vector<std::unique_ptr<Backend>> candidates_;
  std::unique_ptr<Backend> reorder_;
};

}  // namespace weft::kernel
