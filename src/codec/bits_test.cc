#include "codec/bits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft::codec {
namespace {

using ::testing::ElementsAre;

struct Field {
  uint64_t value;
  size_t bits;
};

std::vector<Field> RandomFields(uint64_t seed, size_t n) {
  base::Rng rng(seed);
  std::vector<Field> fields(n);
  for (Field& field : fields) {
    field.bits = rng.NextBelow(kMaxFieldBits + 1);
    field.value = LowBits(rng.Next(), field.bits);
  }
  return fields;
}

TEST(Bits, LeastSignificantBitFirst) {
  Bytes bytes = {0xEE};  // what was there stays
  BitWriter writer(&bytes);
  writer.Put(0b1, 1);
  writer.Put(0b0110, 4);
  writer.Put(0x1FF, 9);
  EXPECT_EQ(writer.bits(), 14u);
  writer.Align();
  EXPECT_EQ(writer.bits(), 16u);
  EXPECT_THAT(bytes, ElementsAre(0xEE, 0b11101101, 0b00111111));
}

TEST(Bits, FieldsOfAllLengthsComeBack) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const std::vector<Field> fields = RandomFields(seed, seed * 3);
    Bytes bytes;
    BitWriter writer(&bytes);
    for (const Field& field : fields) writer.Put(field.value, field.bits);
    const size_t bits = writer.bits();
    writer.Align();
    ASSERT_EQ(bytes.size(), (bits + 7) / 8);
    BitReader reader(bytes);
    for (const Field& field : fields) ASSERT_EQ(reader.Get(field.bits), field.value);
    EXPECT_EQ(reader.position(), bits);
    reader.Align();
    EXPECT_FALSE(reader.failed());
    EXPECT_EQ(reader.remaining(), 0u);
  }
}

TEST(Bits, AlignInTheMiddle) {
  Bytes bytes;
  BitWriter writer(&bytes);
  writer.Put(5, 3);
  writer.Align();
  writer.Align();  // nothing to do
  writer.Put(0xABC, 12);
  writer.Align();
  EXPECT_THAT(bytes, ElementsAre(5, 0xBC, 0x0A));
  BitReader reader(bytes);
  EXPECT_EQ(reader.Get(3), 5u);
  reader.Align();
  EXPECT_EQ(reader.Get(12), 0xABCu);
  EXPECT_FALSE(reader.failed());
}

TEST(Bits, PaddingThatIsNotZerosFails) {
  const Bytes bytes = {0b01000000};
  BitReader reader(bytes);
  EXPECT_EQ(reader.Get(3), 0u);
  reader.Align();
  EXPECT_TRUE(reader.failed());
}

TEST(Bits, PastTheEndAreZerosAndFailureStays) {
  const Bytes bytes = {0xFF, 0xFF};
  BitReader reader(bytes);
  EXPECT_EQ(reader.Peek(), 0xFFFFu);
  EXPECT_EQ(reader.Get(15), 0x7FFFu);
  EXPECT_EQ(reader.remaining(), 1u);
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(reader.Get(2), 1u);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_EQ(reader.Get(kMaxFieldBits), 0u);
  EXPECT_EQ(reader.Get(0), 0u);
  EXPECT_TRUE(reader.failed());
}

TEST(Bits, NothingToRead) {
  BitReader reader(ByteView{});
  EXPECT_EQ(reader.Get(0), 0u);
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(reader.Get(1), 0u);
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace weft::codec
