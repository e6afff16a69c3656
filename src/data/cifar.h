#pragma once
// CIFAR-10 and CIFAR-100 in their binary versions: records of one or two label bytes and 3072
// pixels (red, green, blue plane of 32x32), nothing else.
// Source: A. Krizhevsky, "The CIFAR-10 and CIFAR-100 datasets", section "Binary version".

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/status.h"
#include "data/dataset.h"
#include "data/labelled_images.h"
#include "data/source.h"

namespace weft::data {

struct CifarFormat {
  size_t label_bytes;  // before the pixels; the last of them is the label (the fine one of 100)
  int64_t classes;
};
inline constexpr CifarFormat kCifar10{1, 10};
inline constexpr CifarFormat kCifar100{2, 100};

// Appends the records of one file to `images`.
// Errors: kDataLoss naming `name`: no record, half a record at the end, a label out of range.
Status AppendCifar(ByteView file, const CifarFormat& format, const std::string& name,
                   LabelledImages* images);

// "cifar10:DIR" holds data_batch_1.bin .. data_batch_5.bin and test_batch.bin; "cifar100:DIR" holds
// train.bin and test.bin. DIR may also be the folder into which the archive was unpacked.
// Errors: as OpenDataset.
Result<std::unique_ptr<Dataset>> OpenCifar(const Source& source, bool train);

}  // namespace weft::data
