// Codecs that send all values alike (update_codec_fuzz has the others). The first byte picks one
// and how many values the reader expects; the rest is the packet, tried as it is and again with a
// right checksum, so that damage gets past that gate. What decodes must encode to a packet that
// decodes to the same bits.

#include <cstring>

#include "codec/codec.h"
#include "codec/packet.h"

namespace {

void Try(weft::codec::Codec& codec, size_t n, weft::ByteView packet) {
  std::vector<float> values(n), again(n);
  if (!codec.Decode(packet, values).ok()) return;
  weft::Bytes encoded;
  CHECK(codec.Encode(values, {}, &encoded).ok());
  CHECK(codec.Decode(encoded, again).ok());
  CHECK(n == 0 || std::memcmp(values.data(), again.data(), n * sizeof(float)) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::vector<std::string> names = {"dense", "fp16"};
  const auto codec = weft::codec::MakeCodec(names[data[0] % names.size()]).value();
  const size_t n = data[0] / names.size();
  weft::Bytes packet(data + 1, data + size);
  Try(*codec, n, packet);
  if (packet.size() < weft::codec::kHeaderBytes) return 0;
  weft::codec::SealPacket(0, &packet);
  Try(*codec, n, packet);
  return 0;
}
