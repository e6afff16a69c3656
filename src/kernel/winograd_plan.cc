#include "kernel/winograd_plan.h"

#include <algorithm>

namespace weft::kernel {

namespace {

constexpr int64_t kPatchBytes = 384 << 10;  // of a block's patches: most of a second-level cache
constexpr int64_t kLeastTiles = 28;  // of a block: enough products for each transformed weight
constexpr int64_t kGradientTiles = 96;
constexpr int64_t kSpread = 16;  // floats: a cache line

int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

}  // namespace

WinogradConv WinogradConv::Forward(const ConvDesc& d, int tile, int64_t block) {
  WinogradConv conv;
  conv.src = {block, d.in_channels, d.in_height, d.in_width};
  conv.dst = {block, d.out_channels, d.out_height(), d.out_width()};
  conv.pad_top = d.pad_top;
  conv.pad_left = d.pad_left;
  conv.grid = {tile, (conv.dst.height + tile - 1) / tile, (conv.dst.width + tile - 1) / tile,
               d.batch};
  return conv;
}

WinogradConv WinogradConv::BackwardData(const ConvDesc& d, int tile, int64_t block) {
  WinogradConv conv = Forward(d, tile, block);
  std::swap(conv.src, conv.dst);
  conv.pad_top = 2 - d.pad_top;
  conv.pad_left = 2 - d.pad_left;
  conv.grid.rows = (conv.dst.height + tile - 1) / tile;
  conv.grid.cols = (conv.dst.width + tile - 1) / tile;
  return conv;
}

WinogradArray::WinogradArray(const WinogradGrid& grid, int64_t vectors, int64_t items,
                             int64_t lanes)
    : points(grid.points()),
      strides{RoundUp(vectors * items * lanes, kSpread) + kSpread, items * lanes} {}

WinogradForwardPlan::WinogradForwardPlan(const WinogradConv& conv) {
  const int64_t lanes = WinogradLanes(conv.src.block);
  const int64_t all = conv.grid.tiles();
  by_channels = all <= conv.dst.channels;
  const int64_t fitting = kPatchBytes / (conv.grid.points() * conv.src.channels * 4);
  tiles = by_channels ? all : std::min(all, std::max(fitting, kLeastTiles));
  vectors = std::min(conv.out_vectors(), by_channels ? WinogradColumns() : 2 * WinogradColumns());
  patches = WinogradArray(conv.grid, conv.in_vectors(), tiles, lanes);
  kernels = WinogradArray(conv.grid, by_channels ? vectors : conv.out_vectors(), conv.src.channels,
                          lanes);
  sums = WinogradArray(conv.grid, vectors, tiles, lanes);
  scratch.own = sums.floats() + (by_channels ? kernels : patches).floats();
  scratch.shared = (by_channels ? patches : kernels).floats();
}

WinogradGradientPlan::WinogradGradientPlan(const WinogradConv& conv) {
  const int64_t lanes = WinogradLanes(conv.src.block);
  const int64_t all = conv.grid.tiles();
  const int64_t in = conv.src.channels, out = conv.dst.channels;
  by_channels = all * (in + out) <= 2 * in * out;
  tiles = by_channels ? all : std::min(all, kGradientTiles);
  vectors = by_channels ? std::min(conv.out_vectors(), WinogradColumns()) : conv.out_vectors();
  patches = WinogradArray(conv.grid, conv.in_vectors(), tiles, lanes);
  diffs = WinogradArray(conv.grid, conv.out_vectors(), tiles, lanes);
  sums = WinogradArray(conv.grid, vectors, in, lanes);
  scratch.own = sums.floats() + (by_channels ? 0 : patches.floats() + diffs.floats());
  scratch.shared = by_channels ? patches.floats() + diffs.floats() : 0;
}

}  // namespace weft::kernel
