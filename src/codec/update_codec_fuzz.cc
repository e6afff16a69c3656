// The first byte picks the stretch of a table of tensors that the reader expects; the rest is the
// packet, tried as it is and again with a right checksum, so that damage gets past that gate. What
// is accepted must be finite, the same when it is added, and must encode to something that decodes.

#include <bit>
#include <cmath>
#include <cstring>

#include "codec/codec.h"
#include "codec/packet.h"

namespace {

using weft::codec::Codec;
using weft::codec::CodecOptions;
using weft::codec::Place;
using weft::codec::Tensor;

// A large one that is a matrix, small ones, statistics; in odd sizes.
std::vector<Tensor> Tensors() {
  return {{.begin = 0, .count = 20},
          {.begin = 20, .count = 63 * 71, .rows = 63},
          {.begin = 4493, .count = 9},
          {.begin = 4502, .count = 2050},
          {.begin = 6552, .count = 15, .trained = false}};
}

struct Stretch {
  int64_t begin;
  size_t count;
};
constexpr Stretch kStretches[] = {{0, 6567}, {20, 4473}, {100, 4000}, {4400, 100},
                                  {5, 3},    {0, 30},    {6550, 17},  {7, 0}};

void Try(const Codec& codec, const Place& place, size_t n, weft::ByteView packet) {
  std::vector<float> values(n);
  std::vector<float> sum(n);
  const weft::Status status = codec.Decode(place, packet, values);
  const weft::Status added = codec.Add(place, packet, 1, sum);
  CHECK(status.ok() == added.ok()) << status.ToString() << " and " << added.ToString();
  if (!status.ok()) {
    CHECK(status.code() == weft::Code::kDataLoss);
    for (const float value : sum) CHECK(std::bit_cast<uint32_t>(value) == 0);
    return;
  }
  for (size_t i = 0; i < n; ++i) CHECK(std::isfinite(values[i]) && values[i] == sum[i]);
  const auto lossless =
      weft::codec::MakeCodec(
          CodecOptions{.name = "auto", .density = 1, .values = "fp32", .tensors = Tensors()})
          .value();
  weft::Bytes again;
  CHECK(lossless->Encode(place, values, {}, &again).ok());
  CHECK(codec.Decode(place, again, sum).ok());
  CHECK(n == 0 || std::memcmp(values.data(), sum.data(), n * sizeof(float)) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const auto codec =
      weft::codec::MakeCodec(CodecOptions{.name = "chunk-topk", .tensors = Tensors()}).value();
  const Stretch& stretch = kStretches[data[0] % std::size(kStretches)];
  const Place place{.begin = stretch.begin, .run = 1, .base = 2};
  weft::Bytes packet(data + 1, data + size);
  Try(*codec, place, stretch.count, packet);
  if (packet.size() < weft::codec::kPrefixBytes) return 0;
  weft::codec::SealPacket(0, &packet);
  Try(*codec, place, stretch.count, packet);
  return 0;
}
