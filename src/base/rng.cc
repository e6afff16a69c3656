#include "base/rng.h"

#include <sys/random.h>

#include <cmath>
#include <numbers>

#include "base/check.h"

namespace weft::base {

double Rng::NextNormal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - NextUniform()));
  return radius * std::cos(2.0 * std::numbers::pi * NextUniform());
}

uint64_t EntropySeed() {
  uint64_t seed = 0;
  CHECK(::getrandom(&seed, sizeof(seed), 0) == sizeof(seed)) << "the system gives no random bytes";
  return seed;
}

}  // namespace weft::base
