#include "cluster/back_off.h"

#include <algorithm>

namespace weft::cluster {

Duration BackOff::Next() {
  const double wait = seconds_ * rng_.NextUniform(0.5, 1.0);
  seconds_ = std::min(seconds_ * kGrowth, kLastSeconds);
  return Duration(static_cast<int64_t>(wait * 1e9));
}

}  // namespace weft::cluster
