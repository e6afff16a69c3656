#include "codec/positions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/hash.h"
#include "base/rng.h"

namespace weft::codec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Positions = std::vector<uint16_t>;

Positions RandomSet(base::Rng& rng, size_t span, double density) {
  Positions positions;
  for (size_t i = 0; i < span; ++i) {
    if (rng.NextUniform() < density) positions.push_back(static_cast<uint16_t>(i));
  }
  return positions;
}

struct Packed {
  Bytes bytes;
  size_t bits = 0;
};

Packed Pack(const Positions& positions, size_t span) {
  Packed packed;
  BitWriter writer(&packed.bytes);
  PackPositions(positions, span, &writer);
  packed.bits = writer.bits();
  writer.Align();
  return packed;
}

// The bits as they stand in the input, first one leftmost.
std::string BitText(const Packed& packed) {
  std::string text;
  BitReader reader(packed.bytes);
  while (text.size() < packed.bits) text += reader.Get(1) != 0 ? '1' : '0';
  return text;
}

std::string BitText(const Positions& positions, size_t span) {
  return BitText(Pack(positions, span));
}

// Without the spaces.
std::string Joined(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

// What the walk's formula gives for k, summed a gap at a time.
size_t WalkBits(const Positions& positions, size_t span, size_t k) {
  size_t bits = 0;
  size_t begin = 0;
  for (const size_t position : positions) {
    bits += k + 1 + ((position - begin) >> k);
    begin = position + 1;
  }
  while (begin < span) {
    ++bits;
    begin += size_t{1} << k;
  }
  return bits;
}

size_t ShortestBits(const Positions& positions, size_t span) {
  if (positions.empty()) return 3;
  if (positions.size() == span) return 5;
  size_t least = span + 5;
  for (size_t k = 1; k <= 11; ++k) {
    least = std::min(least, WalkBits(positions, span, k) + (k >= 5 && k <= 9 ? 3 : 5));
  }
  return least;
}

constexpr double kDensities[] = {0, 0.0003, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 0.97, 0.9995, 1};

TEST(Positions, EveryFormRoundTripsInItsShortestBits) {
  for (const double density : kDensities) {
    base::Rng rng(static_cast<uint64_t>(density * 1e6));
    for (int repeat = 0; repeat < 60; ++repeat) {
      const size_t span = repeat % 3 == 0 ? kMaxSpan : 1 + rng.NextBelow(kMaxSpan);
      const Positions positions = RandomSet(rng, span, density);
      const Packed packed = Pack(positions, span);
      ASSERT_EQ(packed.bits, ShortestBits(positions, span)) << density << " of " << span;
      ASSERT_LE(packed.bits, MostPackedBits(span));
      BitReader reader(packed.bytes);
      Positions unpacked = {7, 7};
      ASSERT_TRUE(UnpackPositions(span, &reader, &unpacked).ok());
      ASSERT_EQ(unpacked, positions) << density << " of " << span;
      ASSERT_EQ(reader.position(), packed.bits);
    }
  }
}

TEST(Positions, EverySetOfSmallSpans) {
  for (size_t span = 1; span <= 10; ++span) {
    for (size_t set = 0; set < size_t{1} << span; ++set) {
      Positions positions;
      for (size_t i = 0; i < span; ++i) {
        if (set >> i & 1) positions.push_back(static_cast<uint16_t>(i));
      }
      const Packed packed = Pack(positions, span);
      ASSERT_EQ(packed.bits, ShortestBits(positions, span)) << set << " of " << span;
      BitReader reader(packed.bytes);
      Positions unpacked;
      ASSERT_TRUE(UnpackPositions(span, &reader, &unpacked).ok());
      ASSERT_EQ(unpacked, positions) << set << " of " << span;
    }
  }
}

// Sets in clusters, whose gaps are far from geometric.
TEST(Positions, ClustersRoundTrip) {
  base::Rng rng(11);
  for (int repeat = 0; repeat < 300; ++repeat) {
    Positions positions;
    for (size_t at = rng.NextBelow(3000); at < kMaxSpan;) {
      positions.push_back(static_cast<uint16_t>(at));
      at += 1 + (rng.NextBelow(20) == 0 ? rng.NextBelow(2500) : rng.NextBelow(3));
    }
    const Packed packed = Pack(positions, kMaxSpan);
    ASSERT_EQ(packed.bits, ShortestBits(positions, kMaxSpan));
    BitReader reader(packed.bytes);
    Positions unpacked;
    ASSERT_TRUE(UnpackPositions(kMaxSpan, &reader, &unpacked).ok());
    ASSERT_EQ(unpacked, positions);
  }
}

TEST(Positions, GoldenBits) {
  EXPECT_EQ(BitText({}, kMaxSpan), "000");
  EXPECT_EQ(BitText({0}, 1), "01100");
  EXPECT_EQ(BitText({0, 1, 2}, 3), "01100");
  EXPECT_EQ(BitText({0, 2, 3, 6}, 7), Joined("11100 0100110"));  // k = 0
  // k = 5: 40 is a jump and 8, 99 is another and 26; from 100 it is one to the end.
  EXPECT_EQ(BitText({40, 99}, 128), Joined("100 1000010 1001011 1"));
  // 127 is two jumps and 22, and the end.
  EXPECT_EQ(BitText({40, 127}, 128), Joined("100 1000010 11001101"));
  // k = 3, 4 and 5 take 22 bits each: the smallest.
  EXPECT_EQ(BitText({14, 37, 43}, 60), Joined("01101 10011 110011 0101 11"));
}

// Checksums of bytes that an encoder written apart from this one gave.
TEST(Positions, GoldenBytes) {
  EXPECT_THAT(Pack({40, 99}, 128).bytes, ElementsAre(0x09, 0xA5, 0x03));
  Positions squares;
  for (int i = 0; i < 64; ++i) squares.push_back(static_cast<uint16_t>(i * i));
  EXPECT_EQ(Pack(squares, kMaxSpan).bits, 484u);
  EXPECT_EQ(base::Crc32c(Pack(squares, kMaxSpan).bytes), 0x967151B9u);
  Positions sevens;
  for (int i = 0; i < 580; ++i) sevens.push_back(static_cast<uint16_t>(7 * i + i % 3));
  EXPECT_EQ(Pack(sevens, kMaxSpan).bits, 2331u);
  EXPECT_EQ(base::Crc32c(Pack(sevens, kMaxSpan).bytes), 0xC0417D1Du);
}

TEST(Positions, OneAfterAnother) {
  base::Rng rng(5);
  std::vector<Positions> sets;
  Bytes bytes;
  BitWriter writer(&bytes);
  for (size_t span = 1; span <= kMaxSpan; span = span * 3 / 2 + 1) {
    sets.push_back(RandomSet(rng, span, rng.NextUniform()));
    PackPositions(sets.back(), span, &writer);
  }
  writer.Align();
  BitReader reader(bytes);
  size_t span = 1;
  for (const Positions& positions : sets) {
    Positions unpacked;
    ASSERT_TRUE(UnpackPositions(span, &reader, &unpacked).ok());
    EXPECT_EQ(unpacked, positions);
    span = span * 3 / 2 + 1;
  }
  reader.Align();
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(reader.remaining(), 0u);
}

// Of many chunks whose coordinates are in with one probability, each alone: what the set of them
// holds, span * H(density) bits, and what it was packed to.
struct Totals {
  double entropy = 0;
  double bits = 0;
  double header_bits = 0;
};

Totals PackMany(double density, size_t chunks) {
  base::Rng rng(static_cast<uint64_t>(density * 1e6) + 1);
  Totals totals;
  double count = 0;
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    const Positions positions = RandomSet(rng, kMaxSpan, density);
    const Packed packed = Pack(positions, kMaxSpan);
    count += static_cast<double>(positions.size());
    totals.bits += static_cast<double>(packed.bits);
    totals.header_bits += BitReader(packed.bytes).Get(3) < 6 ? 3 : 5;
  }
  const double n = static_cast<double>(chunks * kMaxSpan);
  const double p = count / n;  // as drawn: the draw's own scatter is not the code's
  totals.entropy = -n * (p * std::log2(p) + (1 - p) * std::log2(1 - p));
  return totals;
}

