#pragma once
// ProfileNet: one of the small networks that `weft profile` trains to time their ops. Between them
// they hold each kind of op over a grid of sizes: channels against pixels along the lines on which
// networks lie, kernels of 1x1 to 5x5, strides, depthwise, first layers, wide and narrow linear
// layers.

#include <cstdint>
#include <string>
#include <vector>

namespace weft::app {

struct ProfileNet {
  std::string name;
  std::string text;              // a model file (model/graph.h)
  std::vector<int64_t> batches;  // at which to time it
};

// In the order of what they cost, so that a slow device that runs out of time has met each kind of
// op before the large ones.
std::vector<ProfileNet> ProfileNets();

}  // namespace weft::app
