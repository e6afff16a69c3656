#pragma once
// OnednnBackend: convolution, linear, pooling and reorders on oneDNN 2.6 (x86 and arm64), in
// blocked layouts of the library's choice. It refuses (kUnimplemented) what the library would only
// do with its own slow reference code. Batch normalisation is not among its operations: the library
// sums the statistics and gradients of a whole channel in one float, and loses digits that training
// needs.

#include "kernel/partial_backend.h"

namespace weft::kernel {

class OnednnBackend : public PartialBackend {
 public:
  explicit OnednnBackend(const BackendOptions& options) : threads_(options.threads) {}

  std::string name() const override { return "onednn"; }

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
  OpResult PoolForward(const PoolDesc& desc, const Layout& src, bool training) override;
  OpResult PoolBackward(const PoolDesc& desc, const Layout& diff_dst, const Layout& src) override;
  OpResult Reorder(const Layout& src, const Layout& dst) override;

 private:
  int threads_;
};

}  // namespace weft::kernel
