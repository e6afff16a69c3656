#pragma once
// WinogradBackend: 3x3 convolutions of stride 1 by Winograd's minimal filtering (winograd_loops.h),
// all three passes. Wants images and weights blocked by channels, as oneDNN's direct convolutions
// leave them, so that the two can be mixed within a network. Refuses fewer than 16 channels,
// channels that do not fill blocks, groups, paddings above 2 and images smaller than a tile.

#include "kernel/partial_backend.h"

namespace weft::kernel {

class WinogradBackend : public PartialBackend {
 public:
  // `tile`: outputs an axis of a tile, 2 or 4; F(tile x tile, 3 x 3).
  WinogradBackend(const BackendOptions& options, int tile);

  std::string name() const override;

  OpResult ConvForward(const ConvDesc& desc, const Layout& src) override;
  OpResult ConvBackwardData(const ConvDesc& desc, const Layout& diff_dst,
                            const Layout& src) override;
  OpResult ConvBackwardWeights(const ConvDesc& desc, const Layout& src, const Layout& diff_dst,
                               const Layout& weights) override;

 private:
  // The block of channels to use for images that arrive as `hint`.
  Result<int64_t> BlockFor(const ConvDesc& desc, const Layout& hint) const;

  int threads_;
  int tile_;
};

}  // namespace weft::kernel
