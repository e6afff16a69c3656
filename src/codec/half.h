#pragma once
// IEEE 754 binary16 ("half") to and from f32: round to nearest even, subnormals kept, a NaN stays a
// NaN (its payload's top bits kept, quiet). Fast twins use F16C where the CPU has it; both give the
// same bits.

#include <cstdint>
#include <span>

namespace weft::codec {

inline constexpr float kHalfMax = 65504.0f;

// A finite value beyond +-kHalfMax becomes +-kHalfMax, not infinity.
uint16_t HalfFromFloat(float value);
float FloatFromHalf(uint16_t half);

//   values    [n] f32  read
//   residual  [n] f32  read and written, or empty: x = values + residual is sent, x - sent stays (0
//                      where x is not finite)
//   halves    2n bytes, any alignment, written
// Threads: any on disjoint memory.
void HalvesFromFloats(std::span<const float> values, std::span<float> residual, uint8_t* halves);
void FloatsFromHalves(const uint8_t* halves, std::span<float> values);

// The reference twins, a value at a time.
void HalvesFromFloatsPortable(std::span<const float> values, std::span<float> residual,
                              uint8_t* halves);
void FloatsFromHalvesPortable(const uint8_t* halves, std::span<float> values);

}  // namespace weft::codec
