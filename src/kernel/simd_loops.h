#pragma once
// The inner loops of SimdBackend, compiled for every instruction set Highway knows and chosen at
// run time. All arrays hold n floats; dst may be any of the inputs.

#include <cstddef>

#include "kernel/backend.h"

namespace weft::kernel {

// Every activation seen as a leaky relu, x > 0 ? x : slope * x: none has slope 1, relu slope 0.
inline float SlopeOf(Activation activation, float leaky_slope) {
  if (activation == Activation::kNone) return 1;
  return activation == Activation::kRelu ? 0 : leaky_slope;
}

// dst = src > 0 ? src : slope * src
void LeakyForward(float slope, const float* src, float* dst, size_t n);
// diff_src = dst > 0 ? diff_dst : slope * diff_dst
void LeakyBackward(float slope, const float* dst, const float* diff_dst, float* diff_src, size_t n);
void AddLoop(const float* a, const float* b, float* dst, size_t n);
// The instruction set in use: "AVX2".
const char* SimdTarget();

}  // namespace weft::kernel
