#pragma once
// For tests of fed samples: small data sets of random pictures and of random numbers.

#include <memory>
#include <string>

#include "base/rng.h"
#include "data/dataset.h"
#include "data/labelled_images.h"

namespace weft::data {

// (2, 3, 5), 7 classes.
inline std::unique_ptr<Dataset> RandomImages(int64_t n) {
  LabelledImages images{.shape = Shape{2, 3, 5},
                        .classes = 7,
                        .pixels = Bytes(static_cast<size_t>(n) * 30),
                        .labels = Bytes(static_cast<size_t>(n)),
                        .description = "random pictures"};
  base::Rng rng(1);
  for (uint8_t& pixel : images.pixels) pixel = static_cast<uint8_t>(rng.Next());
  for (uint8_t& label : images.labels) label = static_cast<uint8_t>(rng.NextBelow(7));
  return DatasetFromImages(std::move(images));
}

// As the features of sounds are: any numbers, of different kinds along the last axis.
class RandomNumbers : public Dataset {
 public:
  explicit RandomNumbers(int64_t n) : n_(n) {}
  int64_t size() const override { return n_; }
  Shape sample_shape() const override { return {1, 6, 5}; }
  int64_t classes() const override { return 2; }
  std::vector<std::string> class_names() const override { return {"no", "yes"}; }
  int feature_axis() const override { return 2; }
  int32_t Read(int64_t index, const ReadContext&, std::span<float> sample) const override {
    base::Rng rng(static_cast<uint64_t>(index));
    for (float& value : sample) value = static_cast<float>(10 * rng.NextNormal());
    return Label(index);
  }
  int32_t Label(int64_t index) const override { return static_cast<int32_t>(index % 2); }
  std::string description() const override { return "random numbers"; }

 private:
  const int64_t n_;
};

}  // namespace weft::data
