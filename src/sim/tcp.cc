#include "sim/tcp.h"

#include <algorithm>
#include <cmath>

#include "sim/wire_size.h"

namespace weft::sim {
namespace {

constexpr double kFirstWindow = 10.0 * kSegmentBytes;
constexpr double kMostWindow = 4.0 * 1024 * 1024;

double Ceiling(double loss) {
  if (loss <= 0) return kMostWindow;
  return std::min(kMostWindow, 1.22 * kSegmentBytes / std::sqrt(loss));
}

}  // namespace

Pace::Pace(const PathOptions& path)
    : path_(path), window_(kFirstWindow), ceiling_(Ceiling(path.loss)) {}

// The window w grows by ln 2 for each byte sent, so that it doubles in a round trip; b bytes then
// take log2(1 + b ln 2 / w) round trips. Takes away from `bytes` what is sent until the ceiling.
Duration Pace::SlowStart(double* bytes) {
  if (window_ >= ceiling_) return {};
  const double now = std::min(*bytes, (ceiling_ - window_) / M_LN2);
  const double grown = window_ + now * M_LN2;
  const double trips = std::log2(grown / window_);
  window_ = grown;
  *bytes -= now;
  return Duration(static_cast<int64_t>(trips * static_cast<double>(path_.round_trip.count())));
}

void Pace::Sent(TimePoint now, int64_t bytes) {
  if (path_.round_trip.count() == 0) return;
  const Duration pause = now - next_;
  if (pause > RetryTime(path_)) {
    const auto halvings = static_cast<int>(std::min<int64_t>(pause / RetryTime(path_), 60));
    window_ = std::max(std::ldexp(window_, -halvings), std::min(kFirstWindow, ceiling_));
  }
  double left = static_cast<double>(bytes);
  Duration takes = SlowStart(&left);
  takes += Duration(static_cast<int64_t>(left / std::min(window_, ceiling_) *
                                         static_cast<double>(path_.round_trip.count())));
  next_ = std::max(next_, now) + takes;
}

}  // namespace weft::sim
