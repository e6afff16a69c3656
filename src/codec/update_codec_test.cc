#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/rng.h"
#include "codec/codec.h"

namespace weft::codec {
namespace {

std::vector<std::string> SparseNames() {
  std::vector<std::string> names = CodecNames();
  std::erase_if(names, [](const std::string& name) { return name == "dense" || name == "fp16"; });
  return names;
}

// Two convolutions with their norms, as nets have them: large, small and measured.
std::vector<Tensor> SomeTensors() {
  const std::vector<Tensor> parts = {
      {.count = 432, .rows = 16},      {.count = 16}, {.count = 16},
      {.count = 64 * 144, .rows = 64}, {.count = 64}, {.count = 64},
      {.count = 5000, .rows = 10},     {.count = 10}, {.count = 16, .trained = false},
      {.count = 64, .trained = false},
  };
  std::vector<Tensor> tensors;
  int64_t begin = 0;
  for (Tensor tensor : parts) {
    tensor.begin = begin;
    begin += tensor.count;
    tensors.push_back(tensor);
  }
  return tensors;
}

size_t SizeOf(const std::vector<Tensor>& tensors) {
  return static_cast<size_t>(tensors.back().begin + tensors.back().count);
}

std::unique_ptr<Codec> Make(const std::string& name, const std::vector<Tensor>& tensors = {}) {
  return MakeCodec(CodecOptions{.name = name, .tensors = tensors}).value();
}

// Heavy tails, as gradients have them.
std::vector<float> Gradient(uint64_t seed, size_t n) {
  base::Rng rng(seed);
  std::vector<float> values(n);
  for (float& value : values) {
    value = static_cast<float>(rng.NextNormal() * std::exp2(rng.NextUniform(-12, 0)));
  }
  return values;
}

Bytes Encoded(Codec& codec, const Place& place, const std::vector<float>& values,
              const Carry& carry = {}) {
  Bytes packet;
  const Status status = codec.Encode(place, values, carry, &packet);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_LE(packet.size(), codec.MaxBytes(values.size()));
  return packet;
}

std::vector<float> Decoded(const Codec& codec, const Place& place, const Bytes& packet, size_t n) {
  std::vector<float> values(n, -1.0f);
  const Status status = codec.Decode(place, packet, values);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return values;
}

std::string Hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

size_t CountNonZero(std::span<const float> values) {
  size_t count = 0;
  for (const float value : values) count += value != 0 ? 1 : 0;
  return count;
}

// Of a difference that is too fine for f32, half a unit of its larger part may be lost.
void ExpectSame(float sum, float sent, float left, size_t at) {
  if (sent + left == sum) return;
  EXPECT_LE(std::fabs(double{sent} + left - sum),
            std::max(std::fabs(sent), std::fabs(left)) * 0x1p-24)
      << "at " << at;
}

// Several steps of a range with its residual: nothing of a gradient is lost.
void ExpectNothingLost(Codec& codec, const Place& place, size_t n) {
  std::vector<float> residual(n);
  for (uint64_t step = 0; step < 4; ++step) {
    const std::vector<float> values = Gradient(step, n);
    const std::vector<float> before = residual;
    const Bytes packet = Encoded(codec, place, values, {.residual = residual, .velocity = {}});
    const std::vector<float> sent = Decoded(codec, place, packet, n);
    for (size_t i = 0; i < n; ++i) ExpectSame(values[i] + before[i], sent[i], residual[i], i);
  }
}

TEST(UpdateCodec, ResidualKeepsWhatIsNotSent) {
  for (const std::string& name : SparseNames()) {
    SCOPED_TRACE(name);
    for (const size_t n : {0, 1, 2, 7, 63, 64, 2047, 4095, 4096, 4097, 9001}) {
      ExpectNothingLost(*Make(name), {}, n);
    }
  }
}

TEST(UpdateCodec, RangesMayCutTensorsAnywhere) {
  const std::vector<Tensor> tensors = SomeTensors();
  const size_t size = SizeOf(tensors);
  for (const std::string& name : SparseNames()) {
    SCOPED_TRACE(name);
    for (const size_t begin : {0, 1, 432, 5000, 9999, 14650}) {
      for (const size_t n : {1, 20, 4097, 10000}) {
        const size_t count = std::min(n, size - begin);
        ExpectNothingLost(*Make(name, tensors),
                          {.begin = static_cast<int64_t>(begin), .run = 7, .base = 3}, count);
      }
    }
  }
}

TEST(UpdateCodec, AllValuesAsTheyAreEqualDenseBitForBit) {
  const std::vector<Tensor> tensors = SomeTensors();
  const size_t n = SizeOf(tensors);
  std::vector<float> values = Gradient(1, n);
  values[3] = -0.0f;
  values[4] = std::numeric_limits<float>::denorm_min();
  for (const char* name : {"chunk-topk", "auto"}) {
    const auto codec =
        MakeCodec(CodecOptions{.name = name, .density = 1, .values = "fp32", .tensors = tensors})
            .value();
    EXPECT_EQ(codec->lossy(), std::string(name) == "auto");
    for (const bool carries : {false, true}) {
      std::vector<float> residual(carries ? Gradient(2, n) : std::vector<float>());
      std::vector<float> dense_residual = residual;
      Bytes dense_packet;
      const auto dense = MakeCodec("dense").value();
      ASSERT_TRUE(dense->Encode(values, dense_residual, &dense_packet).ok());
      const Bytes packet = Encoded(*codec, {}, values, {.residual = residual, .velocity = {}});
      EXPECT_TRUE(SameBits(Decoded(*codec, {}, packet, n), Decoded(*dense, {}, dense_packet, n)));
      EXPECT_TRUE(SameBits(residual, dense_residual));
    }
  }
}

TEST(UpdateCodec, ChunkTopkSendsTheLargestOfEachChunk) {
  const size_t n = 3 * 4096;
  const auto codec = MakeCodec(CodecOptions{.name = "chunk-topk", .values = "fp32"}).value();
  const std::vector<float> values = Gradient(5, n);
  const std::vector<float> sent = Decoded(*codec, {}, Encoded(*codec, {}, values), n);
  for (size_t begin = 0; begin < n; begin += 4096) {
    const auto chunk = std::span(values).subspan(begin, 4096);
    std::vector<float> sizes;
    for (const float value : chunk) sizes.push_back(std::fabs(value));
    std::sort(sizes.rbegin(), sizes.rend());
    for (size_t i = 0; i < chunk.size(); ++i) {
      const float want = std::fabs(chunk[i]) >= sizes[63] ? chunk[i] : 0;
      ASSERT_EQ(sent[begin + i], want);
    }
  }
}

TEST(UpdateCodec, WhatIsNotFiniteIsRefusedAndChangesNothing) {
  for (const std::string& name : SparseNames()) {
    for (const float wrong :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::max()}) {
      std::vector<float> values(5000, 1.0f);
      std::vector<float> residual(5000, std::numeric_limits<float>::max());
      values[4999] = wrong;
      const std::vector<float> before = residual;
      Bytes packet;
      const Status status = Make(name)->Encode(values, residual, &packet);
      EXPECT_EQ(status.code(), Code::kInvalidArgument);
      EXPECT_TRUE(packet.empty());
      EXPECT_EQ(residual, before);
    }
  }
}

TEST(UpdateCodec, DensityAndKindAreReachedAtRunTime) {
  const size_t n = 100 * 4096;
  const auto codec = Make("auto");
  const std::vector<float> values = Gradient(1, n);
  const size_t dense = Encoded(*codec, {}, values).size();
  EXPECT_GT(dense, n * sizeof(float));
  codec->Aim({.density = 0.01, .values = ValueKind::kInt4});
  const Bytes packet = Encoded(*codec, {}, values);
  EXPECT_EQ(CountNonZero(Decoded(*codec, {}, packet, n)), 100 * 41);
  // 0.081 bits of entropy for each position, 4 bits for each of 41 values, a scale and its filling.
  EXPECT_LT(packet.size(), 100 * (4096 * 0.081 * 1.03 / 8 + 41 * 0.5 + 4));
}

TEST(UpdateCodec, WarmUpFallsFromAQuarter) {
  const size_t n = 4096;
  const auto codec =
      MakeCodec(CodecOptions{.name = "chunk-topk", .density = 0.01, .values = "fp32", .warmup = 4})
          .value();
  const std::vector<float> values = Gradient(1, n);
  std::vector<size_t> counts;
  for (const int64_t base : {0, 1, 2, 3, 4, 5}) {
    const Place place{.base = base};
    counts.push_back(CountNonZero(Decoded(*codec, place, Encoded(*codec, place, values), n)));
  }
  // 4096 * 0.25 * 0.04^(base / 4), rounded up.
  EXPECT_THAT(counts, ::testing::ElementsAre(1024, 458, 205, 92, 41, 41));
}

TEST(UpdateCodec, EachValueTravelsWithinTheFlush) {
  const std::vector<Tensor> tensors = SomeTensors();
  const size_t n = SizeOf(tensors);
  const auto codec =
      MakeCodec(
          CodecOptions{.name = "chunk-topk", .density = 0.001, .flush = 3, .tensors = tensors})
          .value();
  // One value dwarfs all others of its chunk, and equal ones are hardly ever the largest.
  std::vector<float> values(n, 1.0f);
  std::vector<float> residual(n);
  std::vector<float> sum(n);
  for (int step = 0; step < 3; ++step) {
    const Bytes packet = Encoded(*codec, {}, values, {.residual = residual, .velocity = {}});
    const std::vector<float> sent = Decoded(*codec, {}, packet, n);
    for (size_t i = 0; i < n; ++i) sum[i] += sent[i];
    std::fill(values.begin(), values.end(), 0.0f);
  }
  for (size_t i = 0; i < n; ++i) EXPECT_NEAR(sum[i], 1, 0.01) << i;
}

TEST(UpdateCodec, VelocityIsMaskedWhereValuesWereSelected) {
  const size_t n = 8192;
  const std::vector<float> values = Gradient(1, n);
  std::vector<float> velocity(n, 1.0f);
  const auto codec = Make("chunk-topk");
  const Bytes packet = Encoded(*codec, {}, values, {.residual = {}, .velocity = velocity});
  const std::vector<float> sent = Decoded(*codec, {}, packet, n);
  for (size_t i = 0; i < n; ++i) ASSERT_EQ(velocity[i], sent[i] == 0 ? 1 : 0);
  std::fill(velocity.begin(), velocity.end(), 1.0f);
  Encoded(*Make("int8"), {}, values, {.residual = {}, .velocity = velocity});
  EXPECT_EQ(velocity, std::vector<float>(n, 1.0f));
}

// The example of docs/formats/update.md.
TEST(UpdateCodec, GoldenBytes) {
  const std::vector<Tensor> tensors = {{.begin = 0, .count = 2050},
                                       {.begin = 2050, .count = 3},
                                       {.begin = 2053, .count = 2, .trained = false}};
  const auto codec =
      MakeCodec(CodecOptions{
                    .name = "chunk-topk", .density = 0.001, .values = "int8", .tensors = tensors})
          .value();
  std::vector<float> values(2055);
  values[5] = 254;
  values[300] = -100;
  values[301] = 8;
  values[2049] = 3;
  values[2050] = 1;
  values[2051] = -127;
  values[2053] = 0.5f;
  values[2054] = 2;
  const Place place{.begin = 0, .run = 0x1234, .base = 7};
  const Bytes packet = Encoded(*codec, place, values);
  EXPECT_EQ(Hex(packet),
            "c7030100f035cf2b"  // magic, codec, version; checksum
            "981487b08710000e"  // identity; 2,055 values from 0 on, of version 7
            "0a558049001e"      // large: sparse int8; positions 5, 300, 301
            "000000407fce04"    // times 2: 127, -50, 4
            "2aa7"              // small: the same, joined; position 1
            "0000803f81"        // times 1: -127
            "0100380040");      // statistics: whole fp16; 0.5, 2
  const std::vector<float> sent = Decoded(*codec, place, packet, values.size());
  for (const size_t at : {5, 300, 301, 2051, 2053, 2054}) EXPECT_EQ(sent[at], values[at]);
  EXPECT_EQ(CountNonZero(sent), 6u);
}

TEST(UpdateCodec, EveryTruncationAndEveryFlippedBitIsRefused) {
  const std::vector<Tensor> tensors = SomeTensors();
  const Place place{.begin = 400, .run = 5, .base = 9};
  std::vector<float> values = Gradient(1, 11000);
  for (const std::string& name : SparseNames()) {
    const auto codec = Make(name, tensors);
    const Bytes packet = Encoded(*codec, place, values);
    std::vector<float> read(values.size());
    const size_t stride = 1 + packet.size() / 300;
    for (size_t i = 0; i < packet.size(); i += stride) {
      EXPECT_EQ(codec->Decode(place, ByteView(packet).first(i), read).code(), Code::kDataLoss);
      Bytes damaged = packet;
      damaged[i] ^= static_cast<uint8_t>(1 << i % 8);
      EXPECT_EQ(codec->Decode(place, damaged, read).code(), Code::kDataLoss) << name << i;
      EXPECT_EQ(codec->Add(place, damaged, 1, values).code(), Code::kDataLoss);
    }
  }
  EXPECT_EQ(values, Gradient(1, 11000));
}

TEST(UpdateCodec, AddingIsDecodingAndAdding) {
  const std::vector<Tensor> tensors = SomeTensors();
  const size_t n = SizeOf(tensors);
  for (const std::string& name : CodecNames()) {
    const auto codec = Make(name, tensors);
    const Bytes packet = Encoded(*codec, {}, Gradient(1, n));
    const std::vector<float> sent = Decoded(*codec, {}, packet, n);
    std::vector<float> sum = Gradient(2, n);
    std::vector<float> want = sum;
    for (size_t i = 0; i < n; ++i) want[i] += 0.3f * sent[i];
    ASSERT_TRUE(codec->Add({}, packet, 0.3f, sum).ok());
    EXPECT_EQ(sum, want) << name;
  }
}

TEST(UpdateCodec, StatisticsAreSentWholeAsHalves) {
  const std::vector<Tensor> tensors = {{.begin = 0, .count = 5000},
                                       {.begin = 5000, .count = 100, .trained = false}};
  for (const std::string& name : SparseNames()) {
    const std::vector<float> values = Gradient(1, 5100);
    const auto codec = Make(name, tensors);
    const std::vector<float> sent = Decoded(*codec, {}, Encoded(*codec, {}, values), 5100);
    for (size_t i = 5000; i < 5100; ++i) {
      const float most = name == "auto" ? 0 : std::max(std::fabs(values[i]) * 0x1p-11f, 0x1p-25f);
      EXPECT_LE(std::fabs(sent[i] - values[i]), most) << name;
    }
  }
}

TEST(UpdateCodec, SmallTensorsAreSentMoreDensely) {
  std::vector<Tensor> tensors = {{.begin = 0, .count = 409600}};
  for (int64_t i = 0; i < 20; ++i) tensors.push_back({.begin = 409600 + 32 * i, .count = 32});
  const std::vector<float> values = Gradient(1, SizeOf(tensors));
  const auto count = [&](double density) {
    const auto codec =
        MakeCodec(
            CodecOptions{
                .name = "chunk-topk", .density = density, .values = "fp32", .tensors = tensors})
            .value();
    const Bytes packet = Encoded(*codec, {}, values);
    const std::vector<float> sent = Decoded(*codec, {}, packet, values.size());
    return CountNonZero(std::span(sent).subspan(409600));
  };
  EXPECT_EQ(count(0.001), 20u * 3);  // 64 times the density, rounded up in each
  EXPECT_EQ(count(0.02), 20u * 32);
}

TEST(UpdateCodec, SelectsAboutTheDensityByThreshold) {
  const size_t n = 300000;
  const auto codec = Make("dgc");
  std::vector<float> residual(n);
  for (uint64_t step = 0; step < 8; ++step) {
    const Bytes packet =
        Encoded(*codec, {}, Gradient(step, n), {.residual = residual, .velocity = {}});
    const size_t count = CountNonZero(Decoded(*codec, {}, packet, n));
    EXPECT_GE(count, 300 / 1.25);
    EXPECT_LE(count, 300 * 1.25);
  }
}

TEST(UpdateCodec, OptionsOutOfRangeOrOfNoUseAreRefused) {
  const std::vector<CodecOptions> wrong = {
      {.name = "chunk-topk", .density = 1.5},
      {.name = "chunk-topk", .density = -0.1},
      {.name = "chunk-topk", .density = std::numeric_limits<double>::quiet_NaN()},
      {.name = "chunk-topk", .values = "int3"},
      {.name = "chunk-topk", .warmup = -1},
      {.name = "dgc", .flush = -1},
      {.name = "dgc", .rank = 2},
      {.name = "powersgd", .rank = 33},
      {.name = "powersgd", .flush = 5},
      {.name = "3lc", .density = 0.5},
      {.name = "int8", .values = "int4"},
      {.name = "dgc", .tensors = {{.begin = 0, .count = 5}, {.begin = 6, .count = 1}}},
      {.name = "dgc", .tensors = {{.begin = 0, .count = 5, .rows = 2}}},
      {.name = "dgc", .tensors = {{.begin = 0, .count = 0}}},
  };
  for (const CodecOptions& options : wrong) {
    EXPECT_EQ(MakeCodec(options).status().code(), Code::kInvalidArgument) << options.name;
  }
}

TEST(UpdateCodec, PacketsOfAnotherPlaceAreRefused) {
  const std::vector<Tensor> tensors = SomeTensors();
  const auto codec = Make("chunk-topk", tensors);
  const Place place{.begin = 10, .run = 5, .base = 9};
  std::vector<float> values = Gradient(1, 6000);
  const Bytes packet = Encoded(*codec, place, values);
  for (const Place& other : {Place{11, 5, 9}, Place{10, 6, 9}, Place{10, 5, 8}}) {
    EXPECT_EQ(codec->Decode(other, packet, values).code(), Code::kDataLoss);
  }
  EXPECT_EQ(Make("chunk-topk")->Decode(place, packet, values).code(), Code::kDataLoss);
  values.pop_back();
  EXPECT_EQ(codec->Decode(place, packet, values).code(), Code::kDataLoss);
}

}  // namespace
}  // namespace weft::codec
