#pragma once
// PartialBackend: a member of the chain that refuses whatever it does not override.

#include "kernel/backend.h"

namespace weft::kernel {

class PartialBackend : public Backend {
 public:
  OpResult ConvForward(const ConvDesc&, const Layout&) override { return Refuse("conv"); }
  OpResult ConvBackwardData(const ConvDesc&, const Layout&, const Layout&) override {
    return Refuse("conv backward data");
  }
  OpResult ConvBackwardWeights(const ConvDesc&, const Layout&, const Layout&,
                               const Layout&) override {
    return Refuse("conv backward weights");
  }
  OpResult LinearForward(const LinearDesc&, const Layout&) override { return Refuse("linear"); }
  OpResult LinearBackwardData(const LinearDesc&, const Layout&, const Layout&) override {
    return Refuse("linear backward data");
  }
  OpResult LinearBackwardWeights(const LinearDesc&, const Layout&, const Layout&,
                                 const Layout&) override {
    return Refuse("linear backward weights");
  }
  OpResult BatchnormForward(const BatchnormDesc&, const Layout&) override {
    return Refuse("batchnorm");
  }
  OpResult BatchnormInference(const BatchnormDesc&, const Layout&) override {
    return Refuse("batchnorm inference");
  }
  OpResult BatchnormBackward(const BatchnormDesc&, const Layout&, const Layout&) override {
    return Refuse("batchnorm backward");
  }
  OpResult PoolForward(const PoolDesc&, const Layout&, bool) override { return Refuse("pool"); }
  OpResult PoolBackward(const PoolDesc&, const Layout&, const Layout&) override {
    return Refuse("pool backward");
  }
  OpResult ActivationForward(const ActivationDesc&, const Layout&) override {
    return Refuse("activation");
  }
  OpResult ActivationBackward(const ActivationDesc&, const Layout&) override {
    return Refuse("activation backward");
  }
  OpResult Add(const Layout&) override { return Refuse("add"); }
  OpResult DropoutForward(const DropoutDesc&) override { return Refuse("dropout"); }
  OpResult DropoutBackward(const DropoutDesc&) override { return Refuse("dropout backward"); }
  OpResult SoftmaxCrossEntropy(const LossDesc&) override { return Refuse("softmax cross-entropy"); }
  OpResult Reorder(const Layout&, const Layout&) override { return Refuse("reorder"); }

 private:
  Status Refuse(const char* op) const {
    return base::Unimplemented(name() + ": " + op + " is not among its operations");
  }
};

}  // namespace weft::kernel
