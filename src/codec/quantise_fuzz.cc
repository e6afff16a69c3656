// The first byte picks the kind, the second and third how many values the reader expects; the rest
// is the chunk. What is accepted must be finite values, and what Quantise makes of them must come
// back the same after another time through both.

#include <cmath>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "codec/quantise.h"

namespace {

using weft::codec::ValueKind;

std::vector<float> RoundTrip(ValueKind kind, const std::vector<float>& values) {
  weft::Bytes bytes(weft::codec::QuantisedBytes(kind, values.size()));
  weft::codec::Quantise(kind, values, bytes.data());
  std::vector<float> back(values.size());
  CHECK(weft::codec::Dequantise(kind, bytes, back).ok());
  return back;
}

// All kinds take what one gave.
void TryValues(const std::vector<float>& values) {
  for (const float value : values) CHECK(std::isfinite(value));
  for (size_t i = 0; i < weft::codec::kValueKinds; ++i) {
    const auto kind = static_cast<ValueKind>(i);
    const std::vector<float> once = RoundTrip(kind, values);
    const std::vector<float> twice = RoundTrip(kind, once);
    CHECK(values.empty() ||
          std::memcmp(once.data(), twice.data(), once.size() * sizeof(float)) == 0)
        << weft::codec::ValueKindName(kind);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const auto kind = static_cast<ValueKind>(data[0] % weft::codec::kValueKinds);
  const size_t n = (data[1] | size_t{data[2]} << 8) % (weft::codec::kMaxChunkValues + 1);
  const weft::Bytes chunk(data + 3, data + size);
  std::vector<float> values(n);
  if (weft::codec::Dequantise(kind, chunk, values).ok()) TryValues(values);

  // Few mutations keep the count right: as many values as the bytes hold, too.
  std::vector<float> held;
  while (held.size() < weft::codec::kMaxChunkValues &&
         weft::codec::QuantisedBytes(kind, held.size() + 1) <= chunk.size()) {
    held.push_back(0);
  }
  if (weft::codec::Dequantise(kind, chunk, held).ok()) TryValues(held);
  return 0;
}
