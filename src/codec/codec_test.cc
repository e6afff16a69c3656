#include "codec/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace weft::codec {
namespace {

using ::testing::HasSubstr;

std::string Hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Bytes Encoded(const std::string& codec, const std::vector<float>& values) {
  Bytes packet;
  EXPECT_TRUE(MakeCodec(codec).value()->Encode(values, {}, &packet).ok());
  return packet;
}

std::vector<float> Decoded(const std::string& codec, const Bytes& packet, size_t n) {
  std::vector<float> values(n, -1.0f);
  const Status status = MakeCodec(codec).value()->Decode(packet, values);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return values;
}

// Spread over the exponents that gradients have.
std::vector<float> RandomValues(uint64_t seed, size_t n) {
  base::Rng rng(seed);
  std::vector<float> values(n);
  for (float& value : values) {
    value = static_cast<float>(rng.NextNormal() * std::exp2(rng.NextUniform(-30, 10)));
  }
  return values;
}

TEST(Codec, GoldenBytes) {
  const std::vector<float> values = {1.0f, -2.5f, 0.0f};
  EXPECT_EQ(Hex(Encoded("dense", values)),
            "c7010100"          // magic, dense, version 1
            "b972a8bc"          // checksum
            "0300000000000000"  // three values
            "0000803f000020c000000000");
  EXPECT_EQ(Hex(Encoded("fp16", values)),
            "c7020100"
            "bac92d75"
            "0300000000000000"
            "003c00c10000");
}

TEST(Codec, UnknownNameSuggestsTheNearest) {
  const auto codec = MakeCodec("dence");
  ASSERT_FALSE(codec.ok());
  EXPECT_EQ(codec.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(codec.status().message(), HasSubstr("did you mean \"dense\""));
  for (const std::string& name : CodecNames()) EXPECT_EQ(MakeCodec(name).value()->name(), name);
}

TEST(Codec, EncodeAppendsAndKeepsWithinMaxBytes) {
  for (const std::string& name : CodecNames()) {
    const auto codec = MakeCodec(name).value();
    for (size_t n : {0, 1, 7, 8, 9, 1000}) {
      Bytes packet = {1, 2, 3};
      ASSERT_TRUE(codec->Encode(RandomValues(n, n), {}, &packet).ok());
      EXPECT_EQ(packet[2], 3);
      EXPECT_LE(packet.size() - 3, codec->MaxBytes(n));
      const Bytes alone(packet.begin() + 3, packet.end());
      Decoded(name, alone, n);
    }
  }
}

TEST(Codec, DenseRoundTripIsExact) {
  for (size_t n = 0; n < 300; ++n) {
    const std::vector<float> values = RandomValues(n, n);
    ASSERT_EQ(Decoded("dense", Encoded("dense", values), n), values);
  }
}

TEST(Codec, Fp16RoundTripIsWithinHalfAUnit) {
  for (size_t n = 0; n < 300; ++n) {
    const std::vector<float> values = RandomValues(n, n);
    const std::vector<float> back = Decoded("fp16", Encoded("fp16", values), n);
    for (size_t i = 0; i < n; ++i) {
      const float half_unit = std::max(std::fabs(values[i]) * 0x1p-11f, 0x1p-25f);
      ASSERT_LE(std::fabs(back[i] - values[i]), half_unit);
    }
  }
}

// values + residual before = decoded + residual after: nothing of a gradient is ever lost.
TEST(Codec, ResidualKeepsWhatIsNotSent) {
  for (const std::string name : {"dense", "fp16"}) {
    const auto codec = MakeCodec(name).value();
    std::vector<float> residual(333, 0.0f);
    for (uint64_t step = 0; step < 20; ++step) {
      std::vector<float> values = RandomValues(step, residual.size());
      values[5] = 1e6f;  // far outside half
      const std::vector<float> before = residual;
      Bytes packet;
      ASSERT_TRUE(codec->Encode(values, residual, &packet).ok());
      const std::vector<float> sent = Decoded(name, packet, values.size());
      for (size_t i = 0; i < values.size(); ++i) {
        ASSERT_EQ(values[i] + before[i], sent[i] + residual[i]) << name << " at " << i;
      }
    }
    EXPECT_EQ(residual != std::vector<float>(residual.size(), 0.0f), codec->lossy());
  }
}

// The others refuse them (update_codec_test).
TEST(Codec, NotFiniteValuesArriveAsSuchAndLeaveNoResidual) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values(18, 1.0f);  // longer than two groups of the fast twin
  for (size_t at : {0u, 16u}) {
    values[at] = nan;
    values[at ^ 1u] = -infinity;
  }
  for (const std::string name : {"dense", "fp16"}) {
    std::vector<float> residual(values.size(), 0.0f);
    Bytes packet;
    ASSERT_TRUE(MakeCodec(name).value()->Encode(values, residual, &packet).ok());
    const std::vector<float> back = Decoded(name, packet, values.size());
    EXPECT_TRUE(std::isnan(back[0]) && std::isnan(back[16])) << name;
    EXPECT_EQ(back[1], -infinity);
    EXPECT_EQ(back[17], -infinity);
    EXPECT_EQ(residual, std::vector<float>(values.size(), 0.0f)) << name;
  }
}

TEST(Codec, ResidualOfAnotherSizeIsRefused) {
  for (const std::string& name : CodecNames()) {
    std::vector<float> values(4), residual(3);
    Bytes packet;
    const Status status = MakeCodec(name).value()->Encode(values, residual, &packet);
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_TRUE(packet.empty());
  }
}

TEST(Codec, EveryDamagedByteAndEveryTruncationIsRefused) {
  for (const std::string& name : CodecNames()) {
    const auto codec = MakeCodec(name).value();
    std::vector<float> values = RandomValues(1, 9);
    const Bytes packet = Encoded(name, values);
    for (size_t i = 0; i < packet.size(); ++i) {
      Bytes damaged = packet;
      damaged[i] ^= 0x10;
      EXPECT_EQ(codec->Decode(damaged, values).code(), Code::kDataLoss) << name << " byte " << i;
      EXPECT_EQ(codec->Decode(ByteView(packet).first(i), values).code(), Code::kDataLoss);
    }
    Bytes longer = packet;
    longer.push_back(0);
    EXPECT_EQ(codec->Decode(longer, values).code(), Code::kDataLoss);
  }
}

TEST(Codec, WrongCountOrCodecIsNamed) {
  std::vector<float> values(5);
  const auto dense = MakeCodec("dense").value();
  EXPECT_THAT(dense->Decode(Encoded("dense", {1, 2, 3}), values).message(), HasSubstr("bytes"));
  values.resize(6);
  EXPECT_THAT(dense->Decode(Encoded("fp16", std::vector<float>(12)), values).message(),
              HasSubstr("codec: got 2, want 1"));
}

}  // namespace
}  // namespace weft::codec
