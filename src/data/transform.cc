#include "data/transform.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/rng.h"

namespace weft::data {
namespace {

// Passes everything on; the decorators below change what they must.
class Decorator : public Dataset {
 public:
  explicit Decorator(std::unique_ptr<Dataset> inner) : inner_(std::move(inner)) {}
  int64_t size() const override { return inner_->size(); }
  Shape sample_shape() const override { return inner_->sample_shape(); }
  int64_t classes() const override { return inner_->classes(); }
  int32_t Read(int64_t index, const ReadContext& context, std::span<float> sample) const override {
    return inner_->Read(index, context, sample);
  }
  std::string description() const override { return inner_->description(); }

 protected:
  const std::unique_ptr<Dataset> inner_;
};

class NormalisedDataset : public Decorator {
 public:
  NormalisedDataset(std::unique_ptr<Dataset> inner, Normalisation normalisation)
      : Decorator(std::move(inner)),
        normalisation_(std::move(normalisation)),
        plane_(static_cast<size_t>(sample_shape().elements() / sample_shape()[0])) {}

  int32_t Read(int64_t index, const ReadContext& context, std::span<float> sample) const override {
    const int32_t label = inner_->Read(index, context, sample);
    for (size_t channel = 0; channel < normalisation_.mean.size(); ++channel) {
      const float mean = normalisation_.mean[channel];
      const float scale = 1.0f / normalisation_.std[channel];
      for (float& value : sample.subspan(channel * plane_, plane_)) value = (value - mean) * scale;
    }
    return label;
  }

 private:
  const Normalisation normalisation_;
  const size_t plane_;  // elements of one channel
};

// A stream of its own for each (seed, epoch, index), apart from those of other users of the seed.
base::Rng DrawsOf(const ReadContext& context, int64_t index) {
  constexpr uint64_t kAugment = 0x61756700;
  uint64_t seed = base::DeriveSeed(context.seed, kAugment);
  seed = base::DeriveSeed(seed, static_cast<uint64_t>(context.epoch));
  return base::Rng(base::DeriveSeed(seed, static_cast<uint64_t>(index)));
}

class AugmentedDataset : public Decorator {
 public:
  AugmentedDataset(std::unique_ptr<Dataset> inner, const AugmentOptions& options)
      : Decorator(std::move(inner)), options_(options), shape_(sample_shape()) {}

  int32_t Read(int64_t index, const ReadContext& context, std::span<float> sample) const override {
    const int32_t label = inner_->Read(index, context, sample);
    base::Rng rng = DrawsOf(context, index);
    const auto window = static_cast<uint64_t>(2 * options_.crop_pad + 1);
    const int64_t down = static_cast<int64_t>(rng.NextBelow(window)) - options_.crop_pad;
    const int64_t right = static_cast<int64_t>(rng.NextBelow(window)) - options_.crop_pad;
    const bool mirror = options_.flip && (rng.Next() >> 63) != 0;
    const int64_t plane = shape_[1] * shape_[2];
    for (int64_t channel = 0; channel < shape_[0]; ++channel) {
      float* pixels = sample.data() + channel * plane;
      if (down != 0 || right != 0) Shift(down, right, pixels);
      if (mirror) Mirror(pixels);
    }
    return label;
  }

 private:
  // pixels[y][x] = pixels[y + down][x + right], zero from outside. In place: rows are taken in the
  // order in which none is written before it is read.
  void Shift(int64_t down, int64_t right, float* pixels) const {
    const int64_t height = shape_[1];
    for (int64_t step = 0; step < height; ++step) {
      const int64_t y = down >= 0 ? step : height - 1 - step;
      float* row = pixels + y * shape_[2];
      if (y + down < 0 || y + down >= height) {
        std::fill_n(row, shape_[2], 0.0f);
      } else {
        ShiftRow(row + down * shape_[2], right, row);
      }
    }
  }

  void ShiftRow(const float* from, int64_t right, float* to) const {
    const int64_t width = shape_[2];
    const int64_t kept = std::max<int64_t>(width - std::abs(right), 0);
    const int64_t lost = width - kept;
    std::memmove(right >= 0 ? to : to + lost, right >= 0 ? from + lost : from,
                 static_cast<size_t>(kept) * sizeof(float));
    std::fill_n(right >= 0 ? to + kept : to, lost, 0.0f);
  }

  void Mirror(float* pixels) const {
    for (int64_t y = 0; y < shape_[1]; ++y) {
      std::reverse(pixels + y * shape_[2], pixels + (y + 1) * shape_[2]);
    }
  }

  const AugmentOptions options_;
  const Shape shape_;
};

class LimitedDataset : public Decorator {
 public:
  LimitedDataset(std::unique_ptr<Dataset> inner, int64_t n)
      : Decorator(std::move(inner)), n_(std::min(n, inner_->size())) {
    CHECK(n >= 0) << "n is " << n;
  }
  int64_t size() const override { return n_; }
  std::string description() const override {
    return fmt::format("the first {} of {}", n_, inner_->description());
  }

 private:
  const int64_t n_;
};

}  // namespace

Normalisation MeasureNormalisation(const Dataset& dataset) {
  const int64_t samples = std::min(dataset.size(), kMeasured);
  const Shape shape = dataset.sample_shape();
  const auto channels = static_cast<size_t>(shape[0]);
  const auto plane = static_cast<size_t>(shape.elements()) / channels;
  std::vector<float> sample(channels * plane);
  std::vector<double> sums(channels), squares(channels);
  for (int64_t index = 0; index < samples; ++index) {
    dataset.Read(index, {}, sample);
    for (size_t channel = 0; channel < channels; ++channel) {
      for (const float value : std::span(sample).subspan(channel * plane, plane)) {
        sums[channel] += value;
        squares[channel] += double{value} * value;
      }
    }
  }
  const double count = std::max(1.0, static_cast<double>(samples) * static_cast<double>(plane));
  Normalisation measured;
  for (size_t channel = 0; channel < channels; ++channel) {
    const double mean = sums[channel] / count;
    const double deviation = std::sqrt(std::max(0.0, squares[channel] / count - mean * mean));
    measured.mean.push_back(static_cast<float>(mean));
    // A channel of one value says nothing: it becomes 0, not 0/0.
    measured.std.push_back(deviation > 1e-6 ? static_cast<float>(deviation) : 1.0f);
  }
  return measured;
}

std::unique_ptr<Dataset> Normalise(std::unique_ptr<Dataset> inner, Normalisation normalisation) {
  if (normalisation.mean.empty() && normalisation.std.empty()) {
    normalisation = MeasureNormalisation(*inner);
  }
  const auto channels = static_cast<size_t>(inner->sample_shape()[0]);
  CHECK_EQ(normalisation.mean.size(), channels);
  CHECK_EQ(normalisation.std.size(), channels);
  for (const float deviation : normalisation.std) CHECK(deviation > 0) << "std is " << deviation;
  return std::make_unique<NormalisedDataset>(std::move(inner), std::move(normalisation));
}

std::unique_ptr<Dataset> Augment(std::unique_ptr<Dataset> inner, const AugmentOptions& options) {
  CHECK(options.crop_pad >= 0) << "crop_pad is " << options.crop_pad;
  return std::make_unique<AugmentedDataset>(std::move(inner), options);
}

std::unique_ptr<Dataset> Limit(std::unique_ptr<Dataset> inner, int64_t n) {
  return std::make_unique<LimitedDataset>(std::move(inner), n);
}

}  // namespace weft::data
