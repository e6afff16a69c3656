// The first two bytes give the span; the rest are chunks of positions one after another. What
// unpacks is ascending and below the span, and packs to no more bits that unpack to the same.

#include "codec/positions.h"

namespace {

constexpr int kMostChunks = 4;

void CheckSet(const std::vector<uint16_t>& positions, size_t span) {
  CHECK_LE(positions.size(), span);
  for (size_t i = 0; i < positions.size(); ++i) {
    CHECK_LT(positions[i], span);
    CHECK(i == 0 || positions[i - 1] < positions[i]);
  }
}

void CheckRoundTrip(const std::vector<uint16_t>& positions, size_t span, size_t read_bits) {
  weft::Bytes bytes;
  weft::codec::BitWriter writer(&bytes);
  weft::codec::PackPositions(positions, span, &writer);
  CHECK_LE(writer.bits(), read_bits);
  CHECK_LE(writer.bits(), weft::codec::MostPackedBits(span));
  writer.Align();
  weft::codec::BitReader reader(bytes);
  std::vector<uint16_t> again;
  CHECK(weft::codec::UnpackPositions(span, &reader, &again).ok());
  CHECK(again == positions);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t span = 1 + (data[0] + size_t{256} * data[1]) % weft::codec::kMaxSpan;
  weft::codec::BitReader reader(weft::ByteView(data + 2, size - 2));
  std::vector<uint16_t> positions;
  for (int chunk = 0; chunk < kMostChunks; ++chunk) {
    const size_t begin = reader.position();
    const weft::Status status = weft::codec::UnpackPositions(span, &reader, &positions);
    CHECK(status.ok() || status.code() == weft::Code::kDataLoss);
    if (!status.ok()) return 0;
    CheckSet(positions, span);
    CheckRoundTrip(positions, span, reader.position() - begin);
  }
  return 0;
}
