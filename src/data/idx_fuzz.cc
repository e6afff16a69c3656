// Any bytes as an IDX file, of images and of labels, plain or gzipped.

#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "data/idx.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const int rank : {1, 3}) {
    const auto array = weft::data::ParseIdx({data, size}, rank, "input");
    if (!array.ok()) continue;
    CHECK_EQ(static_cast<int>(array->dims.size()), rank);
    int64_t values = 1;
    for (const int64_t extent : array->dims) values *= extent;
    CHECK_EQ(static_cast<size_t>(values), array->values.size());
  }
  return 0;
}
