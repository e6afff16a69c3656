#pragma once
// SimdBackend: batch normalisation (plain, nChw8c, nChw16c, and samples as lanes if all are filled;
// of any other layout it asks for plain), max pooling of the two blocked forms and of samples as
// lanes, and the elementwise operations (over the flat memory of any layout) on Highway loops.
// Large tensors are cut among OpenMP threads.

#include "kernel/partial_backend.h"

namespace weft::kernel {

class SimdBackend : public PartialBackend {
 public:
  explicit SimdBackend(const BackendOptions& options) : threads_(options.threads) {}

  std::string name() const override { return "simd"; }

  OpResult BatchnormForward(const BatchnormDesc& desc, const Layout& src) override;
  OpResult BatchnormInference(const BatchnormDesc& desc, const Layout& src) override;
  OpResult BatchnormBackward(const BatchnormDesc& desc, const Layout& src,
                             const Layout& diff_dst) override;
  OpResult PoolForward(const PoolDesc& desc, const Layout& src, bool training) override;
  OpResult PoolBackward(const PoolDesc& desc, const Layout& diff_dst, const Layout& src) override;
  OpResult ActivationForward(const ActivationDesc& desc, const Layout& src) override;
  OpResult ActivationBackward(const ActivationDesc& desc, const Layout& layout) override;
  OpResult Add(const Layout& layout) override;

 private:
  int threads_;
};

}  // namespace weft::kernel
