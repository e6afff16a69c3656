#include "codec/half.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace weft::codec {
namespace {

constexpr uint32_t kFloatInfinity = 0x7F800000u;
constexpr uint32_t kSmallestNormal = 0x38800000u;  // 2^-14
constexpr float kDenormalMagic = 0.5f;  // its last mantissa bit is 2^-24, half's smallest

float Clamp(float value) {
  const float size = std::fabs(value);
  const bool beyond = size > kHalfMax && size < std::numeric_limits<float>::infinity();
  return beyond ? std::copysign(kHalfMax, value) : value;
}

float Residue(float value, float sent) { return std::isfinite(value) ? value - sent : 0.0f; }

}  // namespace

uint16_t HalfFromFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(Clamp(value));
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t size = bits & 0x7FFFFFFFu;
  if (size > kFloatInfinity) {
    return static_cast<uint16_t>(sign | 0x7E00u | ((size >> 13) & 0x3FFu));
  }
  if (size == kFloatInfinity) return static_cast<uint16_t>(sign | 0x7C00u);
  if (size < kSmallestNormal) {
    // The addition aligns the value to units of 2^-24 and rounds it as f32 does: to nearest even.
    const float aligned = std::bit_cast<float>(size) + kDenormalMagic;
    return static_cast<uint16_t>(
        sign | (std::bit_cast<uint32_t>(aligned) - std::bit_cast<uint32_t>(kDenormalMagic)));
  }
  const uint32_t odd = (size >> 13) & 1;
  const uint32_t rounded = size + 0xFFFu + odd;  // may carry into the exponent, as it should
  return static_cast<uint16_t>(sign | ((rounded >> 13) - ((127 - 15) << 10)));
}

float FloatFromHalf(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t mantissa = half & 0x3FFu;
  uint32_t bits = 0;
  if (exponent == 0) {
    bits = std::bit_cast<uint32_t>(static_cast<float>(mantissa) * 0x1p-24f);
  } else if (exponent == 31) {
    bits = kFloatInfinity | (mantissa << 13) | (mantissa != 0 ? 0x400000u : 0);
  } else {
    bits = ((exponent + 127 - 15) << 23) | (mantissa << 13);
  }
  return std::bit_cast<float>(sign | bits);
}

void HalvesFromFloatsPortable(std::span<const float> values, std::span<float> residual,
                              uint8_t* halves) {
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = residual.empty() ? values[i] : values[i] + residual[i];
    const uint16_t half = HalfFromFloat(value);
    std::memcpy(halves + 2 * i, &half, sizeof(half));
    if (!residual.empty()) residual[i] = Residue(value, FloatFromHalf(half));
  }
}

void FloatsFromHalvesPortable(const uint8_t* halves, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half = 0;
    std::memcpy(&half, halves + 2 * i, sizeof(half));
    values[i] = FloatFromHalf(half);
  }
}

#if defined(__x86_64__)
namespace {

bool HasF16c() {
  static const bool has = __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
  return has;
}

// Whole groups of eight; returns how many values that was.
__attribute__((target("avx,f16c"))) size_t EncodeF16c(std::span<const float> values,
                                                      std::span<float> residual, uint8_t* halves) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const __m256 limit = _mm256_set1_ps(kHalfMax);
  const __m256 infinity = _mm256_set1_ps(std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + 8 <= values.size(); i += 8) {
    __m256 value = _mm256_loadu_ps(values.data() + i);
    if (!residual.empty()) value = _mm256_add_ps(value, _mm256_loadu_ps(residual.data() + i));
    const __m256 size = _mm256_andnot_ps(sign, value);
    const __m256 finite = _mm256_cmp_ps(size, infinity, _CMP_LT_OQ);
    const __m256 beyond = _mm256_and_ps(finite, _mm256_cmp_ps(size, limit, _CMP_GT_OQ));
    const __m256 clamped =
        _mm256_blendv_ps(value, _mm256_or_ps(limit, _mm256_and_ps(sign, value)), beyond);
    const __m128i half = _mm256_cvtps_ph(clamped, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves + 2 * i), half);
    if (!residual.empty()) {
      const __m256 rest = _mm256_sub_ps(value, _mm256_cvtph_ps(half));
      _mm256_storeu_ps(residual.data() + i, _mm256_and_ps(rest, finite));
    }
  }
  return i;
}

__attribute__((target("avx,f16c"))) size_t DecodeF16c(const uint8_t* halves,
                                                      std::span<float> values) {
  size_t i = 0;
  for (; i + 8 <= values.size(); i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + 2 * i));
    _mm256_storeu_ps(values.data() + i, _mm256_cvtph_ps(half));
  }
  return i;
}

}  // namespace
#endif

void HalvesFromFloats(std::span<const float> values, std::span<float> residual, uint8_t* halves) {
  size_t done = 0;
#if defined(__x86_64__)
  if (HasF16c()) done = EncodeF16c(values, residual, halves);
#endif
  HalvesFromFloatsPortable(values.subspan(done),
                           residual.empty() ? residual : residual.subspan(done), halves + 2 * done);
}

void FloatsFromHalves(const uint8_t* halves, std::span<float> values) {
  size_t done = 0;
#if defined(__x86_64__)
  if (HasF16c()) done = DecodeF16c(halves, values);
#endif
  FloatsFromHalvesPortable(halves + 2 * done, values.subspan(done));
}

}  // namespace weft::codec
