#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/rng.h"

namespace weft::base {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, KnownValues) {
  EXPECT_EQ(Crc32c({}), 0u);
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xE3069283u);
  EXPECT_EQ(Crc32c(Bytes(32, 0x00)), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(Bytes(32, 0xFF)), 0x62A8AB43u);
  Bytes ascending(32);
  for (size_t i = 0; i < ascending.size(); ++i) ascending[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(Crc32c(ascending), 0x46DD794Eu);
  EXPECT_EQ(Crc32cPortable(ascending), 0x46DD794Eu);
}

TEST(Crc32c, TwinsAgreeOnEveryLengthAndAlignment) {
  Rng rng(5);
  Bytes bytes(20000);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng.Next());
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t size = 0; size < 80; ++size) {
      const ByteView view = ByteView(bytes).subspan(begin, size);
      ASSERT_EQ(Crc32c(view), Crc32cPortable(view)) << begin << "+" << size;
    }
  }
  for (int i = 0; i < 50; ++i) {
    const size_t begin = rng.NextBelow(bytes.size());
    const ByteView view = ByteView(bytes).subspan(begin, rng.NextBelow(bytes.size() - begin));
    ASSERT_EQ(Crc32c(view), Crc32cPortable(view)) << begin << "+" << view.size();
  }
}

TEST(Crc32c, ContinuesAcrossPieces) {
  const ByteView text = AsBytes("the whole is the sum of its parts, in order");
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(Crc32c(text.subspan(cut), Crc32c(text.first(cut))), Crc32c(text));
    EXPECT_EQ(Crc32cPortable(text.subspan(cut), Crc32cPortable(text.first(cut))), Crc32c(text));
  }
}

}  // namespace
}  // namespace weft::base
