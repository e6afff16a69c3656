// Convolutions. The library knows several implementations a shape, and which one it gives depends
// on the layouts asked for; so each factory goes through a list of layouts, the caller's first, and
// takes the first that the library has direct code for.

#include <initializer_list>
#include <optional>

#include "kernel/onednn_backend.h"
#include "kernel/onednn_op.h"
#include "kernel/ports.h"

namespace weft::kernel {

namespace {

using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;

constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;

memory::dims WeightsDims(const ConvDesc& d) {
  if (d.groups == 1) return DimsOf(d.weights_shape());
  return {d.groups, d.out_channels / d.groups, d.in_channels / d.groups, d.kernel_height,
          d.kernel_width};
}

// Layouts to ask the library for; the default leaves all to it, as does the hint of a foreign one.
struct Formats {
  explicit Formats(const ConvDesc& d)
      : src(AnyDesc(DimsOf(d.src_shape()))),
        weights(AnyDesc(WeightsDims(d))),
        dst(AnyDesc(DimsOf(d.dst_shape()))) {}

  Formats WithSrc(const Layout& layout) const {
    Formats formats = *this;
    if (!IsForeign(layout)) formats.src = DescOf(layout);
    return formats;
  }
  Formats WithWeights(const Layout& layout) const {
    Formats formats = *this;
    if (!IsForeign(layout)) formats.weights = DescOf(layout, weights.dims());
    return formats;
  }
  Formats WithDst(const Layout& layout) const {
    Formats formats = *this;
    if (!IsForeign(layout)) formats.dst = DescOf(layout);
    return formats;
  }

