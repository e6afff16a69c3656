// Linear layers as inner products. The weights stay (out, in) with `in` in the order of src, so one
// layout serves all three passes and none needs a reorder.

#include "kernel/onednn_backend.h"
#include "kernel/onednn_op.h"
#include "kernel/ports.h"

namespace weft::kernel {

namespace {

using Forward = dnnl::inner_product_forward;
using BackwardData = dnnl::inner_product_backward_data;
using BackwardWeights = dnnl::inner_product_backward_weights;

struct LinearDescs {
  memory::desc src, weights, dst;
  memory::desc bias;  // empty without a bias

  LinearDescs(const LinearDesc& d, const Layout& layout) : dst(PlainDesc({d.batch, d.out})) {
    if (d.bias) bias = PlainDesc({d.out});
    if (!layout.plain() && !IsForeign(layout)) {
      const memory::dims dims = DimsOf(d.src);
      src = DescOf(layout, dims);
      weights = DescLike(src, {d.out, dims[1], dims[2], dims[3]});
    }
    if (weights.data.ndims == 0) {  // plain, or blocked in a way that weights cannot follow
      src = PlainDesc({d.batch, d.in_features()});
      weights = PlainDesc({d.out, d.in_features()});
    }
  }
};

WeightedLayouts LayoutsOf(const LinearDesc& d, const LinearDescs& descs) {
  return {LayoutOf(d.src, descs.src), LayoutOf(d.weights_shape(), descs.weights),
          Layout(d.dst_shape()), d.bias};
}

Forward::primitive_desc ForwardDesc(const LinearDescs& descs,
                                    const dnnl::primitive_attr& attributes) {
  return {Forward::desc(dnnl::prop_kind::forward_training, descs.src, descs.weights, descs.bias,
                        descs.dst),
          attributes, Engine()};
}

}  // namespace

Backend::OpResult OnednnBackend::LinearForward(const LinearDesc& d, const Layout& src) {
  return Refusable("linear", [&]() -> OpResult {
    UseThreads(threads_);
    const LinearDescs descs(d, src);
    std::vector<OnednnArgument> arguments = {{DNNL_ARG_SRC, descs.src},
                                             {DNNL_ARG_WEIGHTS, descs.weights}};
    if (d.bias) arguments.push_back({DNNL_ARG_BIAS, descs.bias});
    arguments.push_back({DNNL_ARG_DST, descs.dst});
    const auto desc = ForwardDesc(descs, Attributes(d.activation, d.slope));
    return MakeOnednnOp(PlanOf<Forward::primitive_desc, Forward>(desc, threads_),
                        WeightedForwardPorts(LayoutsOf(d, descs)), std::move(arguments));
  });
}

Backend::OpResult OnednnBackend::LinearBackwardData(const LinearDesc& d, const Layout&,
                                                    const Layout& src) {
  return Refusable("linear backward data", [&]() -> OpResult {
    UseThreads(threads_);
    const LinearDescs descs(d, src);
    const BackwardData::primitive_desc desc(BackwardData::desc(descs.src, descs.weights, descs.dst),
                                            Attributes(), Engine(),
                                            ForwardDesc(descs, Attributes()));
    return MakeOnednnOp(PlanOf<BackwardData::primitive_desc, BackwardData>(desc, threads_),
                        WeightedBackwardDataPorts(LayoutsOf(d, descs)),
                        {{DNNL_ARG_DIFF_DST, descs.dst},
                         {DNNL_ARG_WEIGHTS, descs.weights},
                         {DNNL_ARG_DIFF_SRC, descs.src}});
  });
}

Backend::OpResult OnednnBackend::LinearBackwardWeights(const LinearDesc& d, const Layout& src,
                                                       const Layout&, const Layout&) {
  return Refusable("linear backward weights", [&]() -> OpResult {
    UseThreads(threads_);
    const LinearDescs descs(d, src);
    const BackwardWeights::primitive_desc desc(
        BackwardWeights::desc(descs.src, descs.weights, descs.bias, descs.dst), Attributes(),
        Engine(), ForwardDesc(descs, Attributes()));
    std::vector<OnednnArgument> arguments = {{DNNL_ARG_SRC, descs.src},
                                             {DNNL_ARG_DIFF_DST, descs.dst},
                                             {DNNL_ARG_DIFF_WEIGHTS, descs.weights}};
    if (d.bias) arguments.push_back({DNNL_ARG_DIFF_BIAS, descs.bias});
    return MakeOnednnOp(PlanOf<BackwardWeights::primitive_desc, BackwardWeights>(desc, threads_),
                        WeightedBackwardWeightsPorts(LayoutsOf(d, descs)), std::move(arguments));
  });
}

}  // namespace weft::kernel
