// Any bytes as a sample packet, as they are and with a checksum put right behind them, opened and
// put into a data set.

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "base/hash.h"
#include "data/fed_dataset.h"
#include "data/sample_packet.h"

namespace {

using namespace weft;

void Open(ByteView bytes) {
  const auto packet = data::SamplePacket::Open(bytes);
  if (!packet.ok()) return;
  const auto values = static_cast<size_t>(packet->values());
  const size_t of_value = packet->one_byte_a_value() ? 1 : sizeof(float);
  for (int64_t i = 0; i < packet->samples() && values > 0; ++i) {
    CHECK_EQ(packet->raw(i).size(), values * of_value);
  }
  const std::vector<int64_t> indices = {3, 1, 2};
  data::DataFacts facts;
  facts.size = 4;
  facts.shape = Shape{1, 2, 2};
  facts.classes = 3;
  data::FedDataset fed(facts);
  if (!fed.Put(indices, bytes).ok()) return;
  std::vector<float> sample(4);
  for (const int64_t index : indices) CHECK(fed.Read(index, {}, sample) < 3);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Open({data, size});
  Bytes whole(data, data + size);
  base::ByteWriter(&whole).Put(base::Crc32c(whole));
  Open(whole);
  return 0;
}
