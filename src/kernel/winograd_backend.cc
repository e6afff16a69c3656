#include "kernel/winograd_backend.h"

#include <algorithm>

#include "kernel/function_op.h"
#include "kernel/onednn_layout.h"
#include "kernel/parallel.h"
#include "kernel/ports.h"
#include "kernel/simd_loops.h"
#include "kernel/winograd_plan.h"

namespace weft::kernel {

namespace {

// With fewer, the transforms cost about what the products save.
constexpr int64_t kLeastChannels = 16;

// The `part`th of `parts` contiguous shares of [0, n).
WinogradRange ShareOf(int64_t n, int64_t part, int64_t parts) {
  return {n * part / parts, n * (part + 1) / parts};
}

// Forward and data gradient.
class Convolution {
 public:
  Convolution(const WinogradConv& conv, bool transposed, float slope, int threads)
      : conv_(conv), plan_(conv), slope_(slope), threads_(threads) {
    product_.block = conv.src.block;
    product_.points = conv.grid.points();
    product_.in_vectors = conv.in_vectors();
    product_.v = plan_.patches.strides;
    product_.u = plan_.kernels.strides;
    product_.m = plan_.sums.strides;
    kernels_ = {conv.grid.tile,
                {conv.src.block, conv.dst.channels, conv.src.channels},
                transposed,
                {},
                plan_.kernels.strides};
    if (transposed) std::swap(kernels_.shape.in, kernels_.shape.out);
  }

  size_t scratch_bytes() const { return plan_.scratch.bytes(threads_); }

  // bias may be null.
  void Run(const float* src, const float* weights, const float* bias, float* dst,
           float* scratch) const {
    float* own = scratch + plan_.scratch.shared;
    if (plan_.by_channels) {
      ParallelItems(conv_.in_vectors(), threads_, [&](int64_t vector) {
        Transform({vector, vector + 1}, {0, plan_.tiles}, src, scratch);
      });
      ParallelItems(threads_, threads_, [&](int64_t part) {
        float* const kernels = own + part * plan_.scratch.own;
        float* const sums = kernels + plan_.kernels.floats();
        const WinogradRange vectors = VectorsOf(part);
        for (int64_t at = vectors.begin; at < vectors.end; at += plan_.vectors) {
          const WinogradRange slice = {at, std::min(at + plan_.vectors, vectors.end)};
          Transform(slice, weights, kernels);
          Multiply(slice, {0, plan_.tiles}, scratch, kernels, sums);
          Finish(slice, {0, plan_.tiles}, sums, bias, dst);
        }
      });
      return;
    }
    ParallelItems(conv_.out_vectors(), threads_, [&](int64_t vector) {
      Transform({vector, vector + 1}, weights, scratch + vector * plan_.kernels.strides.vector);
    });
    const int64_t blocks = (conv_.grid.tiles() + plan_.tiles - 1) / plan_.tiles;
    ParallelItems(threads_, threads_, [&](int64_t part) {
      float* const patches = own + part * plan_.scratch.own;
      float* const sums = patches + plan_.patches.floats();
      const WinogradRange share = ShareOf(blocks, part, threads_);
      for (int64_t block = share.begin; block < share.end; ++block) {
        const WinogradRange tiles = ShareOf(conv_.grid.tiles(), block, blocks);
        Transform({0, conv_.in_vectors()}, tiles, src, patches);
        for (int64_t at = 0; at < conv_.out_vectors(); at += plan_.vectors) {
          const WinogradRange slice = {at, std::min(at + plan_.vectors, conv_.out_vectors())};
          Multiply(slice, tiles, patches, scratch + at * plan_.kernels.strides.vector, sums);
          Finish(slice, tiles, sums, bias, dst);
        }
      }
    });
  }

 private:
  // A thread's output vectors, in whole slices.
  WinogradRange VectorsOf(int64_t part) const {
    const int64_t slices = (conv_.out_vectors() + plan_.vectors - 1) / plan_.vectors;
    const WinogradRange share = ShareOf(slices, part, threads_);
    return {share.begin * plan_.vectors, std::min(share.end * plan_.vectors, conv_.out_vectors())};
  }

  void Transform(const WinogradRange& vectors, const WinogradRange& tiles, const float* src,
                 float* patches) const {
    WinogradInput({conv_.grid, conv_.src, conv_.pad_top, conv_.pad_left, vectors, tiles,
                   plan_.patches.strides},
                  src, patches);
  }

  void Transform(const WinogradRange& vectors, const float* weights, float* to) const {
    WinogradKernels kernels = kernels_;
    kernels.vectors = vectors;
    WinogradWeights(kernels, weights, to);
  }

  void Multiply(const WinogradRange& vectors, const WinogradRange& tiles, const float* patches,
                const float* kernels, float* sums) const {
    WinogradProduct product = product_;
    product.tiles = tiles.size();
    product.out_vectors = vectors.size();
    WinogradMultiply(product, patches, kernels, sums);
  }

