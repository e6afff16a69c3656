// The payload is tried as it is and again with a right checksum. What decodes must encode to the
// same bytes.

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/hash.h"
#include "cluster/range_history.h"

namespace {

void Try(weft::ByteView payload) {
  const auto history = weft::cluster::DecodeRangeHistory(payload);
  if (!history.ok()) return;
  weft::Bytes again;
  weft::cluster::EncodeRangeHistory(*history, &again);
  CHECK(std::ranges::equal(again, payload));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::Bytes payload(data, data + size);
  Try(payload);
  if (payload.size() < sizeof(uint32_t)) return 0;
  const uint32_t checksum = weft::base::Crc32c(weft::ByteView(payload).subspan(sizeof(uint32_t)));
  std::memcpy(payload.data(), &checksum, sizeof(checksum));
  Try(payload);
  return 0;
}
