#include "data/sample_packet.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "data/labelled_images.h"
#include "data/test_fed.h"

namespace weft::data {
namespace {

Bytes PacketOf(const Dataset& dataset, const std::vector<int64_t>& indices) {
  Bytes packet;
  EncodeSamples(dataset, indices, &packet);
  return packet;
}

void ExpectComesBack(const Dataset& dataset, const std::vector<int64_t>& indices) {
  const Bytes packet = PacketOf(dataset, indices);
  const auto opened = SamplePacket::Open(packet);
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  ASSERT_EQ(opened->samples(), std::ssize(indices));
  const auto values = static_cast<size_t>(dataset.sample_shape().elements());
  std::vector<float> got(values), want(values);
  for (size_t i = 0; i < indices.size(); ++i) {
    const int32_t label = dataset.Read(indices[i], {}, want);
    EXPECT_EQ(opened->label(static_cast<int64_t>(i)), label);
    ReadPacketValues(opened->raw(static_cast<int64_t>(i)), got);
    EXPECT_EQ(got, want);
  }
}

TEST(SamplePacket, BringsPicturesBackInAByteAValue) {
  const auto dataset = RandomImages(20);
  ExpectComesBack(*dataset, {3, 0, 19, 3});
  EXPECT_EQ(PacketBytesOfSample(*dataset), 4 + 2 * 3 * 5);
  EXPECT_EQ(PacketOf(*dataset, {1, 2}).size(), 16u + 2 * (4 + 30) + 4);
}

TEST(SamplePacket, HoldsEveryByte) {
  LabelledImages images{
      .shape = Shape{1, 16, 16}, .classes = 1, .pixels = {}, .labels = {0}, .description = "all"};
  for (int i = 0; i < 256; ++i) images.pixels.push_back(static_cast<uint8_t>(i));
  const auto dataset = DatasetFromImages(std::move(images));
  ExpectComesBack(*dataset, {0});
  EXPECT_EQ(PacketBytesOfSample(*dataset), 4 + 256);
}

TEST(SamplePacket, BringsOtherNumbersBackAsTheyAre) {
  const RandomNumbers dataset(20);
  ExpectComesBack(dataset, {3, 0, 19, 3});
  EXPECT_EQ(PacketBytesOfSample(dataset), 4 + 4 * 30);
}

TEST(SamplePacket, HoldsNothing) { ExpectComesBack(*RandomImages(1), {}); }

// Written down, so that devices of different builds understand each other.
TEST(SamplePacket, NeverChanges) {
  const auto dataset = DatasetFromImages({.shape = Shape{1, 1, 2},
                                          .classes = 10,
                                          .pixels = {0, 255, 7, 128},
                                          .labels = {3, 9},
                                          .description = "two"});
  const Bytes want = {'W', 'S', 'P', '1', 0, 0, 0, 0, 2, 0, 0, 0,   2, 0,
                      0,   0,   3,   0,   0, 0, 9, 0, 0, 0, 0, 255, 7, 128};
  Bytes got = PacketOf(*dataset, {0, 1});
  ASSERT_EQ(got.size(), want.size() + 4);
  got.resize(want.size());
  EXPECT_EQ(got, want);
}

TEST(SamplePacket, RefusesWhatIsCutShort) {
  const Bytes packet = PacketOf(*RandomImages(5), {0, 1, 2});
  for (size_t size = 0; size < packet.size(); ++size) {
    EXPECT_EQ(SamplePacket::Open(ByteView(packet).first(size)).status().code(), Code::kDataLoss)
        << size;
  }
}

TEST(SamplePacket, RefusesEveryFlippedBit) {
  Bytes packet = PacketOf(*RandomImages(5), {0, 1});
  for (size_t bit = 0; bit < packet.size() * 8; ++bit) {
    packet[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_EQ(SamplePacket::Open(packet).status().code(), Code::kDataLoss) << bit;
    packet[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
  }
}

// Sizes whose product would wrap around, and great ones that nothing backs.
TEST(SamplePacket, RefusesHugeCounts) {
  for (const uint32_t samples : {1u, 0x80000000u, 0xFFFFFFFFu}) {
    for (const uint32_t values : {0x40000000u, 0xFFFFFFFFu}) {
      Bytes packet;
      base::ByteWriter out(&packet);
      out.Put(uint32_t{0x31505357});
      out.Put(uint32_t{1});
      out.Put(samples);
      out.Put(values);
      packet.resize(packet.size() + 64);
      EXPECT_EQ(SamplePacket::Open(packet).status().code(), Code::kDataLoss);
    }
  }
}

}  // namespace
}  // namespace weft::data
