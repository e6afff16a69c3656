#pragma once
// Parameter updates, elementwise over any part of the parameter vector: fast twins (Highway),
// reference twins in update_reference.h. Threads: any number on disjoint spans; besides, a call
// with `threads` above 1 cuts a long span among that many OpenMP threads, with the same bits as
// result.

#include <cstdint>
#include <span>

namespace weft::kernel {

// Stochastic gradient descent with momentum and decay as in the reference runs:
// g += weight_decay*w; v = momentum*v + g; w -= lr*v, or with nesterov w -= lr*(g + momentum*v). v
// starts at 0.
struct SgdOptions {
  float lr = 0.01f;
  float momentum = 0;
  float weight_decay = 0;
  bool nesterov = false;
};
//   weights  [n] f32  read and written
//   grad     [n] f32  read
//   velocity [n] f32  read and written; may be empty if momentum is 0
void SgdUpdate(const SgdOptions& options, std::span<const float> grad, std::span<float> weights,
               std::span<float> velocity, int threads = 1);

// AdamW, decoupled decay. Source: Loshchilov and Hutter 2019, algorithm 2, with eps outside of the
// corrected root: w *= 1 - lr*weight_decay; m = beta1*m + (1-beta1)*g; v = beta2*v + (1-beta2)*g*g;
// w -= lr / (1-beta1^step) * m / (sqrt(v) / sqrt(1-beta2^step) + eps). m and v start at 0.
struct AdamwOptions {
  float lr = 0.001f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float eps = 1e-8f;
  float weight_decay = 0;
  int64_t step = 1;  // counted from 1
};
void AdamwUpdate(const AdamwOptions& options, std::span<const float> grad, std::span<float> weights,
                 std::span<float> first_moment, std::span<float> second_moment, int threads = 1);

// y += a * x. Sizes equal.
void Axpy(float a, std::span<const float> x, std::span<float> y, int threads = 1);
// y *= a.
void Scale(float a, std::span<float> y, int threads = 1);
// Euclidean norm, accumulated in double.
double Norm(std::span<const float> x);
// True if every element is finite.
bool AllFinite(std::span<const float> x);

}  // namespace weft::kernel
