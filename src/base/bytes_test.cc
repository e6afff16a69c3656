#include "base/bytes.h"

#include <gtest/gtest.h>

namespace weft::base {
namespace {

TEST(Bytes, WritesLittleEndianAndReadsItBack) {
  Bytes bytes;
  ByteWriter writer(&bytes);
  writer.Put(uint32_t{0x01020304});
  writer.Put(int16_t{-2});
  writer.PutString("ab");
  writer.Put(true);
  EXPECT_EQ(bytes, (Bytes{4, 3, 2, 1, 0xFE, 0xFF, 2, 0, 0, 0, 'a', 'b', 1}));

  ByteReader reader(bytes);
  uint32_t word = 0;
  int16_t half = 0;
  std::string text;
  bool flag = false;
  ASSERT_TRUE(reader.Get(&word).ok());
  ASSERT_TRUE(reader.Get(&half).ok());
  ASSERT_TRUE(reader.GetString(&text).ok());
  ASSERT_TRUE(reader.Get(&flag).ok());
  EXPECT_EQ(word, 0x01020304u);
  EXPECT_EQ(half, -2);
  EXPECT_EQ(text, "ab");
  EXPECT_TRUE(flag);
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(Bytes, ReadPastTheEndSaysWhereAndConsumesNothing) {
  std::string text = "abc";
  ByteReader reader(AsBytes(text));
  uint32_t word = 0;
  const Status status = reader.Get(&word);
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_EQ(status.message(), "truncated at byte 0: got 3 more bytes, want 4");
  EXPECT_EQ(reader.position(), 0u);
  ByteView view;
  EXPECT_FALSE(reader.GetRaw(SIZE_MAX, &view).ok());
  EXPECT_EQ(reader.remaining(), 3u);
}

TEST(Bytes, StringLongerThanTheInputConsumesNothing) {
  Bytes bytes;
  ByteWriter(&bytes).Put(uint32_t{0xFFFFFFFF});
  bytes.push_back('a');
  ByteReader reader(bytes);
  std::string text;
  EXPECT_EQ(reader.GetString(&text).code(), Code::kDataLoss);
  EXPECT_EQ(reader.position(), 0u);
}

TEST(Bytes, BoolOfAnotherValueIsRefused) {
  const Bytes bytes = {2};
  ByteReader reader(bytes);
  bool flag = false;
  EXPECT_EQ(reader.Get(&flag).message(), "byte 0: got 2, want 0 or 1");
  EXPECT_EQ(reader.position(), 0u);
}

}  // namespace
}  // namespace weft::base
