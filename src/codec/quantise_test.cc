#include "codec/quantise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/rng.h"

namespace weft::codec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::array<ValueKind, kValueKinds> kKinds = {
    ValueKind::kFloat32, ValueKind::kFloat16, ValueKind::kInt8, ValueKind::kInt4,
    ValueKind::kInt2,    ValueKind::kTernary, ValueKind::kSign};
constexpr size_t kSizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 63, 64, 65, 127, 1000, 4095, 4096};

Bytes Quantised(ValueKind kind, const std::vector<float>& values) {
  Bytes bytes(QuantisedBytes(kind, values.size()));
  Quantise(kind, values, bytes.data());
  return bytes;
}

std::vector<float> Dequantised(ValueKind kind, const Bytes& bytes, size_t n) {
  std::vector<float> values(n, -77.0f);
  const Status status = Dequantise(kind, bytes, values);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return values;
}

std::vector<float> RoundTrip(ValueKind kind, const std::vector<float>& values) {
  return Dequantised(kind, Quantised(kind, values), values.size());
}

Status Refusal(ValueKind kind, const Bytes& bytes, size_t n) {
  std::vector<float> values(n);
  return Dequantise(kind, bytes, values);
}

float ScaleOf(const Bytes& bytes) {
  float scale = 0;
  std::memcpy(&scale, bytes.data(), sizeof(scale));
  return scale;
}

