#include "base/hash.h"

#include <gtest/gtest.h>

namespace weft::base {
namespace {

// FIPS 180-4, examples.
TEST(Hash, Sha256OfKnownTexts) {
  EXPECT_EQ(Sha256Hex(AsBytes("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// RFC 3720, appendix B.4, and the polynomial's usual check value.
TEST(Hash, Crc32cOfKnownBytes) {
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xE3069283u);
  EXPECT_EQ(Crc32c(Bytes(32, 0)), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(Bytes(32, 0xFF)), 0x62A8AB43u);
  EXPECT_EQ(Crc32c({}), 0u);
}

TEST(Hash, Crc32cContinues) {
  EXPECT_EQ(Crc32c(AsBytes("6789"), Crc32c(AsBytes("12345"))), Crc32c(AsBytes("123456789")));
}

TEST(Hash, Fnv1aOfKnownTexts) {
  EXPECT_EQ(Fnv1a({}), 0xCBF29CE484222325u);
  EXPECT_EQ(Fnv1a(AsBytes("a")), 0xAF63DC4C8601EC8Cu);
  EXPECT_EQ(Fnv1a(AsBytes("bc"), Fnv1a(AsBytes("a"))), Fnv1a(AsBytes("abc")));
}

}  // namespace
}  // namespace weft::base
