#include "kernel/update_reference.h"

#include <cmath>

namespace weft::kernel::reference {

void SgdUpdate(const SgdOptions& options, std::span<const float> grad, std::span<float> weights,
               std::span<float> velocity) {
  for (size_t i = 0; i < grad.size(); ++i) {
    const float g = grad[i] + options.weight_decay * weights[i];
    float direction = g;
    if (options.momentum != 0) {
      velocity[i] = options.momentum * velocity[i] + g;
      direction = options.nesterov ? g + options.momentum * velocity[i] : velocity[i];
    }
    weights[i] -= options.lr * direction;
  }
}

void AdamwUpdate(const AdamwOptions& options, std::span<const float> grad, std::span<float> weights,
                 std::span<float> first_moment, std::span<float> second_moment) {
  const double correction1 = 1 - std::pow(double{options.beta1}, double(options.step));
  const double correction2 = 1 - std::pow(double{options.beta2}, double(options.step));
  for (size_t i = 0; i < grad.size(); ++i) {
    float& m = first_moment[i];
    float& v = second_moment[i];
    weights[i] *= 1 - options.lr * options.weight_decay;
    m = options.beta1 * m + (1 - options.beta1) * grad[i];
    v = options.beta2 * v + (1 - options.beta2) * grad[i] * grad[i];
    const double denominator = std::sqrt(double{v}) / std::sqrt(correction2) + options.eps;
    weights[i] -= static_cast<float>(options.lr / correction1 * m / denominator);
  }
}

void Axpy(float a, std::span<const float> x, std::span<float> y) {
  for (size_t i = 0; i < x.size(); ++i) y[i] += a * x[i];
}

void Scale(float a, std::span<float> y) {
  for (float& value : y) value *= a;
}

double Norm(std::span<const float> x) {
  double squares = 0;
  for (float value : x) squares += double{value} * value;
  return std::sqrt(squares);
}

bool AllFinite(std::span<const float> x) {
  for (float value : x) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

}  // namespace weft::kernel::reference
