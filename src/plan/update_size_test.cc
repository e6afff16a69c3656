#include "plan/update_size.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "codec/bits.h"
#include "codec/positions.h"

namespace weft::plan {
namespace {

using codec::CodecOptions;
using codec::Target;
using codec::Tensor;
using codec::ValueKind;

double Entropy(double p) { return -p * std::log2(p) - (1 - p) * std::log2(1 - p); }

// Mean over drawn sets of what the code really takes.
double MeasuredBits(int64_t chosen, int64_t span) {
  base::Rng rng(static_cast<uint64_t>(chosen * 4096 + span));
  std::vector<uint16_t> all(static_cast<size_t>(span));
  std::iota(all.begin(), all.end(), uint16_t{0});
  constexpr int kSets = 60;
  size_t bits = 0;
  for (int set = 0; set < kSets; ++set) {
    std::vector<uint16_t> positions;
    for (size_t i = 0; i < static_cast<size_t>(chosen); ++i) {
      std::swap(all[i], all[i + rng.NextBelow(all.size() - i)]);
      positions.push_back(all[i]);
    }
    std::sort(positions.begin(), positions.end());
    Bytes packed;
    codec::BitWriter out(&packed);
    codec::PackPositions(positions, static_cast<size_t>(span), &out);
    bits += out.bits();
  }
  return static_cast<double>(bits) / kSets;
}

TEST(UpdateSize, PositionsTakeWhatTheCodeTakes) {
  for (const int64_t span : {4096, 1000, 77}) {
    for (const double density : {0.5, 0.25, 0.1, 1.0 / 64, 0.004}) {
      const auto chosen = std::max<int64_t>(1, std::lround(density * static_cast<double>(span)));
      const double expected = PositionBits(chosen, span);
      EXPECT_NEAR(MeasuredBits(chosen, span), expected, 1.5 + 0.015 * expected)
          << chosen << " of " << span;
    }
  }
}

TEST(UpdateSize, PositionsAreNearTheirEntropy) {
  for (const double density : {0.25, 0.125, 1.0 / 16, 1.0 / 64, 1.0 / 256}) {
    const double entropy = 4096 * Entropy(density);
    const double bits = PositionBits(std::lround(density * 4096), 4096);
    EXPECT_GT(bits, 0.99 * entropy) << density;
    EXPECT_LT(bits, 1.05 * entropy) << density;
  }
}

TEST(UpdateSize, KnownNumbers) {
  // A frame of 16 + 24, a section of 2; int8 of a chunk: 1 + 4 + 4096.
  EXPECT_DOUBLE_EQ(UpdateBytes(Target{.density = 1, .values = ValueKind::kInt8}, 8192),
                   42 + 2 * 4101);
  EXPECT_DOUBLE_EQ(UpdateBytes(Target{.density = 1, .values = ValueKind::kInt8}, 4106),
                   42 + 4101 + 15);
  EXPECT_DOUBLE_EQ(UpdateBytes(Target(), 4096), 42 + 1 + 4 * 4096);
  // 64 of 4,096: 7.5 bits a position and its value 2, 3 for how, 32 for the levels.
  EXPECT_NEAR(UpdateBytes(Target{.density = 1.0 / 64, .values = ValueKind::kInt2}, 4096 * 100),
              42 + 100 * (64 * 7.5 + 3 + 64 * 2 + 32) / 8, 100);
}

TEST(UpdateSize, SmallTensorsAreWholeAndStatisticsHalves) {
  const std::vector<Tensor> tensors = {{.begin = 0, .count = 4096},
                                       {.begin = 4096, .count = 100},
                                       {.begin = 4196, .count = 10, .trained = false}};
  const Target sparse = {.density = 1.0 / 64, .values = ValueKind::kInt2};
  const double large = UpdateBytes(sparse, 4096);
  EXPECT_DOUBLE_EQ(UpdateBytes(sparse, 4206, tensors), large + (2 + 1 + 104) + (2 + 1 + 20));
  EXPECT_DOUBLE_EQ(UpdateBytes(Target(), 4206, tensors), 40 + 3 * 3 + 4 * 4206);
}

TEST(UpdateSize, EachCodecByItsName) {
  constexpr int64_t kValues = 1 << 20;
  const auto bytes = [](CodecOptions options) { return UpdateBytes(options, kValues); };
  const double dense = bytes({});
  EXPECT_EQ(dense, 16 + 4 * kValues);
  EXPECT_EQ(bytes({.name = "fp16"}), 16 + 2 * kValues);
  EXPECT_NEAR(bytes({.name = "auto"}), dense, 1000);
  EXPECT_NEAR(dense / bytes({.name = "int8"}), 4, 0.02);
  EXPECT_NEAR(dense / bytes({.name = "chunk-topk"}), 204, 4);  // 32 bits to 10.05 for 1 of 64
  EXPECT_NEAR(dense / bytes({.name = "dgc", .values = "int8"}), 940, 60);
  EXPECT_GT(dense / bytes({.name = "3lc"}), 40);  // the paper has 39 to 107
  EXPECT_LT(dense / bytes({.name = "3lc"}), 107);
  EXPECT_NEAR(bytes({.name = "powersgd"}), bytes({.name = "int8"}), 1);  // one row
  const CodecOptions matrix = {
      .name = "powersgd", .rank = 2, .tensors = {{.begin = 0, .count = kValues, .rows = 1 << 10}}};
  EXPECT_NEAR(bytes(matrix), 42 + 1 + 2 * 2 * 2048, 3);
}

TEST(UpdateSize, OptionsAreHeardByTheCodecsThatHaveThem) {
  constexpr int64_t kValues = 1 << 20;
  CodecOptions options = {.name = "chunk-topk"};
  const double plain = UpdateBytes(options, kValues);
  options.density = 1.0 / 128;
  EXPECT_NEAR(UpdateBytes(options, kValues) / plain, 0.58, 0.05);
  options.values = "int8";
  EXPECT_GT(UpdateBytes(options, kValues), 0.7 * plain);
  options.flush = 100;
  EXPECT_NEAR(
      UpdateBytes(options, kValues) -
          UpdateBytes({.name = "chunk-topk", .density = 1.0 / 128, .values = "int8"}, kValues),
      kValues / 100.0, 100);
}

}  // namespace
}  // namespace weft::plan
