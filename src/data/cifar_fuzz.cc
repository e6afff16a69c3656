// Any bytes as a CIFAR file of both kinds; what is accepted must be readable as a data set.

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "data/cifar.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const auto& format : {weft::data::kCifar10, weft::data::kCifar100}) {
    weft::data::LabelledImages images{.shape = weft::Shape{3, 32, 32},
                                      .classes = format.classes,
                                      .pixels = {},
                                      .labels = {},
                                      .description = "input"};
    if (!weft::data::AppendCifar({data, size}, format, "input", &images).ok()) continue;
    const auto dataset = weft::data::DatasetFromImages(std::move(images));
    std::vector<float> sample(3072);
    for (int64_t i = 0; i < dataset->size(); ++i) {
      CHECK(dataset->Read(i, {}, sample) < format.classes) << "sample " << i;
    }
  }
  return 0;
}
