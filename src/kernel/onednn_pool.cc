#include "kernel/onednn_backend.h"
#include "kernel/onednn_op.h"
#include "kernel/ports.h"

namespace weft::kernel {

namespace {

using Forward = dnnl::pooling_forward;
using Backward = dnnl::pooling_backward;

struct PoolDescs {
  memory::desc src, dst;
};

// dst is blocked as src is; in the place of a foreign layout both are plain.
PoolDescs DescsOf(const PoolDesc& d, const Layout& src) {
  const memory::desc from = IsForeign(src) ? PlainDesc(DimsOf(d.src)) : DescOf(src);
  const memory::desc to = DescLike(from, DimsOf(d.dst_shape()));
  if (to.data.ndims == 0) throw dnnl::error(dnnl_unimplemented, "src of a form it does not know");
  return {from, to};
}

dnnl::algorithm Algorithm(const PoolDesc& d) {
  return d.kind == PoolDesc::Kind::kMax ? dnnl::algorithm::pooling_max
                                        : dnnl::algorithm::pooling_avg_exclude_padding;
}

Forward::primitive_desc ForwardDesc(const PoolDesc& d, const PoolDescs& descs, bool training) {
  const auto kind =
      training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  return {Forward::desc(kind, Algorithm(d), descs.src, descs.dst, {d.stride_height, d.stride_width},
                        {d.kernel_height, d.kernel_width}, {d.pad_top, d.pad_left},
                        {d.pad_bottom, d.pad_right}),
          Attributes(), Engine()};
}

Backward::primitive_desc BackwardDesc(const PoolDesc& d, const PoolDescs& descs) {
  return {Backward::desc(Algorithm(d), descs.src, descs.dst, {d.stride_height, d.stride_width},
                         {d.kernel_height, d.kernel_width}, {d.pad_top, d.pad_left},
                         {d.pad_bottom, d.pad_right}),
          Attributes(), Engine(), ForwardDesc(d, descs, true)};
}

PoolLayouts LayoutsOf(const PoolDesc& d, const PoolDescs& descs) {
  return {LayoutOf(d.src, descs.src), LayoutOf(d.dst_shape(), descs.dst)};
}

}  // namespace

Backend::OpResult OnednnBackend::PoolForward(const PoolDesc& d, const Layout& src, bool training) {
  return Refusable("pool", [&]() -> OpResult {
    UseThreads(threads_);
    const PoolDescs descs = DescsOf(d, src);
    const Forward::primitive_desc desc = ForwardDesc(d, descs, training);
    // Both passes or none: the workspace of the one is only understood by the other.
    if (training && IsSlow(BackwardDesc(d, descs).impl_info_str())) {
      return base::Unimplemented("onednn: pool: only a slow backward pass");
    }
    std::vector<OnednnArgument> arguments = {{DNNL_ARG_SRC, descs.src}, {DNNL_ARG_DST, descs.dst}};
    const memory::desc workspace = desc.workspace_desc();
    if (workspace.get_size() > 0) arguments.push_back({DNNL_ARG_WORKSPACE, workspace});
    return MakeOnednnOp(PlanOf<Forward::primitive_desc, Forward>(desc, threads_),
                        PoolForwardPorts(LayoutsOf(d, descs), workspace.get_size()),
                        std::move(arguments));
  });
}

Backend::OpResult OnednnBackend::PoolBackward(const PoolDesc& d, const Layout&, const Layout& src) {
  return Refusable("pool backward", [&]() -> OpResult {
    UseThreads(threads_);
    const PoolDescs descs = DescsOf(d, src);
    const Backward::primitive_desc desc = BackwardDesc(d, descs);
    if (IsSlow(ForwardDesc(d, descs, true).impl_info_str())) {
      return base::Unimplemented("onednn: pool backward: only a slow forward pass");
    }
    std::vector<OnednnArgument> arguments = {{DNNL_ARG_DIFF_DST, descs.dst}};
    const memory::desc workspace = desc.workspace_desc();
    if (workspace.get_size() > 0) arguments.push_back({DNNL_ARG_WORKSPACE, workspace});
    arguments.push_back({DNNL_ARG_DIFF_SRC, descs.src});
    return MakeOnednnOp(PlanOf<Backward::primitive_desc, Backward>(desc, threads_),
                        PoolBackwardPorts(LayoutsOf(d, descs), workspace.get_size()),
                        std::move(arguments));
  });
}

}  // namespace weft::kernel
