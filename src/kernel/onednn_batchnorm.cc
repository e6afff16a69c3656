#include "kernel/onednn_backend.h"
#include "kernel/onednn_op.h"
#include "kernel/ports.h"

namespace weft::kernel {

namespace {

using Forward = dnnl::batch_normalization_forward;
using Backward = dnnl::batch_normalization_backward;
using Flags = dnnl::normalization_flags;

const Flags kAffine = Flags::use_scale | Flags::use_shift;

// Features are images of one pixel.
memory::desc DataDesc(const BatchnormDesc& d, const Layout& src) {
  const memory::dims dims = DimsOf(d.src);
  return DescOf(src, dims.size() == 2 ? memory::dims{dims[0], dims[1], 1, 1} : dims);
}

Forward::primitive_desc ForwardDesc(const BatchnormDesc& d, const memory::desc& data) {
  const Flags flags = d.relu ? kAffine | Flags::fuse_norm_relu : kAffine;
  return {Forward::desc(dnnl::prop_kind::forward_training, data, d.eps, flags), Attributes(),
          Engine()};
}

Backward::primitive_desc BackwardDesc(const BatchnormDesc& d, const memory::desc& data) {
  const Flags flags = d.relu ? kAffine | Flags::fuse_norm_relu : kAffine;
  return {Backward::desc(dnnl::prop_kind::backward, data, data, d.eps, flags), Attributes(),
          Engine(), ForwardDesc(d, data)};
}

}  // namespace

Backend::OpResult OnednnBackend::BatchnormForward(const BatchnormDesc& d, const Layout& src) {
  return Refusable("batchnorm", [&]() -> OpResult {
    UseThreads(threads_);
    const memory::desc data = DataDesc(d, src);
    const Forward::primitive_desc desc = ForwardDesc(d, data);
    // Both passes or none: the workspace of the one is only understood by the other.
    if (IsSlow(BackwardDesc(d, data).impl_info_str())) {
      return base::Unimplemented("onednn: batchnorm: only a slow backward pass");
    }
    const memory::desc channels = PlainDesc({d.src[1]});
    const memory::desc workspace = desc.workspace_desc();
    std::vector<OnednnArgument> arguments = {
        {DNNL_ARG_SRC, data}, {DNNL_ARG_SCALE, channels}, {DNNL_ARG_SHIFT, channels},
        {DNNL_ARG_DST, data}, {DNNL_ARG_MEAN, channels},  {DNNL_ARG_VARIANCE, channels}};
    if (d.relu) arguments.push_back({DNNL_ARG_WORKSPACE, workspace});
    return MakeOnednnOp(PlanOf<Forward::primitive_desc, Forward>(desc, threads_),
                        BatchnormForwardPorts(src, d.relu ? workspace.get_size() : 0),
                        std::move(arguments));
  });
}

Backend::OpResult OnednnBackend::BatchnormInference(const BatchnormDesc& d, const Layout& src) {
  return Refusable("batchnorm inference", [&]() -> OpResult {
    UseThreads(threads_);
    const memory::desc data = DataDesc(d, src);
    const Flags flags = kAffine | Flags::use_global_stats;
    const Forward::primitive_desc desc(
        Forward::desc(dnnl::prop_kind::forward_inference, data, d.eps, flags),
        Attributes(d.relu ? Activation::kRelu : Activation::kNone), Engine());
    const memory::desc channels = PlainDesc({d.src[1]});
    return MakeOnednnOp(PlanOf<Forward::primitive_desc, Forward>(desc, threads_),
                        BatchnormInferencePorts(src),
                        {{DNNL_ARG_SRC, data},
                         {DNNL_ARG_SCALE, channels},
                         {DNNL_ARG_SHIFT, channels},
                         {DNNL_ARG_MEAN, channels},
                         {DNNL_ARG_VARIANCE, channels},
                         {DNNL_ARG_DST, data}});
  });
}

Backend::OpResult OnednnBackend::BatchnormBackward(const BatchnormDesc& d, const Layout& src,
                                                   const Layout&) {
  return Refusable("batchnorm backward", [&]() -> OpResult {
    UseThreads(threads_);
    const memory::desc data = DataDesc(d, src);
    const Backward::primitive_desc desc = BackwardDesc(d, data);
    if (IsSlow(ForwardDesc(d, data).impl_info_str())) {
      return base::Unimplemented("onednn: batchnorm backward: only a slow forward pass");
    }
    const memory::desc channels = PlainDesc({d.src[1]});
    const memory::desc workspace = desc.workspace_desc();
    // The library counts beta among the inputs here too, though the gradient does not depend on it.
    std::vector<OnednnArgument> arguments = {{DNNL_ARG_SRC, data},
                                             {DNNL_ARG_MEAN, channels},
                                             {DNNL_ARG_VARIANCE, channels},
                                             {DNNL_ARG_SCALE, channels, DNNL_ARG_SHIFT},
                                             {DNNL_ARG_DIFF_DST, data}};
    if (d.relu) arguments.push_back({DNNL_ARG_WORKSPACE, workspace});
    arguments.push_back({DNNL_ARG_DIFF_SRC, data});
    arguments.push_back({DNNL_ARG_DIFF_SCALE, channels});
    arguments.push_back({DNNL_ARG_DIFF_SHIFT, channels});
    return MakeOnednnOp(PlanOf<Backward::primitive_desc, Backward>(desc, threads_),
                        BatchnormBackwardPorts(src, d.relu ? workspace.get_size() : 0),
                        std::move(arguments));
  });
}

}  // namespace weft::kernel
