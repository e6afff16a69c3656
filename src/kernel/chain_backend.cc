#include "kernel/chain_backend.h"

#include "kernel/validate.h"

namespace weft::kernel {

namespace {

// The hint itself, or plain if the caller does not know; then its shape must fit.
Result<Layout> Settle(std::string_view what, const Layout& hint, const Shape& shape) {
  if (hint.shape().rank() == 0) return Layout(shape);
  RETURN_IF_ERROR(ValidateLayout(what, hint, shape));
  return hint;
}

}  // namespace

template <class Make>
Backend::OpResult ChainBackend::First(Make make) {
  OpResult result = base::Unimplemented(name_ + ": no member");
  for (const std::unique_ptr<Backend>& member : members_) {
    result = make(*member);
    if (result.ok() || result.status().code() != Code::kUnimplemented) break;
  }
  return result;
}

Backend::OpResult ChainBackend::ConvForward(const ConvDesc& desc, const Layout& src) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout at, Settle("conv: src", src, desc.src_shape()));
  return First([&](Backend& member) { return member.ConvForward(desc, at); });
}

Backend::OpResult ChainBackend::ConvBackwardData(const ConvDesc& desc, const Layout& diff_dst,
                                                 const Layout& src) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout to, Settle("conv: diff_dst", diff_dst, desc.dst_shape()));
  ASSIGN_OR_RETURN(const Layout from, Settle("conv: diff_src", src, desc.src_shape()));
  return First([&](Backend& member) { return member.ConvBackwardData(desc, to, from); });
}

Backend::OpResult ChainBackend::ConvBackwardWeights(const ConvDesc& desc, const Layout& src,
                                                    const Layout& diff_dst, const Layout& weights) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout from, Settle("conv: src", src, desc.src_shape()));
  ASSIGN_OR_RETURN(const Layout to, Settle("conv: diff_dst", diff_dst, desc.dst_shape()));
  ASSIGN_OR_RETURN(const Layout by, Settle("conv: diff_weights", weights, desc.weights_shape()));
  return First([&](Backend& member) { return member.ConvBackwardWeights(desc, from, to, by); });
}

Backend::OpResult ChainBackend::LinearForward(const LinearDesc& desc, const Layout& src) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout at, Settle("linear: src", src, desc.src));
  return First([&](Backend& member) { return member.LinearForward(desc, at); });
}

Backend::OpResult ChainBackend::LinearBackwardData(const LinearDesc& desc, const Layout& diff_dst,
                                                   const Layout& src) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout to, Settle("linear: diff_dst", diff_dst, desc.dst_shape()));
  ASSIGN_OR_RETURN(const Layout from, Settle("linear: diff_src", src, desc.src));
  return First([&](Backend& member) { return member.LinearBackwardData(desc, to, from); });
}

Backend::OpResult ChainBackend::LinearBackwardWeights(const LinearDesc& desc, const Layout& src,
                                                      const Layout& diff_dst,
                                                      const Layout& weights) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout from, Settle("linear: src", src, desc.src));
  ASSIGN_OR_RETURN(const Layout to, Settle("linear: diff_dst", diff_dst, desc.dst_shape()));
  ASSIGN_OR_RETURN(const Layout by, Settle("linear: diff_weights", weights, desc.weights_shape()));
  return First([&](Backend& member) { return member.LinearBackwardWeights(desc, from, to, by); });
}

Backend::OpResult ChainBackend::BatchnormForward(const BatchnormDesc& desc, const Layout& src) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout at, Settle("batchnorm: src", src, desc.src));
  return First([&](Backend& member) { return member.BatchnormForward(desc, at); });
}

Backend::OpResult ChainBackend::BatchnormInference(const BatchnormDesc& desc, const Layout& src) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout at, Settle("batchnorm: src", src, desc.src));
  return First([&](Backend& member) { return member.BatchnormInference(desc, at); });
}

Backend::OpResult ChainBackend::BatchnormBackward(const BatchnormDesc& desc, const Layout& src,
                                                  const Layout& diff_dst) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout from, Settle("batchnorm: src", src, desc.src));
  ASSIGN_OR_RETURN(const Layout to, Settle("batchnorm: diff_dst", diff_dst, desc.src));
  return First([&](Backend& member) { return member.BatchnormBackward(desc, from, to); });
}

Backend::OpResult ChainBackend::PoolForward(const PoolDesc& desc, const Layout& src,
                                            bool training) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout at, Settle("pool: src", src, desc.src));
  return First([&](Backend& member) { return member.PoolForward(desc, at, training); });
}

Backend::OpResult ChainBackend::PoolBackward(const PoolDesc& desc, const Layout& diff_dst,
                                             const Layout& src) {
  RETURN_IF_ERROR(Validate(desc));
  ASSIGN_OR_RETURN(const Layout to, Settle("pool: diff_dst", diff_dst, desc.dst_shape()));
  ASSIGN_OR_RETURN(const Layout from, Settle("pool: diff_src", src, desc.src));
  return First([&](Backend& member) { return member.PoolBackward(desc, to, from); });
}

Backend::OpResult ChainBackend::ActivationForward(const ActivationDesc& desc, const Layout& src) {
  return First([&](Backend& member) { return member.ActivationForward(desc, src); });
}

Backend::OpResult ChainBackend::ActivationBackward(const ActivationDesc& desc,
                                                   const Layout& layout) {
  return First([&](Backend& member) { return member.ActivationBackward(desc, layout); });
}

Backend::OpResult ChainBackend::Add(const Layout& layout) {
  return First([&](Backend& member) { return member.Add(layout); });
}

Backend::OpResult ChainBackend::DropoutForward(const DropoutDesc& desc) {
  RETURN_IF_ERROR(Validate(desc));
  return First([&](Backend& member) { return member.DropoutForward(desc); });
}

Backend::OpResult ChainBackend::DropoutBackward(const DropoutDesc& desc) {
  RETURN_IF_ERROR(Validate(desc));
  return First([&](Backend& member) { return member.DropoutBackward(desc); });
}

Backend::OpResult ChainBackend::SoftmaxCrossEntropy(const LossDesc& desc) {
  RETURN_IF_ERROR(Validate(desc));
  return First([&](Backend& member) { return member.SoftmaxCrossEntropy(desc); });
}

Backend::OpResult ChainBackend::Reorder(const Layout& src, const Layout& dst) {
  RETURN_IF_ERROR(ValidateLayout("reorder: dst", dst, src.shape()));
  return First([&](Backend& member) { return member.Reorder(src, dst); });
}

}  // namespace weft::kernel
