#include "kernel/onednn_backend.h"
#include "kernel/onednn_op.h"
#include "kernel/ports.h"

namespace weft::kernel {

Backend::OpResult OnednnBackend::Reorder(const Layout& src, const Layout& dst) {
  if (IsForeign(src) || IsForeign(dst)) {
    return base::Unimplemented("onednn: reorder: a layout of another backend");
  }
  return Refusable("reorder", [&]() -> OpResult {
    UseThreads(threads_);
    // A plain side takes the extents under which the library knows the blocked one.
    const memory::dims dims = src.plain() ? DescOf(dst).dims() : DescOf(src).dims();
    const memory::desc from = DescOf(src, dims);
    const memory::desc to = DescOf(dst, dims);
    const dnnl::reorder::primitive_desc desc(Engine(), from, Engine(), to, Attributes());
    return MakeOnednnOp(
        PlanOf<dnnl::reorder::primitive_desc, dnnl::reorder>(desc, threads_),
        {TensorPort("src", Access::kRead, src), TensorPort("dst", Access::kWrite, dst)},
        {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  });
}

}  // namespace weft::kernel
