#include "data/labelled_images.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"

namespace weft::data {
namespace {

class ImageDataset : public Dataset {
 public:
  explicit ImageDataset(LabelledImages images)
      : images_(std::move(images)), elements_(images_.shape.elements()) {
    CHECK_EQ(images_.shape.rank(), 3);
    CHECK_EQ(images_.pixels.size(), images_.labels.size() * static_cast<size_t>(elements_));
  }

  int64_t size() const override { return static_cast<int64_t>(images_.labels.size()); }
  Shape sample_shape() const override { return images_.shape; }
  int64_t classes() const override { return images_.classes; }
  std::string description() const override {
    return fmt::format("{}: {} samples of {}, {} classes", images_.description, size(),
                       images_.shape.ToString(), images_.classes);
  }

  int32_t Read(int64_t index, const ReadContext&, std::span<float> sample) const override {
    DCHECK(index >= 0 && index < size());
    DCHECK(static_cast<int64_t>(sample.size()) == elements_);
    const uint8_t* pixels = images_.pixels.data() + index * elements_;
    for (int64_t i = 0; i < elements_; ++i) sample[i] = static_cast<float>(pixels[i]) / 255.0f;
    return Label(index);
  }
  int32_t Label(int64_t index) const override { return images_.labels[static_cast<size_t>(index)]; }

 private:
  const LabelledImages images_;
  const int64_t elements_;
};

}  // namespace

std::unique_ptr<Dataset> DatasetFromImages(LabelledImages images) {
  return std::make_unique<ImageDataset>(std::move(images));
}

Status CheckLabels(ByteView labels, int64_t classes, const std::string& file) {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < classes) continue;
    return base::DataLoss(
        fmt::format("{}: label of sample {}: got {}, want 0..{}", file, i, labels[i], classes - 1));
  }
  return OkStatus();
}

}  // namespace weft::data
