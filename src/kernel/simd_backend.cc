#include "kernel/simd_backend.h"

#include "kernel/function_op.h"
#include "kernel/parallel.h"
#include "kernel/ports.h"
#include "kernel/simd_loops.h"

namespace weft::kernel {

namespace {

Backend::OpResult MakeSimdOp(std::vector<Port> ports, FunctionOp::Body body) {
  return std::unique_ptr<Op>(std::make_unique<FunctionOp>(std::string("simd:") + SimdTarget(),
                                                          std::move(ports), std::move(body)));
}

}  // namespace

Backend::OpResult SimdBackend::ActivationForward(const ActivationDesc& desc, const Layout& src) {
  return MakeSimdOp(ActivationForwardPorts(src),
                    [slope = SlopeOf(desc.activation, desc.slope), n = src.floats(),
                     threads = threads_](const Arguments& args) {
                      const float* from = args.in(0);
                      float* dst = args.out(1);
                      ParallelChunks(n, threads, [&](size_t begin, size_t end) {
                        LeakyForward(slope, from + begin, dst + begin, end - begin);
                      });
                    });
}

Backend::OpResult SimdBackend::ActivationBackward(const ActivationDesc& desc,
                                                  const Layout& layout) {
  return MakeSimdOp(ActivationBackwardPorts(layout), [slope = SlopeOf(desc.activation, desc.slope),
                                                      n = layout.floats(),
                                                      threads = threads_](const Arguments& args) {
    const float* dst = args.in(0);
    const float* diff_dst = args.in(1);
    float* diff_src = args.out(2);
    ParallelChunks(n, threads, [&](size_t begin, size_t end) {
      LeakyBackward(slope, dst + begin, diff_dst + begin, diff_src + begin, end - begin);
    });
  });
}

Backend::OpResult SimdBackend::Add(const Layout& layout) {
  return MakeSimdOp(AddPorts(layout),
                    [n = layout.floats(), threads = threads_](const Arguments& args) {
                      const float* a = args.in(0);
                      const float* b = args.in(1);
                      float* dst = args.out(2);
                      ParallelChunks(n, threads, [&](size_t begin, size_t end) {
                        AddLoop(a + begin, b + begin, dst + begin, end - begin);
                      });
                    });
}

}  // namespace weft::kernel
