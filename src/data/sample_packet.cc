#include "data/sample_packet.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "base/check.h"
#include "base/hash.h"

namespace weft::data {
namespace {

constexpr uint32_t kMagic = 0x31505357;  // "WSP1"
constexpr uint64_t kHeader = 16;
constexpr uint64_t kLabel = 4;
constexpr uint64_t kCrc = 4;

float ByteValue(uint8_t byte) { return static_cast<float>(byte) / 255.0f; }

// The byte nearest to a value; any for one that is far from all.
uint8_t NearestByte(float value) {
  const float scaled = value * 255.0f + 0.5f;
  const float below = scaled < 255.5f ? scaled : 255.0f;
  return static_cast<uint8_t>(static_cast<int32_t>(below > 0 ? below : 0.0f));
}

// In blocks without a way out, which the compiler turns into vector code. Compares bits: -0 is not
// 0.
bool AreBytes(std::span<const float> values) {
  constexpr size_t kBlock = 4096;
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    uint32_t wrong = 0;
    for (const float value : values.subspan(begin, std::min(kBlock, values.size() - begin))) {
      wrong |=
          std::bit_cast<uint32_t>(ByteValue(NearestByte(value))) ^ std::bit_cast<uint32_t>(value);
    }
    if (wrong != 0) return false;
  }
  return true;
}

void PutValues(std::span<const float> values, bool as_bytes, Bytes* packet) {
  if (!as_bytes) {
    base::ByteWriter(packet).PutRaw(
        {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
    return;
  }
  const size_t at = packet->size();
  packet->resize(at + values.size());
  std::transform(values.begin(), values.end(), packet->begin() + static_cast<std::ptrdiff_t>(at),
                 NearestByte);
}

}  // namespace

void EncodeSamples(const Dataset& source, std::span<const int64_t> indices, Bytes* packet) {
  CHECK(indices.size() <= std::numeric_limits<uint32_t>::max()) << indices.size() << " samples";
  const auto elements = static_cast<size_t>(source.sample_shape().elements());
  std::vector<float> values(indices.size() * elements);
  std::vector<int32_t> labels;
  for (size_t i = 0; i < indices.size(); ++i) {
    CHECK(indices[i] >= 0 && indices[i] < source.size()) << "sample " << indices[i];
    labels.push_back(
        source.Read(indices[i], {}, std::span(values).subspan(i * elements, elements)));
  }
  const bool as_bytes = AreBytes(values);
  const auto kind = as_bytes ? SamplePacket::Kind::kByte : SamplePacket::Kind::kFloat;
  const size_t begin = packet->size();
  base::ByteWriter out(packet);
  out.Put(kMagic);
  out.Put(static_cast<uint32_t>(kind));
  out.Put(static_cast<uint32_t>(indices.size()));
  out.Put(static_cast<uint32_t>(elements));
  for (const int32_t label : labels) out.Put(label);
  PutValues(values, as_bytes, packet);
  out.Put(base::Crc32c(ByteView(*packet).subspan(begin)));
}

int64_t PacketBytesOfSample(const Dataset& source) {
  constexpr int64_t kLookedAt = 16;
  const Shape shape = source.sample_shape();
  std::vector<float> values(static_cast<size_t>(shape.elements()));
  bool as_bytes = true;
  for (int64_t i = 0; i < std::min(kLookedAt, source.size()); ++i) {
    source.Read(i, {}, values);
    as_bytes = as_bytes && AreBytes(values);
  }
  const int64_t size_of_value = as_bytes ? 1 : sizeof(float);
  return static_cast<int64_t>(kLabel) + shape.elements() * size_of_value;
}

Result<SamplePacket> SamplePacket::Open(ByteView bytes) {
  base::ByteReader in(bytes);
  uint32_t magic = 0, kind = 0, samples = 0, values = 0;
  RETURN_IF_ERROR(in.Get(&magic));
  RETURN_IF_ERROR(in.Get(&kind));
  RETURN_IF_ERROR(in.Get(&samples));
  RETURN_IF_ERROR(in.Get(&values));
  if (magic != kMagic) return DataLoss("sample packet: got no packet's first bytes");
  if (kind > static_cast<uint32_t>(Kind::kFloat)) {
    return DataLoss(fmt::format("sample packet: kind: got {}, want 0 or 1", kind));
  }
  SamplePacket packet;
  packet.kind_ = static_cast<Kind>(kind);
  packet.samples_ = samples;
  packet.values_ = values;
  const uint64_t size_of_value = packet.kind_ == Kind::kByte ? 1 : sizeof(float);
  // At most 4 * (2^32 - 1): no product here overflows.
  const uint64_t of_sample = kLabel + size_of_value * values;
  const uint64_t room = bytes.size() < kHeader + kCrc ? 0 : bytes.size() - kHeader - kCrc;
  if (room % of_sample != 0 || room / of_sample != samples) {
    return DataLoss(fmt::format("sample packet: got {} bytes, want {} samples of {} values",
                                bytes.size(), samples, values));
  }
  RETURN_IF_ERROR(in.GetRaw(samples * kLabel, &packet.labels_));
  RETURN_IF_ERROR(in.GetRaw(samples * size_of_value * values, &packet.body_));
  const uint32_t want = base::Crc32c(bytes.first(in.position()));
  uint32_t got = 0;
  RETURN_IF_ERROR(in.Get(&got));
  if (got != want) return DataLoss("sample packet: the checksum is not that of the samples");
  return packet;
}

int32_t SamplePacket::label(int64_t at) const {
  DCHECK(at >= 0 && at < samples_);
  int32_t label = 0;
  std::memcpy(&label, labels_.data() + at * static_cast<int64_t>(kLabel), sizeof(label));
  return label;
}

ByteView SamplePacket::raw(int64_t at) const {
  DCHECK(at >= 0 && at < samples_);
  const size_t size = kind_ == Kind::kByte ? 1 : sizeof(float);
  const size_t of_sample = size * static_cast<size_t>(values_);
  return body_.subspan(static_cast<size_t>(at) * of_sample, of_sample);
}

void ReadPacketValues(ByteView raw, std::span<float> values) {
  if (raw.size() == values.size_bytes()) {
    std::memcpy(values.data(), raw.data(), raw.size());
    return;
  }
  CHECK_EQ(raw.size(), values.size());
  std::transform(raw.begin(), raw.end(), values.begin(), ByteValue);
}

}  // namespace weft::data
