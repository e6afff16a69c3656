#pragma once
// synthetic:shapes: ten kinds of drawn shapes, 32x32 in colour, made from a seed: a data set that
// needs no download. Place, size, tilt, both colours (either may be the brighter) and noise vary,
// so that no pixel by itself says much: a linear model stays low where a small CNN does well.

#include <cstdint>
#include <memory>
#include <span>

#include "base/status.h"
#include "data/dataset.h"
#include "data/source.h"

namespace weft::data {

inline constexpr int64_t kShapesSide = 32;
inline constexpr int64_t kShapesPixels = 3 * kShapesSide * kShapesSide;
inline constexpr int64_t kShapesClasses = 10;  // sample i is of class i mod 10

struct ShapesOptions {
  int64_t n = 6000;
  uint64_t seed = 1;
  double noise = 0.1;  // standard deviation, of a pixel in [0, 1]
  bool train = true;   // the test split is another stream of the same seed
};

// Draws sample `index` and returns its class: a pure function of (seed, noise, train, index).
//   pixels  [3, 32, 32] u8, written
// Threads: any.
int32_t DrawShape(const ShapesOptions& options, int64_t index, std::span<uint8_t> pixels);

// "synthetic:shapes?n=6000&seed=1&noise=0.1"; n is 6000 for training and 2000 for testing unless
// given, at most 1,000,000 (3 GB). Errors: kInvalidArgument for another place or parameter.
Result<std::unique_ptr<Dataset>> OpenSynthetic(const Source& source, bool train);

}  // namespace weft::data
