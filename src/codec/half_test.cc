#include "codec/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/rng.h"

namespace weft::codec {
namespace {

TEST(Half, KnownValues) {
  EXPECT_EQ(HalfFromFloat(1.0f), 0x3C00);
  EXPECT_EQ(HalfFromFloat(-0.0f), 0x8000);
  EXPECT_EQ(HalfFromFloat(65504.0f), 0x7BFF);
  EXPECT_EQ(HalfFromFloat(1e30f), 0x7BFF);
  EXPECT_EQ(HalfFromFloat(-70000.0f), 0xFBFF);
  EXPECT_EQ(HalfFromFloat(0x1p-24f), 0x0001);
  EXPECT_EQ(HalfFromFloat(0x1p-25f), 0x0000);             // a tie: to even
  EXPECT_EQ(HalfFromFloat(0x1.8p-24f), 0x0002);           // a tie: to even
  EXPECT_EQ(HalfFromFloat(1.0f + 0x1p-11f), 0x3C00);      // a tie: to even
  EXPECT_EQ(HalfFromFloat(1.0f + 0x3p-11f), 0x3C02);      // a tie: to even
  EXPECT_EQ(HalfFromFloat(2.0f - 0x1p-12f), 0x4000);      // carries into the exponent
  EXPECT_EQ(HalfFromFloat(0x1p-14f - 0x1p-26f), 0x0400);  // subnormal rounds up to normal
  EXPECT_EQ(FloatFromHalf(0x3555), 0.333251953125f);
}

TEST(Half, EveryHalfComesBackAndTwinsDecodeAlike) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> fast(halves.size()), plain(halves.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(halves.data());
  FloatsFromHalves(bytes, fast);
  FloatsFromHalvesPortable(bytes, plain);
  ASSERT_EQ(std::memcmp(fast.data(), plain.data(), fast.size() * sizeof(float)), 0);
  for (uint16_t half : halves) {
    const float value = FloatFromHalf(half);
    const uint16_t quiet = std::isnan(value) ? half | 0x200 : half;
    ASSERT_EQ(HalfFromFloat(value), quiet) << half;
  }
}

// Every exponent with mantissas around every rounding border, and random words.
std::vector<float> HardFloats() {
  std::vector<float> values;
  for (uint32_t top = 0; top < 0x10000; top += 0x10) {
    for (uint32_t low : {0x0000u, 0x0FFFu, 0x1000u, 0x1001u, 0x2FFFu, 0x3000u, 0x3001u, 0xFFFFu}) {
      values.push_back(std::bit_cast<float>((top << 16) | low));
      values.push_back(std::bit_cast<float>((top << 16) | 0xF0000u | low));
    }
  }
  base::Rng rng(9);
  for (int i = 0; i < 200000; ++i) {
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(rng.Next())));
  }
  values.push_back(kHalfMax);
  values.push_back(std::nextafter(kHalfMax, 1e9f));
  values.push_back(65519.996f);
  values.push_back(-65520.0f);
  values.push_back(1.0f);
  return values;
}

TEST(Half, TwinsEncodeAlikeToTheBit) {
  const std::vector<float> values = HardFloats();
  std::vector<uint8_t> fast(2 * values.size()), plain(2 * values.size());
  HalvesFromFloats(values, {}, fast.data());
  HalvesFromFloatsPortable(values, {}, plain.data());
  ASSERT_EQ(fast, plain);

  std::vector<float> fast_residual(values.rbegin(), values.rend());
  for (float& value : fast_residual) {
    if (!std::isfinite(value)) value = 1e-3f;
  }
  std::vector<float> plain_residual = fast_residual;
  HalvesFromFloats(values, fast_residual, fast.data());
  HalvesFromFloatsPortable(values, plain_residual, plain.data());
  EXPECT_EQ(fast, plain);
  EXPECT_EQ(std::memcmp(fast_residual.data(), plain_residual.data(), 4 * values.size()), 0);
}

}  // namespace
}  // namespace weft::codec