  void Finish(const WinogradRange& vectors, const WinogradRange& tiles, const float* sums,
              const float* bias, float* dst) const {
    WinogradOutput({conv_.grid, conv_.dst, vectors, tiles, plan_.sums.strides, slope_}, sums, bias,
                   dst);
  }

  WinogradConv conv_;
  WinogradForwardPlan plan_;
  WinogradProduct product_;
  WinogradKernels kernels_;
  float slope_;
  int threads_;
};

class WeightsGradient {
 public:
  WeightsGradient(const WinogradConv& conv, int threads)
      : conv_(conv), plan_(conv), threads_(threads) {
    product_.block = conv.src.block;
    product_.points = conv.grid.points();
    product_.in_vectors = conv.in_vectors();
    product_.v = plan_.patches.strides;
    product_.y = plan_.diffs.strides;
    product_.d = plan_.sums.strides;
    kernels_ = {conv.grid.tile,
                {conv.src.block, conv.dst.channels, conv.src.channels},
                false,
                {},
                plan_.sums.strides};
  }

  size_t scratch_bytes() const { return plan_.scratch.bytes(threads_); }

  // diff_bias may be null.
  void Run(const float* src, const float* diff_dst, float* diff_weights, float* diff_bias,
           float* scratch) const {
    if (plan_.by_channels) {
      RunByChannels(src, diff_dst, diff_weights, scratch);
    } else {
      RunByTiles(src, diff_dst, diff_weights, scratch);
    }
    if (diff_bias == nullptr) return;
    ParallelItems(conv_.out_vectors(), threads_, [&](int64_t vector) {
      WinogradBiasGradient(conv_.dst, conv_.grid.batch, {vector, vector + 1}, diff_dst, diff_bias);
    });
  }

 private:
  void RunByChannels(const float* src, const float* diff_dst, float* diff_weights,
                     float* scratch) const {
    const WinogradRange all = {0, plan_.tiles};
    float* const diffs = scratch + plan_.patches.floats();
    float* const own = scratch + plan_.scratch.shared;
    ParallelItems(conv_.in_vectors() + conv_.out_vectors(), threads_, [&](int64_t item) {
      const int64_t out = item - conv_.in_vectors();
      if (out < 0) {
        WinogradInput(Patches({item, item + 1}, all), src, scratch);
      } else {
        WinogradDiff(Diffs({out, out + 1}, all), diff_dst, diffs);
      }
    });
    const int64_t slices = (conv_.out_vectors() + plan_.vectors - 1) / plan_.vectors;
    ParallelItems(threads_, threads_, [&](int64_t part) {
      float* const sums = own + part * plan_.scratch.own;
      const WinogradRange share = ShareOf(slices, part, threads_);
      for (int64_t slice = share.begin; slice < share.end; ++slice) {
        const int64_t at = slice * plan_.vectors;
        const WinogradRange vectors = {at, std::min(at + plan_.vectors, conv_.out_vectors())};
        Multiply(vectors.size(), all.size(), false, scratch,
                 diffs + at * plan_.diffs.strides.vector, sums);
        Finish(vectors, sums, diff_weights);
      }
    });
  }

  void RunByTiles(const float* src, const float* diff_dst, float* diff_weights,
                  float* scratch) const {
    const int64_t blocks = (conv_.grid.tiles() + plan_.tiles - 1) / plan_.tiles;
    const int64_t parts = std::min<int64_t>(threads_, blocks);
    ParallelItems(parts, threads_, [&](int64_t part) {
      float* const sums = scratch + part * plan_.scratch.own;
      float* const patches = sums + plan_.sums.floats();
      float* const diffs = patches + plan_.patches.floats();
      const WinogradRange share = ShareOf(blocks, part, parts);
      for (int64_t block = share.begin; block < share.end; ++block) {
        const WinogradRange tiles = ShareOf(conv_.grid.tiles(), block, blocks);
        WinogradInput(Patches({0, conv_.in_vectors()}, tiles), src, patches);
        WinogradDiff(Diffs({0, conv_.out_vectors()}, tiles), diff_dst, diffs);
        Multiply(conv_.out_vectors(), tiles.size(), block > share.begin, patches, diffs, sums);
      }
    });
    ParallelItems(plan_.sums.points, threads_, [&](int64_t point) {
      float* const total = scratch + point * plan_.sums.strides.point;
      for (int64_t part = 1; part < parts; ++part) {
        AddLoop(total, total + part * plan_.scratch.own, total,
                static_cast<size_t>(conv_.out_vectors() * plan_.sums.strides.vector));
      }
    });
    ParallelItems(conv_.out_vectors(), threads_, [&](int64_t vector) {
      Finish({vector, vector + 1}, scratch + vector * plan_.sums.strides.vector, diff_weights);
    });
  }

  WinogradPatches Patches(const WinogradRange& vectors, const WinogradRange& tiles) const {
    return {conv_.grid, conv_.src, conv_.pad_top,        conv_.pad_left,
            vectors,    tiles,     plan_.patches.strides};
  }

  WinogradPatches Diffs(const WinogradRange& vectors, const WinogradRange& tiles) const {
    return {conv_.grid, conv_.dst, 0, 0, vectors, tiles, plan_.diffs.strides};
  }