Bytes WithScale(float scale, std::initializer_list<uint8_t> codes) {
  Bytes bytes(sizeof(scale) + codes.size());
  std::memcpy(bytes.data(), &scale, sizeof(scale));
  std::copy(codes.begin(), codes.end(), bytes.begin() + sizeof(scale));
  return bytes;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<float> Normals(uint64_t seed, size_t n, double spread) {
  base::Rng rng(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(spread * rng.NextNormal());
  return values;
}

TEST(Quantise, NamesBothWays) {
  std::vector<std::string> names;
  for (const ValueKind kind : kKinds) {
    names.emplace_back(ValueKindName(kind));
    EXPECT_EQ(ParseValueKind(names.back()).value(), kind);
  }
  EXPECT_THAT(names, ElementsAre("fp32", "fp16", "int8", "int4", "int2", "ternary", "sign"));
  const auto unknown = ParseValueKind("tenary");
  EXPECT_EQ(unknown.status().code(), base::Code::kInvalidArgument);
  EXPECT_THAT(unknown.status().message(), HasSubstr("did you mean \"ternary\"?"));
}

TEST(Quantise, BytesOfAChunk) {
  for (const ValueKind kind : kKinds) EXPECT_EQ(QuantisedBytes(kind, 0), 0u);
  const auto bytes = [](size_t n) {
    std::vector<size_t> sizes;
    for (const ValueKind kind : kKinds) sizes.push_back(QuantisedBytes(kind, n));
    return sizes;
  };
  EXPECT_THAT(bytes(1), ElementsAre(4, 2, 5, 5, 5, 5, 5));
  EXPECT_THAT(bytes(64), ElementsAre(256, 128, 68, 36, 20, 17, 12));
  EXPECT_THAT(bytes(4096), ElementsAre(16384, 8192, 4100, 2052, 1028, 824, 516));
}

TEST(Quantise, GoldenBytes) {
  const std::vector<float> values = {1.0f, -2.5f, 0.0f, 3.5f, -1.25f, 0.5f};
  EXPECT_THAT(Quantised(ValueKind::kFloat32, {1.0f, -2.5f}),
              ElementsAre(0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0));
  EXPECT_THAT(Quantised(ValueKind::kFloat16, {1.0f, -2.5f}), ElementsAre(0, 0x3c, 0, 0xc1));
  // 3.5 / 127 = 0x1.c3870ep-6, cut to 0x1.c387p-6
  EXPECT_THAT(Quantised(ValueKind::kInt8, values),
              ElementsAre(0x80, 0xc3, 0xe1, 0x3c, 36, 0xa5, 0, 127, 0xd3, 18));
  // scale 0.5: codes 2 -5 | 0 7 | -2 (a tie) 1
  EXPECT_THAT(Quantised(ValueKind::kInt4, values), ElementsAre(0, 0, 0, 0x3f, 0xb2, 0x70, 0x1e));
  // lo = 2.75 / 4 = 0.6875, hi = 3; codes 0 3 0 1 | 2 0
  EXPECT_THAT(Quantised(ValueKind::kInt2, values), ElementsAre(0x30, 0x3f, 0x40, 0x40, 0x4c, 0x02));
  // codes 0 -1 0 1 0 | 0
  EXPECT_THAT(Quantised(ValueKind::kTernary, values),
              ElementsAre(0, 0, 0x60, 0x40, 81 + 0 + 9 + 6 + 1, 121));
  // mean 8.75 / 6; the second and the fifth are negative
  EXPECT_THAT(Quantised(ValueKind::kSign, values), ElementsAre(0xab, 0xaa, 0xba, 0x3f, 0x12));
}

TEST(Quantise, RoundsTiesToEven) {
  EXPECT_THAT(RoundTrip(ValueKind::kInt8, {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 125.5f, -126.5f}),
              ElementsAre(127, 0, 2, 2, 0, -2, 126, -126));
  EXPECT_THAT(RoundTrip(ValueKind::kTernary, {2, 1, -1, 1.0001f, -1.0001f}),
              ElementsAre(2, 0, 0, 2, -2));
}

TEST(Quantise, RoundsTwoMagnitudesToEven) {
  const auto kept = [](float magnitude) { return RoundTrip(ValueKind::kInt2, {magnitude})[0]; };
  EXPECT_EQ(kept(0x1.01p0f), 1.0f);       // a tie
  EXPECT_EQ(kept(0x1.03p0f), 0x1.04p0f);  // a tie
  EXPECT_EQ(kept(0x1.018p0f), 0x1.02p0f);
  EXPECT_EQ(kept(0x1.ffp0f), 2.0f);  // carries into the exponent
}

// What one value may lose, given the bytes it came with.
double Bound(ValueKind kind, const Bytes& bytes, double value) {
  switch (kind) {
    case ValueKind::kFloat32:
      return 0;
    case ValueKind::kFloat16:
      return std::fabs(value) * 0x1p-11;
    case ValueKind::kTernary:
      return 0.5 * ScaleOf(bytes);
    default:
      return 0.5 * ScaleOf(bytes) * (1 + 0x1p-15);
  }
}

TEST(Quantise, ErrorIsAtMostHalfAScale) {
  for (const ValueKind kind : {ValueKind::kFloat32, ValueKind::kFloat16, ValueKind::kInt8,
                               ValueKind::kInt4, ValueKind::kTernary}) {
    for (const size_t n : kSizes) {
      const std::vector<float> values = Normals(n, n, 3.0);
      const Bytes bytes = Quantised(kind, values);
      const std::vector<float> back = Dequantised(kind, bytes, n);
      for (size_t i = 0; i < n; ++i) {
        const double error = std::fabs(static_cast<double>(values[i]) - back[i]);
        ASSERT_LE(error, Bound(kind, bytes, values[i])) << ValueKindName(kind) << " " << values[i];
      }
    }
  }
}

TEST(Quantise, TwoMagnitudesGiveTheNearest) {
  for (const size_t n : kSizes) {
    const std::vector<float> values = Normals(n, n, 0.1);
    const std::vector<float> back = RoundTrip(ValueKind::kInt2, values);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(std::signbit(back[i]), std::signbit(values[i]));
      for (const float other : back) {
        const float error = std::fabs(back[i] - values[i]);
        ASSERT_LE(error, std::fabs(std::copysign(other, values[i]) - values[i]) * 1.00001f);
      }
    }
  }
}

TEST(Quantise, SignKeepsTheMeanMagnitude) {
  for (const size_t n : kSizes) {
    const std::vector<float> values = Normals(n, n, 1e-4);
    const std::vector<float> back = RoundTrip(ValueKind::kSign, values);
    double mean = 0;
    for (const float value : values) mean += std::fabs(value) / static_cast<double>(n);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_NEAR(back[i], std::copysign(mean, values[i]), mean * 1e-7);
    }
  }
}

