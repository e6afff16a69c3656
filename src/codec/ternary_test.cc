#include "codec/ternary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace weft::codec {
namespace {

using ::testing::ElementsAre;

struct Written {
  Bytes bytes;
  std::vector<float> sent;
  std::vector<float> left;
};

Written Write(const std::vector<float>& values) {
  Written written;
  std::vector<float> scratch(values.size());
  std::vector<uint16_t> positions;
  written.left = values;
  WriteTernary(written.left, written.left, scratch, &positions, &written.bytes);
  written.sent.resize(values.size());
  size_t used = 0;
  EXPECT_TRUE(ReadTernary(written.bytes, written.sent, &positions, &used).ok());
  EXPECT_EQ(used, written.bytes.size());
  return written;
}

TEST(Ternary, SendsWhatIsAboveHalfOfTheScale) {
  const Written written = Write({1, -0.9f, 0.87f, 0, -0.1f});
  EXPECT_THAT(written.sent, ElementsAre(1.75f, -1.75f, 0, 0, 0));
  EXPECT_THAT(written.left, ElementsAre(-0.75f, -0.9f + 1.75f, 0.87f, 0, -0.1f));
}

TEST(Ternary, NothingIsLost) {
  base::Rng rng(1);
  for (const size_t n : {1, 2, 5, 100, 4095, 4096}) {
    for (const double spread : {0.0, 0.2, 1.0, 5.0}) {
      std::vector<float> values(n);
      for (float& value : values) {
        value = static_cast<float>(rng.NextBelow(2) ? 1 : -1);
        value *= static_cast<float>(std::exp2(rng.NextUniform(-spread, 0)));
      }
      const Written written = Write(values);
      for (size_t i = 0; i < n; ++i) ASSERT_EQ(written.sent[i] + written.left[i], values[i]);
    }
  }
}

TEST(Ternary, TakesTheShorterOfSignsAndCodes) {
  base::Rng rng(2);
  std::vector<float> values(4096);
  const auto fill = [&](double zeros) {
    for (float& value : values) {
      value = rng.NextUniform() < zeros ? 0.0f : rng.NextBelow(2) ? 1.0f : -1.0f;
    }
  };
  fill(0);
  EXPECT_EQ(Write(values).bytes.size(), 1 + 4 + (4096 + 4) / 5u);  // codes, five a byte
  fill(0.3);
  EXPECT_EQ(Write(values).bytes.size(), 1 + 4 + (4096 + 4) / 5u);
  fill(0.99);
  EXPECT_LT(Write(values).bytes.size(), 60u);  // 41 of 8.1 bits and a sign
  fill(1);
  EXPECT_EQ(Write(values).bytes.size(), 1u);
}

TEST(Ternary, EveryTruncationIsRefused) {
  for (const std::vector<float>& values :
       {std::vector<float>(10, 1.0f), std::vector<float>{0, 0, 1, 0, 0, 0, 0, -1, 0, 0}}) {
    const Bytes bytes = Write(values).bytes;
    std::vector<float> read(values.size());
    std::vector<uint16_t> positions;
    for (size_t i = 0; i < bytes.size(); ++i) {
      size_t used = 0;
      EXPECT_FALSE(ReadTernary(ByteView(bytes).first(i), read, &positions, &used).ok()) << i;
    }
  }
}

}  // namespace
}  // namespace weft::codec
