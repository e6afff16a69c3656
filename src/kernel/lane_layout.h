#pragma once
// LaneLayout: images with samples as vector lanes, [N / 16][C][H][W][16 samples]. A kernel of few
// channels fills its vectors here, where a channel-blocked form would multiply mostly padding. The
// last block of samples is filled up with zeros.

#include "kernel/layout.h"

namespace weft::kernel {

inline constexpr int64_t kSampleLanes = 16;

// The layout of an (N, C, H, W) image.
Layout LaneLayout(const Shape& shape);
bool IsLanes(const Layout& layout);

// Blocks of samples in a batch.
inline int64_t SampleBlocks(int64_t batch) { return (batch + kSampleLanes - 1) / kSampleLanes; }

}  // namespace weft::kernel
