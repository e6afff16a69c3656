#include "data/gzip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/test_files.h"

namespace weft::data {
namespace {

using ::testing::HasSubstr;

Bytes Counting(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * i >> 3);
  return bytes;
}

TEST(Gzip, GivesBackWhatWasPacked) {
  for (const size_t size : {0, 1, 5000, 3000000}) {
    const Bytes bytes = Counting(size);
    const Result<Bytes> out = GunzipAtMost(Gzip(bytes), size + 1, "f");
    ASSERT_TRUE(out.ok()) << out.status().ToString();
    EXPECT_TRUE(*out == bytes) << size;
  }
}

TEST(Gzip, StopsAtTheLimit) {
  const Result<Bytes> out = GunzipAtMost(Gzip(Bytes(50 << 20)), 1000, "f");
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(*out, Bytes(1000));
  EXPECT_LT(out->capacity(), size_t{1} << 20);
}

TEST(Gzip, JoinsMembers) {
  Bytes file = Gzip(Bytes{1, 2});
  const Bytes second = Gzip(Bytes{3});
  file.insert(file.end(), second.begin(), second.end());
  EXPECT_EQ(*GunzipAtMost(file, 100, "f"), (Bytes{1, 2, 3}));
}

TEST(Gzip, DamageIsAnErrorThatNamesTheFile) {
  const Bytes good = Gzip(Counting(5000));
  for (size_t size = 2; size < good.size(); size += 97) {
    const Status cut = GunzipAtMost(ByteView(good).first(size), 10000, "f.gz").status();
    EXPECT_EQ(cut.code(), Code::kDataLoss) << size;
    EXPECT_THAT(cut.message(), HasSubstr("f.gz: truncated"));
  }
  Bytes wrong_checksum = good;
  wrong_checksum[good.size() - 6] ^= 1;
  EXPECT_THAT(GunzipAtMost(wrong_checksum, 10000, "f.gz").status().message(),
              HasSubstr("damaged gzip data: incorrect data check"));
  Bytes longer = good;
  longer.push_back('x');
  EXPECT_THAT(GunzipAtMost(longer, 10000, "f.gz").status().message(),
              HasSubstr("got 1 bytes after the end"));
}

}  // namespace
}  // namespace weft::data
