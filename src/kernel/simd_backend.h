#pragma once
// SimdBackend: the elementwise operations on Highway loops, over the flat memory of any layout.
// Large tensors are cut among OpenMP threads.

#include "kernel/partial_backend.h"

namespace weft::kernel {

class SimdBackend : public PartialBackend {
 public:
  explicit SimdBackend(const BackendOptions& options) : threads_(options.threads) {}

  std::string name() const override { return "simd"; }

  OpResult ActivationForward(const ActivationDesc& desc, const Layout& src) override;
  OpResult ActivationBackward(const ActivationDesc& desc, const Layout& layout) override;
  OpResult Add(const Layout& layout) override;

 private:
  int threads_;
};

}  // namespace weft::kernel
