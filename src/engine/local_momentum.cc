#include "engine/local_momentum.h"

#include <algorithm>

#include "base/check.h"
#include "kernel/update.h"

namespace weft::engine {

void LocalMomentum::AddTo(int64_t begin, std::span<float> gradient) {
  CHECK(begin >= 0);
  const auto size = static_cast<int64_t>(gradient.size());
  const int64_t count = std::clamp<int64_t>(size_ - begin, 0, size);
  if (momentum_ == 0 || count == 0) return;
  if (velocity_.empty()) velocity_.resize(static_cast<size_t>(whole_));
  const auto m = static_cast<float>(momentum_);
  const std::span<float> values = gradient.first(static_cast<size_t>(count));
  const std::span<float> velocity =
      std::span(velocity_).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
  kernel::Scale(m, velocity);
  kernel::Axpy(1, values, velocity);
  kernel::Axpy(m, velocity, values);
}

std::span<float> LocalMomentum::Velocity(int64_t begin, int64_t count) {
  CHECK(begin >= 0 && count >= 0 && begin <= whole_ - count);
  if (velocity_.empty()) return {};
  return std::span(velocity_).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
}

}  // namespace weft::engine
