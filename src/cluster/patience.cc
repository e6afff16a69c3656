#include "cluster/patience.h"

#include <algorithm>
#include <vector>

namespace weft::cluster {

void Patience::Took(Duration step) {
  steps_.push_back(step);
  if (steps_.size() > kSteps) steps_.pop_front();
  if (steps_.size() < kFewestSteps) return;
  std::vector<Duration> sorted(steps_.begin(), steps_.end());
  std::ranges::sort(sorted);
  allowed_ = std::max(timeout_, kTimes * sorted[sorted.size() / 2]);
}

}  // namespace weft::cluster