  memory::desc src, weights, dst;
};

memory::desc BiasDesc(const ConvDesc& d) {
  return d.bias ? PlainDesc({d.out_channels}) : memory::desc();
}

Forward::primitive_desc ForwardDesc(const ConvDesc& d, const Formats& formats,
                                    const dnnl::primitive_attr& attributes) {
  return {Forward::desc(dnnl::prop_kind::forward_training, kAlgorithm, formats.src, formats.weights,
                        BiasDesc(d), formats.dst, {d.stride_height, d.stride_width},
                        {d.pad_top, d.pad_left}, {d.pad_bottom, d.pad_right}),
          attributes, Engine()};
}

BackwardData::primitive_desc BackwardDataDesc(const ConvDesc& d, const Formats& formats) {
  return {BackwardData::desc(kAlgorithm, formats.src, formats.weights, formats.dst,
                             {d.stride_height, d.stride_width}, {d.pad_top, d.pad_left},
                             {d.pad_bottom, d.pad_right}),
          Attributes(), Engine(), ForwardDesc(d, Formats(d), Attributes())};
}

BackwardWeights::primitive_desc BackwardWeightsDesc(const ConvDesc& d, const Formats& formats) {
  return {BackwardWeights::desc(kAlgorithm, formats.src, formats.weights, BiasDesc(d), formats.dst,
                                {d.stride_height, d.stride_width}, {d.pad_top, d.pad_left},
                                {d.pad_bottom, d.pad_right}),
          Attributes(), Engine(), ForwardDesc(d, Formats(d), Attributes())};
}

// The first candidate with direct code, else the first that is at least not slow, else any.
template <class Make>
auto Choose(const Make& make, std::initializer_list<Formats> candidates) {
  std::optional<decltype(make(*candidates.begin()))> best;
  for (const Formats& formats : candidates) {
    try {
      auto desc = make(formats);
      if (IsDirect(desc.impl_info_str())) return desc;
      if (!best || (IsSlow(best->impl_info_str()) && !IsSlow(desc.impl_info_str()))) best = desc;
    } catch (const dnnl::error&) {
      // The library has nothing at all for these layouts.
    }
  }
  if (!best) throw dnnl::error(dnnl_unimplemented, "no implementation");
  return *best;
}

}  // namespace

Backend::OpResult OnednnBackend::ConvForward(const ConvDesc& d, const Layout& src) {
  return Refusable("conv", [&]() -> OpResult {
    UseThreads(threads_);
    const dnnl::primitive_attr attributes = Attributes(d.activation, d.slope);
    const auto make = [&](const Formats& formats) { return ForwardDesc(d, formats, attributes); };
    const Formats free(d);
    const Forward::primitive_desc desc = Choose(make, {free.WithSrc(src), free});
    std::vector<OnednnArgument> arguments = {{DNNL_ARG_SRC, desc.src_desc()},
                                             {DNNL_ARG_WEIGHTS, desc.weights_desc()}};
    if (d.bias) arguments.push_back({DNNL_ARG_BIAS, desc.bias_desc()});
    arguments.push_back({DNNL_ARG_DST, desc.dst_desc()});
    return MakeOnednnOp(PlanOf<Forward::primitive_desc, Forward>(desc, threads_),
                        WeightedForwardPorts({LayoutOf(d.src_shape(), desc.src_desc()),
                                              LayoutOf(d.weights_shape(), desc.weights_desc()),
                                              LayoutOf(d.dst_shape(), desc.dst_desc()), d.bias}),
                        std::move(arguments));
  });
}

Backend::OpResult OnednnBackend::ConvBackwardData(const ConvDesc& d, const Layout& diff_dst,
                                                  const Layout& src) {
  return Refusable("conv backward data", [&]() -> OpResult {
    UseThreads(threads_);
    const auto make = [&](const Formats& formats) { return BackwardDataDesc(d, formats); };
    const Formats free(d);
    const BackwardData::primitive_desc desc =
        Choose(make, {free.WithSrc(src).WithDst(diff_dst), free.WithSrc(src), free});
    return MakeOnednnOp(
        PlanOf<BackwardData::primitive_desc, BackwardData>(desc, threads_),
        WeightedBackwardDataPorts({LayoutOf(d.src_shape(), desc.diff_src_desc()),
                                   LayoutOf(d.weights_shape(), desc.weights_desc()),
                                   LayoutOf(d.dst_shape(), desc.diff_dst_desc()), d.bias}),
        {{DNNL_ARG_DIFF_DST, desc.diff_dst_desc()},
         {DNNL_ARG_WEIGHTS, desc.weights_desc()},
         {DNNL_ARG_DIFF_SRC, desc.diff_src_desc()}});
  });
}

Backend::OpResult OnednnBackend::ConvBackwardWeights(const ConvDesc& d, const Layout& src,
                                                     const Layout& diff_dst,
                                                     const Layout& weights) {
  return Refusable("conv backward weights", [&]() -> OpResult {
    UseThreads(threads_);
    const auto make = [&](const Formats& formats) { return BackwardWeightsDesc(d, formats); };
    const Formats free(d);
    const Formats fixed = free.WithSrc(src).WithDst(diff_dst);
    const BackwardWeights::primitive_desc desc =
        Choose(make, {fixed.WithWeights(weights), free.WithWeights(weights), fixed, free});
    std::vector<OnednnArgument> arguments = {{DNNL_ARG_SRC, desc.src_desc()},
                                             {DNNL_ARG_DIFF_DST, desc.diff_dst_desc()},
                                             {DNNL_ARG_DIFF_WEIGHTS, desc.diff_weights_desc()}};
    if (d.bias) arguments.push_back({DNNL_ARG_DIFF_BIAS, desc.diff_bias_desc()});
    return MakeOnednnOp(
        PlanOf<BackwardWeights::primitive_desc, BackwardWeights>(desc, threads_),
        WeightedBackwardWeightsPorts({LayoutOf(d.src_shape(), desc.src_desc()),
                                      LayoutOf(d.weights_shape(), desc.diff_weights_desc()),
                                      LayoutOf(d.dst_shape(), desc.diff_dst_desc()), d.bias}),
        std::move(arguments));
  });
}

}  // namespace weft::kernel
