#include "cluster/loss_trend.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace weft::cluster {

// Source of the update of weighted means and products: West 1979, CACM 22(9).
void LossTrend::Measured(double samples, double loss) {
  CHECK(samples > 0);
  if (!std::isfinite(loss)) return;
  const double x = std::log(samples);
  xx_ *= kForget, xy_ *= kForget, yy_ *= kForget;
  weight_ = kForget * weight_ + 1;
  squares_ = kForget * kForget * squares_ + 1;
  const double dx = x - mean_x_;
  const double dy = loss - mean_y_;
  mean_x_ += dx / weight_;
  mean_y_ += dy / weight_;
  xx_ += dx * (x - mean_x_);
  xy_ += dx * (loss - mean_y_);
  yy_ += dy * (loss - mean_y_);
  last_x_ = x;
  ++count_;
}

std::optional<LossFall> LossTrend::Fall() const {
  if (count_ < kFewest || xx_ <= 0) return std::nullopt;
  const double fall = -xy_ / xx_;
  const double effective = weight_ * weight_ / squares_;  // measurements of equal weight
  const double spread = std::max(0.0, yy_ - xy_ * xy_ / xx_) / (effective - 2);
  const double error = std::sqrt(spread / xx_);
  if (fall <= 2 * error) return std::nullopt;
  return LossFall{fall, error};
}

std::optional<double> LossTrend::Now() const {
  if (count_ == 0) return std::nullopt;
  return xx_ > 0 ? mean_y_ + xy_ / xx_ * (last_x_ - mean_x_) : mean_y_;
}

}  // namespace weft::cluster
