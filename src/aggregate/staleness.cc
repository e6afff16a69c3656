#include "aggregate/staleness.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace weft::aggregate {

double StalenessWeight(double rounds_older_than_usual, double exponent) {
  return std::pow(std::max(1.0, rounds_older_than_usual), -exponent);
}

void DelayCompensate(std::span<float> gradient, std::span<const float> now,
                     std::span<const float> base, double lambda) {
  CHECK_EQ(gradient.size(), now.size());
  CHECK_EQ(gradient.size(), base.size());
  const auto factor = static_cast<float>(lambda);
  for (size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] += factor * gradient[i] * gradient[i] * (now[i] - base[i]);
  }
}

}  // namespace weft::aggregate
