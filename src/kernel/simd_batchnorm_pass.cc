#include "kernel/simd_batchnorm_pass.h"

namespace weft::kernel {

namespace {

// One slice if each thread then gets an equal share of whole blocks, or nearly.
int64_t SlicesOf(const BatchnormGeometry& g, int64_t threads) {
  constexpr int64_t kEnough = 4;
  if (g.blocks % threads == 0 || g.blocks >= kEnough * threads) return 1;
  return std::min(g.rows, threads);
}

}  // namespace

BatchnormWork::BatchnormWork(const BatchnormGeometry& geometry, int threads)
    : geometry_(geometry),
      threads_(static_cast<size_t>(geometry.all_groups() * geometry.lanes) < kParallelFloor
                   ? 1
                   : threads),
      slices_(SlicesOf(geometry, threads_)) {}

}  // namespace weft::kernel
