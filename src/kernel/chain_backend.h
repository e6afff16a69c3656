#pragma once
// ChainBackend: checks each description, then asks its members in order; the first that does not
// refuse makes the Op. A hint of no shape (layout not known yet) becomes plain.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel/backend.h"

namespace weft::kernel {

class ChainBackend : public Backend {
 public:
  ChainBackend(std::string name, std::vector<std::unique_ptr<Backend>> members)
      : name_(std::move(name)), members_(std::move(members)) {}

  std::string name() const override { return name_; }

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
  OpResult Reorder(const Layout& src, const Layout& dst) override;

 private:
  // Calls make(member) for each until one does not answer kUnimplemented; if all refuse, the last
  // reason.
  template <class Make>
  OpResult First(Make make);

  std::string name_;
  std::vector<std::unique_ptr<Backend>> members_;
};

}  // namespace weft::kernel