TEST(Positions, WithinTwoPercentOfEntropy) {
  for (const double density : {0.01, 1.0 / 64, 0.1, 0.3, 0.5}) {
    const Totals totals = PackMany(density, 1000);
    EXPECT_LT(totals.bits, 1.02 * totals.entropy) << density;
  }
}

// A chunk holds four positions, 47 bits: three bits of header are 7 % of them.
TEST(Positions, AtAThousandthTheHeaderIsTheCost) {
  const Totals totals = PackMany(0.001, 5000);
  EXPECT_LT(totals.bits - totals.header_bits, 1.02 * totals.entropy);
  EXPECT_LT(totals.bits, 1.08 * totals.entropy);
}

// Powers of two lie farthest from the best Golomb parameter here.
TEST(Positions, WithinFourPercentOfEntropyBetween) {
  for (const double density : {0.005, 0.02, 0.05, 0.2, 0.25, 0.35, 0.4, 0.45}) {
    const Totals totals = PackMany(density, 300);
    EXPECT_LT(totals.bits, 1.04 * totals.entropy) << density;
  }
}

Status UnpackBits(const std::string& text, size_t span, Positions* positions) {
  Bytes bytes;
  BitWriter writer(&bytes);
  for (const char bit : Joined(text)) writer.Put(bit == '1' ? 1 : 0, 1);
  writer.Align();
  BitReader reader(bytes);
  return UnpackPositions(span, &reader, positions);
}

