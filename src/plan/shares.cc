#include "plan/shares.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace weft::plan {

std::vector<int64_t> EqualShares(int64_t total, int64_t parts) {
  CHECK(total >= 0 && parts > 0);
  std::vector<int64_t> shares(static_cast<size_t>(parts), total / parts);
  for (int64_t i = 0; i < total % parts; ++i) ++shares[static_cast<size_t>(i)];
  return shares;
}

std::vector<int64_t> ProportionalShares(int64_t total, std::span<const double> weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  CHECK(total >= 0 && std::isfinite(sum) && sum > 0);
  std::vector<int64_t> shares(weights.size());
  std::vector<double> remainders(weights.size());
  int64_t left = total;
  for (size_t i = 0; i < weights.size(); ++i) {
    CHECK(weights[i] >= 0);
    const double quota = static_cast<double>(total) * weights[i] / sum;
    shares[i] = std::min(static_cast<int64_t>(quota), left);
    remainders[i] = quota - static_cast<double>(shares[i]);
    left -= shares[i];
  }
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return remainders[i]; });
  for (size_t k = 0; left > 0; ++k, --left) ++shares[order[k]];
  return shares;
}

}  // namespace weft::plan
