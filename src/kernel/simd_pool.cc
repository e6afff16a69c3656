// Max pooling of channel-blocked images and of those with samples as lanes. oneDNN's own is ten
// times slower where the channels do not fill a block, as in the first layers of small networks.
// The padded channels or samples of a block are pooled like any others: they hold zeros and stay
// zeros.

#include "kernel/function_op.h"
#include "kernel/lane_layout.h"
#include "kernel/onednn_layout.h"
#include "kernel/parallel.h"
#include "kernel/ports.h"
#include "kernel/simd_backend.h"
#include "kernel/simd_loops.h"
#include "kernel/simd_pool_loops.h"

namespace weft::kernel {

namespace {

// Numbers side by side in one pixel of a plane; 0 for a layout that has no such planes.
int64_t BlockOf(const Layout& layout) {
  return IsLanes(layout) ? kSampleLanes : ChannelBlockOf(layout);
}

// Both passes of one pooling, or neither, run here: they share the workspace.
Status CheckTaken(const PoolDesc& d, const Layout& src) {
  if (d.kind != PoolDesc::Kind::kMax) return base::Unimplemented("simd: pool: average");
  if (BlockOf(src) == 0) return base::Unimplemented("simd: pool: not blocked");
  if (d.kernel_height * d.kernel_width > 256) {
    return base::Unimplemented("simd: pool: a window of more than 256 pixels");
  }
  return OkStatus();
}

struct Geometry {
  MaxPoolPlane plane;
  int64_t planes = 0;
  int64_t src_floats = 0, dst_floats = 0;  // of one plane
};

Geometry GeometryOf(const PoolDesc& d, const Layout& src) {
  const Shape dst = d.dst_shape();
  const int64_t block = BlockOf(src);
  Geometry g;
  g.plane = {block,          d.src[2],        d.src[3],       dst[2],    dst[3],    d.kernel_height,
             d.kernel_width, d.stride_height, d.stride_width, d.pad_top, d.pad_left};
  g.planes = IsLanes(src) ? SampleBlocks(d.src[0]) * d.src[1]
                          : d.src[0] * ((d.src[1] + block - 1) / block);
  g.src_floats = d.src[2] * d.src[3] * block;
  g.dst_floats = dst[2] * dst[3] * block;
  return g;
}

PoolLayouts LayoutsOf(const PoolDesc& d, const Layout& src) {
  const Shape dst = d.dst_shape();
  return {src, IsLanes(src) ? LaneLayout(dst) : ImageLayout(dst, ChannelBlockOf(src))};
}

std::string Name() { return std::string("simd:") + SimdTarget(); }

}  // namespace

Backend::OpResult SimdBackend::PoolForward(const PoolDesc& d, const Layout& src, bool training) {
  RETURN_IF_ERROR(CheckTaken(d, src));
  const Geometry g = GeometryOf(d, src);
  const auto workspace = static_cast<size_t>(training ? g.planes * g.dst_floats : 0);
  return std::unique_ptr<Op>(std::make_unique<FunctionOp>(
      Name(), PoolForwardPorts(LayoutsOf(d, src), workspace),
      [g, training, threads = threads_](const Arguments& args) {
        ParallelItems(g.planes, threads, [&](int64_t i) {
          MaxPoolForward(g.plane, args.in(0) + i * g.src_floats, args.out(1) + i * g.dst_floats,
                         training ? args.at<uint8_t>(2) + i * g.dst_floats : nullptr);
        });
      }));
}

Backend::OpResult SimdBackend::PoolBackward(const PoolDesc& d, const Layout&, const Layout& src) {
  RETURN_IF_ERROR(CheckTaken(d, src));
  const Geometry g = GeometryOf(d, src);
  return std::unique_ptr<Op>(std::make_unique<FunctionOp>(
      Name(), PoolBackwardPorts(LayoutsOf(d, src), static_cast<size_t>(g.planes * g.dst_floats)),
      [g, threads = threads_](const Arguments& args) {
        ParallelItems(g.planes, threads, [&](int64_t i) {
          MaxPoolBackward(g.plane, args.in(0) + i * g.dst_floats,
                          args.at<uint8_t>(1) + i * g.dst_floats, args.out(2) + i * g.src_floats);
        });
      }));
}

}  // namespace weft::kernel