TEST(Positions, RefusesOneBehindTheChunk) {
  Positions positions;  // k = 6: a jump, then 35 or 36
  ASSERT_TRUE(UnpackBits("010 1 0110001", 100, &positions).ok());
  EXPECT_EQ(positions, Positions{99});
  const Status status = UnpackBits("010 1 0001001", 100, &positions);
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("got 100, want below 100"));
}

// Only the shortest is written, but whatever form says a set is read.
TEST(Positions, ReadsLongerForms) {
  Positions positions;
  ASSERT_TRUE(UnpackBits("11100 111", 3, &positions).ok());
  EXPECT_EQ(positions, Positions{});
  ASSERT_TRUE(UnpackBits("11111 010000000000 010000000000 1", 5, &positions).ok());
  EXPECT_EQ(positions, (Positions{1, 3}));
}

TEST(Positions, RefusesWhatIsCut) {
  base::Rng rng(3);
  for (const double density : kDensities) {
    const Packed packed = Pack(RandomSet(rng, kMaxSpan, density), kMaxSpan);
    for (size_t size = 0; size < packed.bytes.size(); ++size) {
      BitReader reader(ByteView(packed.bytes).first(size));
      Positions positions;
      ASSERT_EQ(UnpackPositions(kMaxSpan, &reader, &positions).code(), Code::kDataLoss)
          << size << " bytes at density " << density;
      ASSERT_LE(positions.size(), kMaxSpan);
    }
  }
}

// A flipped bit gives another set or none, but always a set.
TEST(Positions, DamageIsRefusedOrASet) {
  base::Rng rng(4);
  for (const double density : {0.002, 0.02, 0.3}) {
    const Positions positions = RandomSet(rng, kMaxSpan, density);
    const Packed packed = Pack(positions, kMaxSpan);
    for (size_t bit = 0; bit < packed.bits; ++bit) {
      Bytes bytes = packed.bytes;
      bytes[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
      BitReader reader(bytes);
      Positions damaged;
      const Status status = UnpackPositions(kMaxSpan, &reader, &damaged);
      ASSERT_TRUE(status.ok() || status.code() == Code::kDataLoss);
      ASSERT_FALSE(status.ok() && damaged == positions) << "bit " << bit;
      ASSERT_LE(damaged.size(), kMaxSpan);
      ASSERT_TRUE(std::is_sorted(damaged.begin(), damaged.end(), std::less_equal<>()));
      ASSERT_TRUE(damaged.empty() || damaged.back() < kMaxSpan);
    }
  }
}

TEST(Positions, NoiseTakesBoundedMemory) {
  base::Rng rng(6);
  Bytes bytes(size_t{1} << 16);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng.Next());
  BitReader reader(bytes);
  Positions positions;
  while (!reader.failed()) {
    const size_t span = 1 + rng.NextBelow(kMaxSpan);
    const Status status = UnpackPositions(span, &reader, &positions);
    ASSERT_LE(positions.size(), span);
    ASSERT_LE(positions.capacity(), 2 * kMaxSpan);
    if (!status.ok()) reader.Skip(1);
  }
}

TEST(PositionsDeath, OurOwnMistakesStop) {
  Bytes bytes;
  BitWriter writer(&bytes);
  EXPECT_DEATH(PackPositions({}, 0, &writer), "span 0");
  EXPECT_DEATH(PackPositions({}, kMaxSpan + 1, &writer), "span 4097");
  EXPECT_DEATH(PackPositions(Positions{5}, 5, &writer), "CHECK failed");
  EXPECT_DEATH(PackPositions(Positions{3, 3}, 5, &writer), "position 3 not behind");
  EXPECT_DEATH(PackPositions(Positions{4, 9, 2}, kMaxSpan, &writer), "position 2 not behind");
}

}  // namespace
}  // namespace weft::codec
