#pragma once
// ReferenceBackend: every operation in plain C++ over row-major tensors, written to be read and to
// be compared with. Sums run in double. One thread. Ports ask for plain layouts whatever the hint,
// but elementwise operations take any layout as it is.

#include "kernel/backend.h"

namespace weft::kernel {

class ReferenceBackend : public Backend {
 public:
  std::string name() const override { return "reference"; }

  OpResult ConvForward(const ConvDesc& desc, const Layout& src) override;
  OpResult ConvBackwardData(const ConvDesc& desc, const Layout& diff_dst,
                            const Layout& src) override;
  OpResult ConvBackwardWeights(const ConvDesc& desc, const Layout& src, const Layout& diff_dst,
                               const Layout& weights) override;
  OpResult LinearForward(const LinearDesc& desc, const Layout& src) override;
  OpResult LinearBackwardData(const LinearDesc& desc, const Layout& diff_dst,
                              const Layout& src) override;
  OpResult LinearBackwardWeights(const LinearDesc& desc, const Layout& src, const Layout& diff_dst,
                                 const Layout& weights) override;
  OpResult BatchnormForward(const BatchnormDesc& desc, const Layout& src) override;
  OpResult BatchnormInference(const BatchnormDesc& desc, const Layout& src) override;
  OpResult BatchnormBackward(const BatchnormDesc& desc, const Layout& src,
                             const Layout& diff_dst) override;
  OpResult PoolForward(const PoolDesc& desc, const Layout& src, bool training) override;
  OpResult PoolBackward(const PoolDesc& desc, const Layout& diff_dst, const Layout& src) override;
  OpResult ActivationForward(const ActivationDesc& desc, const Layout& src) override;
  OpResult ActivationBackward(const ActivationDesc& desc, const Layout& layout) override;
  OpResult Add(const Layout& layout) override;
  OpResult DropoutForward(const DropoutDesc& desc) override;
  OpResult DropoutBackward(const DropoutDesc& desc) override;
  OpResult SoftmaxCrossEntropy(const LossDesc& desc) override;
  // Plain layouts only; kUnimplemented otherwise.
  OpResult Reorder(const Layout& src, const Layout& dst) override;
};

}  // namespace weft::kernel
