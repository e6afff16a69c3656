#include "codec/packet.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace weft::codec {
namespace {

constexpr uint8_t kMagic = 0xC7;
constexpr uint8_t kVersion = 1;
constexpr size_t kChecksumAt = 4;
constexpr size_t kCountAt = 8;

uint32_t Checksum(ByteView frame) {
  return base::Crc32c(frame.subspan(kCountAt), base::Crc32c(frame.first(kChecksumAt)));
}

Status Mismatch(const char* what, uint64_t got, uint64_t want) {
  return base::DataLoss(fmt::format("packet {}: got {}, want {}", what, got, want));
}

}  // namespace

void BeginFrame(CodecId id, Bytes* packet) {
  const size_t begin = packet->size();
  packet->resize(begin + kPrefixBytes);
  uint8_t* frame = packet->data() + begin;
  frame[0] = kMagic;
  frame[1] = static_cast<uint8_t>(id);
  frame[2] = kVersion;
  frame[3] = 0;
}

uint8_t* BeginPacket(CodecId id, uint64_t count, size_t body_bytes, Bytes* packet) {
  const size_t begin = packet->size();
  BeginFrame(id, packet);
  packet->resize(begin + kHeaderBytes + body_bytes);
  std::memcpy(packet->data() + begin + kCountAt, &count, sizeof(count));
  return packet->data() + begin + kHeaderBytes;
}

void SealPacket(size_t begin, Bytes* packet) {
  const uint32_t checksum = Checksum(ByteView(*packet).subspan(begin));
  std::memcpy(packet->data() + begin + kChecksumAt, &checksum, sizeof(checksum));
}

Result<ByteView> OpenFrame(CodecId id, ByteView packet) {
  if (packet.size() < kPrefixBytes) return Mismatch("bytes", packet.size(), kPrefixBytes);
  if (packet[0] != kMagic) return Mismatch("magic", packet[0], kMagic);
  if (packet[1] != static_cast<uint8_t>(id)) {
    return Mismatch("codec", packet[1], static_cast<uint8_t>(id));
  }
  if (packet[2] != kVersion) return Mismatch("version", packet[2], kVersion);
  if (packet[3] != 0) return Mismatch("reserved byte", packet[3], 0);
  uint32_t checksum = 0;
  std::memcpy(&checksum, packet.data() + kChecksumAt, sizeof(checksum));
  const uint32_t want = Checksum(packet);
  if (checksum != want) return Mismatch("checksum", checksum, want);
  return packet.subspan(kPrefixBytes);
}

Result<ByteView> OpenPacket(CodecId id, uint64_t count, ByteView packet) {
  if (packet.size() < kHeaderBytes) return Mismatch("bytes", packet.size(), kHeaderBytes);
  ASSIGN_OR_RETURN(const ByteView rest, OpenFrame(id, packet));
  uint64_t claimed = 0;
  std::memcpy(&claimed, rest.data(), sizeof(claimed));
  if (claimed != count) return Mismatch("values", claimed, count);
  return packet.subspan(kHeaderBytes);
}

Status CheckPacketBytes(size_t got, size_t want) {
  return got == want ? OkStatus() : Mismatch("bytes", got, want);
}

Status CheckResidual(size_t values, size_t residual) {
  if (residual == 0 || residual == values) return OkStatus();
  return base::InvalidArgument(
      fmt::format("residual: got {} values, want none or {}", residual, values));
}

}  // namespace weft::codec
