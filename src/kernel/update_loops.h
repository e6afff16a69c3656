#pragma once
// The inner loops of update.cc, compiled for every instruction set Highway knows and chosen at run
// time. All arrays hold n floats.

#include <cstddef>

namespace weft::kernel {

struct SgdFactors {
  float lr, momentum, weight_decay;
  bool nesterov;
};
// Without momentum, for which velocity is not touched.
void SgdPlainLoop(const SgdFactors& factors, const float* grad, float* weights, size_t n);
void SgdMomentumLoop(const SgdFactors& factors, const float* grad, float* weights, float* velocity,
                     size_t n);

// The step's scalars, so that the loop has neither powers nor corrections.
struct AdamwFactors {
  float keep;                      // 1 - lr * weight_decay
  float beta1, rest1;              // rest = 1 - beta
  float beta2, rest2;              //
  float inverse_root_correction2;  // 1 / sqrt(1 - beta2^step)
  float eps;
  float step_size;  // lr / (1 - beta1^step)
};
void AdamwLoop(const AdamwFactors& factors, const float* grad, float* weights, float* first_moment,
               float* second_moment, size_t n);

void AxpyLoop(float a, const float* x, float* y, size_t n);
void ScaleLoop(float a, float* y, size_t n);
// Sum of squares in double; the order of the additions depends only on n and the instruction set.
double SquaresLoop(const float* x, size_t n);
bool AllFiniteLoop(const float* x, size_t n);

}  // namespace weft::kernel