TEST(Quantise, RepresentableValuesComeBackExactly) {
  const float s = 0x1.abcep-9f;  // 16 bits
  std::vector<float> eights, fours;
  for (int code = -127; code <= 127; ++code) eights.push_back(s * static_cast<float>(code));
  for (int code = -7; code <= 7; ++code) fours.push_back(s * static_cast<float>(code));
  EXPECT_EQ(RoundTrip(ValueKind::kInt8, eights), eights);
  EXPECT_EQ(RoundTrip(ValueKind::kInt4, fours), fours);
  const std::vector<float> pair = {1.5f, -0.75f, 1.5f, 0.75f, -1.5f};
  EXPECT_EQ(RoundTrip(ValueKind::kInt2, pair), pair);
  const std::vector<float> trits = {0.1f, 0, -0.1f, 0.1f, 0, 0, -0.1f};
  EXPECT_EQ(RoundTrip(ValueKind::kTernary, trits), trits);
  const std::vector<float> signs = {0.1f, 0.1f, -0.1f, 0.1f, -0.1f};
  EXPECT_EQ(RoundTrip(ValueKind::kSign, signs), signs);
  const std::vector<float> halves = {0.25f, -65504.0f, 0x1p-24f, 0.0f};
  EXPECT_EQ(RoundTrip(ValueKind::kFloat16, halves), halves);
}

TEST(Quantise, ASecondTimeChangesNothing) {
  for (const ValueKind kind : kKinds) {
    for (const size_t n : kSizes) {
      for (const double spread : {1e-45, 1e-40, 1e-37, 1e-20, 1e-3, 1.0, 1e4, 1e30}) {
        const std::vector<float> once = RoundTrip(kind, Normals(n + 1, n, spread));
        ASSERT_TRUE(SameBits(RoundTrip(kind, once), once))
            << ValueKindName(kind) << " of " << n << ", spread " << spread;
      }
    }
  }
}

TEST(Quantise, ZerosAndTheLargestFloats) {
  const float largest = std::numeric_limits<float>::max();
  for (const ValueKind kind : kKinds) {
    for (const size_t n : kSizes) {
      const std::vector<float> zeros(n, 0.0f);
      EXPECT_EQ(RoundTrip(kind, zeros), zeros) << ValueKindName(kind);
    }
    for (const float value : RoundTrip(kind, {largest, -largest, largest, 1.0f})) {
      EXPECT_TRUE(std::isfinite(value)) << ValueKindName(kind);
    }
  }
  // Far below the smallest normal scale everything is 0, and just above it nothing is.
  EXPECT_THAT(RoundTrip(ValueKind::kInt8, {1e-38f, -1e-39f}), ElementsAre(0, 0));
  EXPECT_THAT(RoundTrip(ValueKind::kInt8, {127 * 0x1p-126f, 0}), ElementsAre(127 * 0x1p-126f, 0));
  // Two magnitudes of which the lower has no share in the sum that a double could hold.
  EXPECT_THAT(
      RoundTrip(ValueKind::kInt2, {1e-30f, 2.0f, -1e-30f}),
      ElementsAre(testing::FloatNear(1e-30f, 4e-33f), 2.0f, testing::FloatNear(-1e-30f, 4e-33f)));
}