  void Multiply(int64_t out_vectors, int64_t tiles, bool add, const float* patches,
                const float* diffs, float* sums) const {
    WinogradGradientProduct product = product_;
    product.out_vectors = out_vectors;
    product.tiles = tiles;
    product.add = add;
    WinogradMultiplyGradient(product, patches, diffs, sums);
  }

  void Finish(const WinogradRange& vectors, const float* sums, float* diff_weights) const {
    WinogradKernels kernels = kernels_;
    kernels.vectors = vectors;
    WinogradWeightsGradient(kernels, sums, diff_weights);
  }

  WinogradConv conv_;
  WinogradGradientPlan plan_;
  WinogradGradientProduct product_;
  WinogradKernels kernels_;
  int threads_;
};

template <class Math, class Body>
Backend::OpResult MakeOp(std::string name, std::vector<Port> ports, const Math& math, Body body) {
  return std::unique_ptr<Op>(std::make_unique<FunctionOp>(
      std::move(name) + ":" + SimdTarget(), std::move(ports),
      [math, body](const Arguments& args) { body(math, args); }, math.scratch_bytes()));
}

}  // namespace

WinogradBackend::WinogradBackend(const BackendOptions& options, int tile)
    : threads_(options.threads), tile_(tile) {
  CHECK(tile == 2 || tile == 4);
}

std::string WinogradBackend::name() const { return tile_ == 2 ? "winograd:2x2" : "winograd:4x4"; }

Result<int64_t> WinogradBackend::BlockFor(const ConvDesc& d, const Layout& hint) const {
  const auto refuse = [&](const char* why) { return base::Unimplemented(name() + ": " + why); };
  if (d.kernel_height != 3 || d.kernel_width != 3) return refuse("not 3x3");
  if (d.stride_height != 1 || d.stride_width != 1) return refuse("a stride");
  if (d.groups != 1) return refuse("groups");
  for (const int64_t pad : {d.pad_top, d.pad_left, d.pad_bottom, d.pad_right}) {
    if (pad > 2) return refuse("a padding above 2");
  }
  for (const int64_t extent : {d.in_height, d.in_width, d.out_height(), d.out_width()}) {
    if (extent < tile_) return refuse("an image smaller than a tile");
  }
  int64_t block = ChannelBlockOf(hint);
  if (block == 0) block = WinogradLanes(16) == 16 ? 16 : 8;
  if (std::min(d.in_channels, d.out_channels) < kLeastChannels) return refuse("few channels");
  if (d.in_channels % block != 0 || d.out_channels % block != 0) {
    return refuse("channels that do not fill blocks");
  }
  return block;
}

Backend::OpResult WinogradBackend::ConvForward(const ConvDesc& d, const Layout& src) {
  ASSIGN_OR_RETURN(const int64_t block, BlockFor(d, src));
  return MakeOp(name(),
                WeightedForwardPorts({ImageLayout(d.src_shape(), block),
                                      WeightsLayout(d.weights_shape(), block),
                                      ImageLayout(d.dst_shape(), block), d.bias}),
                Convolution(WinogradConv::Forward(d, tile_, block), false,
                            SlopeOf(d.activation, d.slope), threads_),
                [bias = d.bias](const Convolution& math, const Arguments& args) {
                  math.Run(args.in(0), args.in(1), bias ? args.in(2) : nullptr,
                           args.out(bias ? 3 : 2), args.scratch<float>());
                });
}

Backend::OpResult WinogradBackend::ConvBackwardData(const ConvDesc& d, const Layout& diff_dst,
                                                    const Layout&) {
  ASSIGN_OR_RETURN(const int64_t block, BlockFor(d, diff_dst));
  return MakeOp(name(),
                WeightedBackwardDataPorts({ImageLayout(d.src_shape(), block),
                                           WeightsLayout(d.weights_shape(), block),
                                           ImageLayout(d.dst_shape(), block), d.bias}),
                Convolution(WinogradConv::BackwardData(d, tile_, block), true, 1, threads_),
                [](const Convolution& math, const Arguments& args) {
                  math.Run(args.in(0), args.in(1), nullptr, args.out(2), args.scratch<float>());
                });
}

Backend::OpResult WinogradBackend::ConvBackwardWeights(const ConvDesc& d, const Layout& src,
                                                       const Layout&, const Layout&) {
  ASSIGN_OR_RETURN(const int64_t block, BlockFor(d, src));
  return MakeOp(name(),
                WeightedBackwardWeightsPorts({ImageLayout(d.src_shape(), block),
                                              WeightsLayout(d.weights_shape(), block),
                                              ImageLayout(d.dst_shape(), block), d.bias}),
                WeightsGradient(WinogradConv::Forward(d, tile_, block), threads_),
                [bias = d.bias](const WeightsGradient& math, const Arguments& args) {
                  math.Run(args.in(0), args.in(1), args.out(2), bias ? args.out(3) : nullptr,
                           args.scratch<float>());
                });
}

}  // namespace weft::kernel
