#pragma once
// LossTrend: how fast the loss falls, as a line through loss over the logarithm of the samples
// seen; over the stretch that matters for the next decision, losses of training are near one.
// Later measurements weigh more: each weighs 3 % less with every further one.

#include <cmath>
#include <cstdint>
#include <optional>

namespace weft::cluster {

// By how much the loss falls when ln(samples) grows by 1.
struct LossFall {
  double fall = 0;   // above 0
  double error = 0;  // standard error of it, below half of it
};

// Threads: one.
class LossTrend {
 public:
  static constexpr double kForget = 0.97;
  static constexpr int64_t kFewest = 8;  // measurements before it says anything

  // The mean loss around `samples` (of the run, above 0, ascending).
  void Measured(double samples, double loss);

  int64_t count() const { return count_; }
  // None before kFewest measurements, and while the fall is not twice its standard error.
  std::optional<LossFall> Fall() const;
  // The middle of the measurements, in samples: exp of the weighted mean of ln(samples).
  double Center() const { return std::exp(mean_x_); }
  // Where the line is at the last measurement. None before the first.
  std::optional<double> Now() const;

 private:
  int64_t count_ = 0;
  double last_x_ = 0;   // ln(samples)
  double weight_ = 0;   // sums of weights: of all,
  double squares_ = 0;  // and of their squares
  double mean_x_ = 0, mean_y_ = 0;
  double xx_ = 0, xy_ = 0, yy_ = 0;  // weighted sums of products of deviations from the means
};

}  // namespace weft::cluster