TEST(Quantise, WritesJustItsBytesAtAnyAlignment) {
  for (const ValueKind kind : kKinds) {
    for (const size_t n : kSizes) {
      const std::vector<float> values = Normals(n, n, 1.0);
      const Bytes want = Quantised(kind, values);
      Bytes around(want.size() + 2, 0xEE);
      Quantise(kind, values, around.data() + 1);
      ASSERT_EQ(around.front(), 0xEE);
      ASSERT_EQ(around.back(), 0xEE);
      ASSERT_TRUE(std::equal(want.begin(), want.end(), around.begin() + 1));
      std::vector<float> aligned(n), shifted(n);
      ASSERT_TRUE(Dequantise(kind, want, aligned).ok());
      ASSERT_TRUE(Dequantise(kind, ByteView(around).subspan(1, want.size()), shifted).ok());
      ASSERT_EQ(aligned, shifted);
    }
  }
}

TEST(Quantise, RefusesAnotherNumberOfBytes) {
  for (const ValueKind kind : kKinds) {
    for (const size_t n : {size_t{1}, size_t{8}, size_t{61}}) {
      Bytes bytes = Quantised(kind, Normals(n, n, 1.0));
      bytes.push_back(0);
      for (; !bytes.empty(); bytes.pop_back()) {
        const bool right = bytes.size() == QuantisedBytes(kind, n);
        ASSERT_EQ(Refusal(kind, bytes, n).code(), right ? base::Code::kOk : base::Code::kDataLoss);
      }
      ASSERT_EQ(Refusal(kind, {}, n).code(), base::Code::kDataLoss);
    }
    EXPECT_EQ(Refusal(kind, {0}, 0).code(), base::Code::kDataLoss);
    EXPECT_TRUE(Refusal(kind, {}, 0).ok());
  }
}

TEST(Quantise, RefusesDamagedScales) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const ValueKind kind :
       {ValueKind::kInt8, ValueKind::kInt4, ValueKind::kTernary, ValueKind::kSign}) {
    const uint8_t code = kind == ValueKind::kTernary ? 121 : 1;
    EXPECT_TRUE(Refusal(kind, WithScale(0.5f, {code}), 1).ok());
    for (const float scale : {infinity, -infinity, nan, -nan, -0.5f, -0.0f, 1e-39f}) {
      EXPECT_EQ(Refusal(kind, WithScale(scale, {code}), 1).code(), base::Code::kDataLoss)
          << ValueKindName(kind) << " " << scale;
    }
  }
  const float many_bits = std::nextafter(1.0f, 2.0f);
  EXPECT_THAT(Refusal(ValueKind::kInt8, WithScale(many_bits, {1}), 1).message(),
              HasSubstr("want 17 significant bits"));
  EXPECT_FALSE(Refusal(ValueKind::kInt4, WithScale(many_bits, {1}), 1).ok());
  EXPECT_TRUE(Refusal(ValueKind::kSign, WithScale(many_bits, {1}), 1).ok());
  EXPECT_FALSE(Refusal(ValueKind::kInt8, WithScale(0x1p122f, {1}), 1).ok());
  EXPECT_FALSE(Refusal(ValueKind::kInt4, WithScale(0x1p126f, {1}), 1).ok());
}

TEST(Quantise, RefusesDamagedCodes) {
  const auto refused = [](ValueKind kind, std::initializer_list<uint8_t> codes, size_t n) {
    return Refusal(kind, WithScale(1.0f, codes), n).code() == base::Code::kDataLoss;
  };
  EXPECT_TRUE(refused(ValueKind::kInt8, {0x7F, 0x80}, 2));
  EXPECT_FALSE(refused(ValueKind::kInt8, {0x7F, 0x81}, 2));
  EXPECT_TRUE(refused(ValueKind::kInt4, {0x18}, 2));
  EXPECT_TRUE(refused(ValueKind::kInt4, {0x81}, 2));
  EXPECT_FALSE(refused(ValueKind::kInt4, {0x97}, 2));
  EXPECT_TRUE(refused(ValueKind::kInt4, {0x17}, 1));
  EXPECT_FALSE(refused(ValueKind::kTernary, {242}, 5));
  EXPECT_TRUE(refused(ValueKind::kTernary, {243}, 5));
  EXPECT_TRUE(refused(ValueKind::kTernary, {0, 255}, 10));
  EXPECT_FALSE(refused(ValueKind::kTernary, {121}, 1));
  EXPECT_TRUE(refused(ValueKind::kTernary, {122}, 4));
  EXPECT_FALSE(refused(ValueKind::kSign, {0x07}, 3));
  EXPECT_TRUE(refused(ValueKind::kSign, {0x08}, 3));
}

