#pragma once
// LabelledImages: a whole data set in memory, one byte a pixel; what the readers of image formats
// produce.

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/status.h"
#include "data/dataset.h"
#include "tensor/shape.h"

namespace weft::data {

struct LabelledImages {
  Shape shape;          // of one image, (C, H, W)
  int64_t classes = 0;  // at most 256
  Bytes pixels;         // (N, C, H, W), 0..255
  Bytes labels;         // (N), below `classes`
  std::string description;
};

// A Dataset that reads pixel / 255.
std::unique_ptr<Dataset> DatasetFromImages(LabelledImages images);

// Errors: kDataLoss naming `file`, the first sample whose label is not below `classes`, the label
// and the range.
Status CheckLabels(ByteView labels, int64_t classes, const std::string& file);

}  // namespace weft::data
