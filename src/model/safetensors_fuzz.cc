// Any bytes as a safetensors file; what is accepted must survive being written and read again.

#include <cstdint>

#include "base/check.h"
#include "model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = weft::model::DecodeTensorFile({data, size});
  if (!file.ok()) return 0;
  const weft::Bytes first = weft::model::EncodeTensorFile(*file);
  const auto again = weft::model::DecodeTensorFile(first);
  CHECK(again.ok()) << again.status().ToString();
  CHECK(weft::model::EncodeTensorFile(*again) == first) << "the second writing differs";
  return 0;
}
