// The first three bytes say what shape the reader expects; the rest is the payload, tried as it is
// and again with a right checksum. What decodes must encode to the same bytes.

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/hash.h"
#include "cluster/range_state.h"

namespace {

void Try(const weft::cluster::RangeShape& shape, weft::ByteView payload) {
  const auto values = weft::cluster::DecodeRangeValues(payload, shape);
  if (!values.ok()) return;
  CHECK(std::ranges::equal(weft::cluster::EncodeRangeValues(values->View()), payload));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  weft::cluster::RangeShape shape{.count = data[0], .moments = data[2] % size_t{3}};
  shape.trainable = std::min<size_t>(data[1], shape.count);
  weft::Bytes payload(data + 3, data + size);
  Try(shape, payload);
  if (payload.size() < sizeof(uint32_t)) return 0;
  const uint32_t checksum = weft::base::Crc32c(weft::ByteView(payload).subspan(sizeof(uint32_t)));
  std::memcpy(payload.data(), &checksum, sizeof(checksum));
  Try(shape, payload);
  return 0;
}