TEST(Quantise, RefusesDamagedMagnitudesAndFloats) {
  const auto two = [](Bytes bytes, size_t n) { return Refusal(ValueKind::kInt2, bytes, n).ok(); };
  EXPECT_TRUE(two({0x00, 0x3f, 0x80, 0x3f, 0x0e}, 2));
  EXPECT_TRUE(two({0x80, 0x3f, 0x80, 0x3f, 0x0e}, 2));
  EXPECT_FALSE(two({0x80, 0x3f, 0x00, 0x3f, 0x0e}, 2));  // lo > hi
  EXPECT_FALSE(two({0x00, 0x3f, 0x80, 0x7f, 0x0e}, 2));  // infinite
  EXPECT_FALSE(two({0x00, 0x3f, 0xc0, 0x7f, 0x0e}, 2));  // NaN
  EXPECT_FALSE(two({0x00, 0xbf, 0x80, 0x3f, 0x0e}, 2));  // negative
  EXPECT_FALSE(two({0x40, 0x00, 0x80, 0x3f, 0x0e}, 2));  // subnormal
  EXPECT_FALSE(two({0x00, 0x3f, 0x80, 0x3f, 0x1e}, 2));  // fills up with 1
  const auto refused = [](ValueKind kind, Bytes bytes) {
    return Refusal(kind, bytes, 1).code() == base::Code::kDataLoss;
  };
  EXPECT_TRUE(refused(ValueKind::kFloat32, {0, 0, 0x80, 0x7f}));
  EXPECT_TRUE(refused(ValueKind::kFloat32, {1, 0, 0x80, 0xff}));
  EXPECT_FALSE(refused(ValueKind::kFloat32, {0xff, 0xff, 0x7f, 0xff}));
  EXPECT_TRUE(refused(ValueKind::kFloat16, {0x00, 0xfc}));
  EXPECT_TRUE(refused(ValueKind::kFloat16, {0x01, 0x7c}));
  EXPECT_FALSE(refused(ValueKind::kFloat16, {0xff, 0x7b}));
}

TEST(Quantise, ValuesThatAreNotFiniteMakeBytesThatAreRefused) {
#ifndef __OPTIMIZE__
  GTEST_SKIP() << "stops a debug build";
#endif
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const ValueKind kind : kKinds) {
    for (const size_t n : kSizes) {
      for (const float bad : {infinity, -infinity, nan, -nan}) {
        std::vector<float> values = Normals(n, n, 1.0);
        values[n / 2] = bad;
        EXPECT_EQ(Refusal(kind, Quantised(kind, values), n).code(), base::Code::kDataLoss);
        values[0] = infinity;
        EXPECT_EQ(Refusal(kind, Quantised(kind, values), n).code(), base::Code::kDataLoss);
      }
    }
  }
}

std::vector<float> AllNormals(base::Rng& rng) {
  std::vector<float> values(kMaxChunkValues);
  for (float& value : values) value = static_cast<float>(rng.NextNormal());
  return values;
}

// Those of a chunk's values above the quantile of 99 % of the magnitudes: about 41.
std::vector<float> SelectedNormals(base::Rng& rng) {
  std::vector<float> values = AllNormals(rng);
  std::erase_if(values, [](float value) { return std::fabs(value) <= 2.5758f; });
  return values;
}

