#include "sim/options.h"

#include <algorithm>

namespace weft::sim {

double Curve::At(int64_t samples) const {
  if (points.empty()) return 0;
  if (points.size() == 1) return points.front().second;
  // The stretch that holds `samples`, or the nearest one.
  size_t end = 1;
  while (end + 1 < points.size() && points[end].first < samples) ++end;
  const auto& [x0, y0] = points[end - 1];
  const auto& [x1, y1] = points[end];
  const double along = static_cast<double>(samples - x0) / static_cast<double>(x1 - x0);
  return std::max(0.0, y0 + along * (y1 - y0));
}

}  // namespace weft::sim
