#pragma once
// How a Winograd convolution cuts its work so that transformed numbers stay in the caches, and
// where they lie in the scratch memory.

#include <cstddef>
#include <cstdint>

#include "kernel/backend.h"
#include "kernel/winograd_loops.h"

namespace weft::kernel {

// A convolution seen from its result: forward as described; the data gradient is one from diff_dst
// to diff_src with the kernels turned, their channels exchanged.
struct WinogradConv {
  WinogradGrid grid;  // of the result's images
  BlockedImage src, dst;
  int64_t pad_top = 0, pad_left = 0;  // of src

  static WinogradConv Forward(const ConvDesc& d, int tile, int64_t block);
  static WinogradConv BackwardData(const ConvDesc& d, int tile, int64_t block);

  int64_t in_vectors() const { return src.channels / WinogradLanes(src.block); }
  int64_t out_vectors() const { return dst.channels / WinogradLanes(dst.block); }
};

// Transformed numbers of `items` items for `vectors` vectors of channels. The points are a little
// further apart than they need, lest all fall into one set of a cache.
struct WinogradArray {
  int points = 0;
  WinogradStrides strides;

  WinogradArray() = default;
  WinogradArray(const WinogradGrid& grid, int64_t vectors, int64_t items, int64_t lanes);
  int64_t floats() const { return points * strides.point; }
};

// Scratch memory, in floats.
struct WinogradScratch {
  int64_t shared = 0;  // by all threads, first
  int64_t own = 0;     // of each thread, after that

  size_t bytes(int threads) const {
    return static_cast<size_t>(shared + threads * own) * sizeof(float);
  }
};

// Forward and data gradient. Either all kernels are transformed first and each thread takes blocks
// of tiles (many tiles); or all patches are, and each thread takes slices of the output channels,
// transforming their kernels on the way (many channels).
struct WinogradForwardPlan {
  explicit WinogradForwardPlan(const WinogradConv& conv);

  bool by_channels = false;
  int64_t tiles = 0;    // of a block
  int64_t vectors = 0;  // output vectors of a slice
  WinogradArray patches, kernels, sums;
  WinogradScratch scratch;
};

// The weights' gradient. Either each thread sums over its own tiles for all channels (many tiles),
// or all tiles are transformed first and each thread takes slices of the output channels.
struct WinogradGradientPlan {
  explicit WinogradGradientPlan(const WinogradConv& conv);

  bool by_channels = false;
  int64_t tiles = 0;
  int64_t vectors = 0;
  WinogradArray patches, diffs, sums;
  WinogradScratch scratch;
};

}  // namespace weft::kernel