// Laplace's distribution, with longer tails than the normal: 99 % are below log(100).
std::vector<float> SelectedLaplace(base::Rng& rng) {
  std::vector<float> selected;
  for (size_t i = 0; i < kMaxChunkValues; ++i) {
    const double magnitude = -std::log(1 - rng.NextUniform());
    const double value = rng.NextBelow(2) == 0 ? magnitude : -magnitude;
    if (magnitude > std::log(100.0)) selected.push_back(static_cast<float>(value));
  }
  return selected;
}

// Sum of (v - q)^2 over sum of v^2, over 100 chunks.
double RelativeSquaredError(ValueKind kind, std::vector<float> (*draw)(base::Rng&)) {
  base::Rng rng(7);
  double lost = 0, all = 0;
  for (int chunk = 0; chunk < 100; ++chunk) {
    const std::vector<float> values = draw(rng);
    const std::vector<float> back = RoundTrip(kind, values);
    for (size_t i = 0; i < values.size(); ++i) {
      lost += std::pow(static_cast<double>(values[i]) - back[i], 2);
      all += std::pow(static_cast<double>(values[i]), 2);
    }
  }
  return lost / all;
}

// What is lost of the hundredth of a chunk that is largest, and of a whole chunk: to choose a kind
// by. Ternary suits neither: with the largest as its scale it drops what is below half of it.
TEST(Quantise, RelativeSquaredErrors) {
  struct Row {
    ValueKind kind;
    double normal, laplace, all_normals;
  };
  const Row rows[] = {
      {ValueKind::kFloat32, 0, 0, 0},
      {ValueKind::kFloat16, 3.8e-8, 4.2e-8, 4.3e-8},
      {ValueKind::kInt8, 8.6e-6, 1.33e-5, 7.4e-5},
      {ValueKind::kInt4, 2.7e-3, 4.3e-3, 2.44e-2},
      {ValueKind::kInt2, 2.9e-3, 9.9e-3, 0.1175},  // Max 1960: 0.1175 for a normal, four levels
      {ValueKind::kTernary, 0.111, 0.388, 0.823},
      {ValueKind::kSign, 9.7e-3, 3.1e-2, 0.3634},  // 1 - 2 / pi for a normal
  };
  for (const Row& row : rows) {
    const auto expect = [&](std::vector<float> (*draw)(base::Rng&), double want) {
      EXPECT_NEAR(RelativeSquaredError(row.kind, draw), want, 0.1 * want)
          << ValueKindName(row.kind);
    };
    expect(SelectedNormals, row.normal);
    expect(SelectedLaplace, row.laplace);
    expect(AllNormals, row.all_normals);
  }
}

// The least squared error of two magnitudes: every split of the sorted magnitudes tried.
double LeastError(std::vector<float> values) {
  for (float& value : values) value = std::fabs(value);
  std::sort(values.begin(), values.end());
  const auto error = [&](size_t begin, size_t end) {
    double sum = 0, squares = 0;
    for (size_t i = begin; i < end; ++i) {
      sum += values[i];
      squares += static_cast<double>(values[i]) * values[i];
    }
    return begin == end ? 0 : squares - sum * sum / static_cast<double>(end - begin);
  };
  double least = error(0, values.size());
  for (size_t split = 1; split < values.size(); ++split) {
    least = std::min(least, error(0, split) + error(split, values.size()));
  }
  return least;
}

TEST(Quantise, TwoMagnitudesAreNearlyTheBest) {
  base::Rng rng(5);
  double lost = 0, least = 0;
  for (int chunk = 0; chunk < 200; ++chunk) {
    const std::vector<float> values = SelectedNormals(rng);
    const std::vector<float> back = RoundTrip(ValueKind::kInt2, values);
    for (size_t i = 0; i < values.size(); ++i) {
      lost += std::pow(static_cast<double>(values[i]) - back[i], 2);
    }
    least += LeastError(values);
  }
  EXPECT_GE(lost, least);
  EXPECT_LT(lost, 1.05 * least) << lost / least;
}

}  // namespace
}  // namespace weft::codec
