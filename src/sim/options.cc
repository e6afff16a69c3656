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

bool FaultOptions::any() const {
  const bool waits = break_connection || kill_device || kill_hub || join_device || leave_device ||
                     partition || clog;
  const double chances = crash_device + crash_hub + repeat_message + reorder_message + disk_full +
                         disk_error + torn_write + unreadable_data;
  return waits || chances > 0;
}

}  // namespace weft::sim
