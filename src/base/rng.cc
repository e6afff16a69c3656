#include "base/rng.h"

#include <cmath>
#include <numbers>

namespace weft::base {

double Rng::NextNormal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - NextUniform()));
  return radius * std::cos(2.0 * std::numbers::pi * NextUniform());
}

}  // namespace weft::base
