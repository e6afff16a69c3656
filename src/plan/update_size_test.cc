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

// Whole vectors and small tensors, statistics, a matrix, a last chunk that is not whole.
std::vector<Tensor> TensorsOfATest() {
  const int64_t counts[] = {10'000, 64, 10, 1000, 300, 16'384, 64, 64};
  std::vector<Tensor> tensors;
  for (const int64_t count : counts) {
    const int64_t begin = tensors.empty() ? 0 : tensors.back().begin + tensors.back().count;
    tensors.push_back({.begin = begin, .count = count});
  }
  tensors[5].rows = 128;
  tensors[7].trained = false;
  return tensors;
}

// Normal values, by Box and Muller.
class Normals {
 public:
  float Next() {
    const double radius = std::sqrt(-2 * std::log(1 - rng_.NextUniform()));
    return static_cast<float>(radius * std::cos(2 * M_PI * rng_.NextUniform()));
  }

 private:
  base::Rng rng_{7};
};

// Mean of the last fifth of some updates of normal values, what is left carried on.
double MeasuredBytes(const CodecOptions& options, int64_t values, const Target* target) {
  const auto made = codec::MakeCodec(options);
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  codec::Codec& codec = **made;
  if (target != nullptr) codec.Aim(*target);
  Normals normals;
  std::vector<float> update(static_cast<size_t>(values));
  std::vector<float> residual(update.size(), 0);
  const int updates = options.name == "3lc" ? 200 : 20;
  double bytes = 0;
  for (int i = 0; i < updates; ++i) {
    for (float& value : update) value = normals.Next();
    Bytes packet;
    EXPECT_TRUE(codec.Encode(update, residual, &packet).ok());
    if (i >= updates * 4 / 5) bytes += static_cast<double>(packet.size()) * 5 / updates;
  }
  return bytes;
}

TEST(UpdateSize, IsWhatCodecsEncode) {
  const std::vector<Tensor> tensors = TensorsOfATest();
  const int64_t values = tensors.back().begin + tensors.back().count;
  const CodecOptions all[] = {
      {.name = "dense"},
      {.name = "fp16"},
      {.name = "int8"},
      {.name = "3lc"},
      {.name = "chunk-topk"},
      {.name = "chunk-topk", .density = 0.002, .values = "int8"},
      {.name = "chunk-topk", .flush = 4},
      {.name = "dgc"},
      {.name = "dgc", .density = 0.02, .values = "fp16"},
      {.name = "powersgd"},
      {.name = "powersgd", .rank = 4},
      {.name = "auto"},
      {.name = "auto", .density = 0.25, .values = "int2"},
  };
  for (CodecOptions options : all) {
    for (const bool table : {false, true}) {
      if (table) options.tensors = tensors;
      const double expected = UpdateBytes(options, values);
      const double tolerance = options.name == "3lc" ? 0.2 : options.name == "dgc" ? 0.25 : 0.015;
      EXPECT_NEAR(MeasuredBytes(options, values, nullptr), expected, tolerance * expected + 8)
          << options.name << " " << options.density << (table ? ", tensors" : "");
    }
  }
}

TEST(UpdateSize, IsWhatAnAimedCodecEncodes) {
  const CodecOptions options = {.name = "auto", .tensors = TensorsOfATest()};
  const int64_t values = options.tensors.back().begin + options.tensors.back().count;
  for (const double density : {1.0, 0.25, 1.0 / 16, 1.0 / 64, 0.001}) {
    for (const ValueKind kind : {ValueKind::kFloat32, ValueKind::kFloat16, ValueKind::kInt8,
                                 ValueKind::kInt4, ValueKind::kInt2}) {
      const Target target = {.density = density, .values = kind};
      const double expected = UpdateBytes(target, values, options.tensors);
      EXPECT_NEAR(MeasuredBytes(options, values, &target), expected, 0.015 * expected + 8)
          << density << " as " << codec::ValueKindName(kind);
    }
  }
}

TEST(UpdateSize, ManyChunksAreAsManyTimesOne) {
  for (const double density : {0.25, 1.0 / 64, 0.002}) {
    const Target target = {.density = density, .values = ValueKind::kInt4};
    const double frame = UpdateBytes(target, 0);
    const double some = UpdateBytes(target, 4096 * 64) - frame;
    EXPECT_NEAR(UpdateBytes(target, 4096 * 64 * 100) - frame, 100 * some, 0.01 * some) << density;
  }
}

TEST(UpdateSize, KnownNumbers) {
  // A frame of 25; a chunk as int8: a scale and its values.
  EXPECT_DOUBLE_EQ(UpdateBytes(Target{.density = 1, .values = ValueKind::kInt8}, 8192),
                   25 + 2 * 4100);
  EXPECT_DOUBLE_EQ(UpdateBytes(Target{.density = 1, .values = ValueKind::kInt8}, 4106),
                   25 + 4100 + 14);
  EXPECT_DOUBLE_EQ(UpdateBytes(Target(), 4096), 25 + 4 * 4096);
  // 64 of 4,096: 7.5 bits a position and its value 2, 3 for how, 32 for the levels.
  EXPECT_NEAR(UpdateBytes(Target{.density = 1.0 / 64, .values = ValueKind::kInt2}, 4096 * 100),
              25 + 100 * (64 * 7.5 + 3 + 64 * 2 + 32) / 8, 100);
  constexpr int64_t kValues = 1 << 20;
  const double dense = UpdateBytes(CodecOptions(), kValues);
  EXPECT_EQ(dense, 16 + 4 * kValues);
  EXPECT_NEAR(dense / UpdateBytes({.name = "chunk-topk"}, kValues), 202, 3);
}

}  // namespace
}  // namespace weft::plan
