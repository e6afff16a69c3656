// Bytes from the network as deltas: whatever they are, values become what one delta after another
// makes them, or they are refused; nothing outside is touched.

#include <vector>

#include "base/check.h"
#include "cluster/delta_log.h"
#include "cluster/delta_testing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using weft::cluster::AddDeltas;
  const weft::cluster::testing::FewLargest codec(4);
  const weft::ByteView deltas(data, size);
  std::vector<float> values(16), scratch(16);
  int64_t led_to = -1;
  for (int64_t version = 0; version < 40; ++version) {
    if (!AddDeltas(codec, {.base = 2}, version, deltas, values, scratch).ok()) continue;
    CHECK_EQ(led_to, -1) << "to two versions";
    led_to = version;
  }
  const int64_t count = weft::cluster::CountDeltas(deltas);
  CHECK_LE(0, count);
  if (led_to >= 0) CHECK_LE(count, led_to - 2);
  return 0;
}
