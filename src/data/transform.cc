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
  explicit Decorator(std::shared_ptr<const Dataset> inner) : inner_(std::move(inner)) {}
  int64_t size() const override { return inner_->size(); }
  Shape sample_shape() const override { return inner_->sample_shape(); }
  int64_t classes() const override { return inner_->classes(); }
  int32_t Read(int64_t index, const ReadContext& context, std::span<float> sample) const override {
    return inner_->Read(index, context, sample);
  }
  int32_t Label(int64_t index) const override { return inner_->Label(index); }
  std::vector<std::string> class_names() const override { return inner_->class_names(); }
  int feature_axis() const override { return inner_->feature_axis(); }
  std::string description() const override { return inner_->description(); }

 protected:
  const std::shared_ptr<const Dataset> inner_;
};

// A sample as (outer, kinds, inner): what lies before, along and behind the feature axis.
struct Layout {
  explicit Layout(const Dataset& dataset) {
    const Shape shape = dataset.sample_shape();
    const int axis = dataset.feature_axis();
    CHECK(axis >= 0 && axis < shape.rank()) << "axis is " << axis;
    for (int i = 0; i < axis; ++i) outer *= static_cast<size_t>(shape[i]);
    kinds = static_cast<size_t>(shape[axis]);
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= static_cast<size_t>(shape[i]);
  }
  // visit(kind, values) for each stretch of values of one kind, in order.
  template <class Visit>
  void ForEach(std::span<float> sample, const Visit& visit) const {
    for (size_t at = 0; at < outer * kinds; ++at) {
      visit(at % kinds, sample.subspan(at * inner, inner));
    }
  }
  size_t outer = 1;
  size_t kinds = 1;
  size_t inner = 1;
};

class NormalisedDataset : public Decorator {
 public:
  NormalisedDataset(std::unique_ptr<Dataset> inner, Normalisation normalisation)
      : Decorator(std::move(inner)), normalisation_(std::move(normalisation)), layout_(*inner_) {
    for (const float deviation : normalisation_.std) scale_.push_back(1.0f / deviation);
  }

  int32_t Read(int64_t index, const ReadContext& context, std::span<float> sample) const override {
    const int32_t label = inner_->Read(index, context, sample);
    layout_.ForEach(sample, [&](size_t kind, std::span<float> values) {
      const float mean = normalisation_.mean[kind];
      const float scale = scale_[kind];
      for (float& value : values) value = (value - mean) * scale;
    });
    return label;
  }

 private:
  const Normalisation normalisation_;
  const Layout layout_;
  std::vector<float> scale_;  // 1 / std
};

// A stream of its own for each (seed, epoch, index), apart from those of other users of the seed.
base::Rng DrawsOf(const ReadContext& context, int64_t index) {
  constexpr uint64_t kAugment = 0x61756700;
  uint64_t seed = base::DeriveSeed(context.seed, kAugment);
  seed = base::DeriveSeed(seed, static_cast<uint64_t>(context.epoch));
  return base::Rng(base::DeriveSeed(seed, static_cast<uint64_t>(index)));
}

int64_t DrawBelow(int64_t n, base::Rng* rng) {
  return static_cast<int64_t>(rng->NextBelow(static_cast<uint64_t>(n)));
}

class AugmentedDataset : public Decorator {
 public:
  AugmentedDataset(std::unique_ptr<Dataset> inner, const AugmentOptions& options)
      : Decorator(std::move(inner)), options_(options), shape_(sample_shape()) {}

  int32_t Read(int64_t index, const ReadContext& context, std::span<float> sample) const override {
    const int32_t label = inner_->Read(index, context, sample);
    base::Rng rng = DrawsOf(context, index);
    const int64_t window = 2 * options_.crop_pad + 1;
    const int64_t down = DrawBelow(window, &rng) - options_.crop_pad;
    const int64_t right = DrawBelow(window, &rng) - options_.crop_pad;
    const bool mirror = options_.flip && (rng.Next() >> 63) != 0;
    const int64_t reach = options_.time_shift;
    const int64_t later = DrawBelow(2 * reach + 1, &rng) - reach;
    const int64_t masked = std::min(DrawBelow(options_.time_mask + 1, &rng), shape_[1]);
    const int64_t first_masked = DrawBelow(shape_[1] - masked + 1, &rng);
    const int64_t plane = shape_[1] * shape_[2];
    for (int64_t channel = 0; channel < shape_[0]; ++channel) {
      float* pixels = sample.data() + channel * plane;
      if (down != 0 || right != 0) Shift(down, right, pixels);
      if (mirror) Mirror(pixels);
      if (later != 0) ShiftTime(later, pixels);
      std::fill_n(pixels + first_masked * shape_[2], masked * shape_[2], 0.0f);
    }
    if (options_.noise > 0) {
      for (float& value : sample) value += static_cast<float>(options_.noise * rng.NextNormal());
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

  // frames[t] = frames[t - later], the first or last frame from outside.
  void ShiftTime(int64_t later, float* frames) const {
    const int64_t width = shape_[2];
    const int64_t lost = std::min(std::abs(later), shape_[1] - 1);
    const int64_t kept = shape_[1] - lost;
    float* from = frames + (later > 0 ? 0 : lost * width);
    float* to = frames + (later > 0 ? lost * width : 0);
    std::memmove(to, from, static_cast<size_t>(kept * width) * sizeof(float));
    const float* edge = later > 0 ? frames : frames + (shape_[1] - 1) * width;
    float* free = later > 0 ? frames : frames + kept * width;
    for (int64_t row = 0; row < lost; ++row) {
      std::memmove(free + row * width, edge, static_cast<size_t>(width) * sizeof(float));
    }
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
  const Layout layout(dataset);
  std::vector<float> sample(static_cast<size_t>(dataset.sample_shape().elements()));
  std::vector<double> sums(layout.kinds), squares(layout.kinds);
  for (int64_t index = 0; index < samples; ++index) {
    dataset.Read(index, {}, sample);
    layout.ForEach(sample, [&](size_t kind, std::span<float> values) {
      for (const float value : values) {
        sums[kind] += value;
        squares[kind] += double{value} * value;
      }
    });
  }
  const auto of_a_kind = static_cast<double>(layout.outer * layout.inner);
  const double count = std::max(1.0, static_cast<double>(samples) * of_a_kind);
  Normalisation measured;
  for (size_t kind = 0; kind < layout.kinds; ++kind) {
    const double mean = sums[kind] / count;
    const double deviation = std::sqrt(std::max(0.0, squares[kind] / count - mean * mean));
    measured.mean.push_back(static_cast<float>(mean));
    // A kind of one value says nothing: it becomes 0, not 0/0.
    measured.std.push_back(deviation > 1e-6 ? static_cast<float>(deviation) : 1.0f);
  }
  return measured;
}

std::unique_ptr<Dataset> Normalise(std::unique_ptr<Dataset> inner, Normalisation normalisation) {
  if (normalisation.mean.empty() && normalisation.std.empty()) {
    normalisation = MeasureNormalisation(*inner);
  }
  const size_t kinds = Layout(*inner).kinds;
  CHECK_EQ(normalisation.mean.size(), kinds);
  CHECK_EQ(normalisation.std.size(), kinds);
  for (const float deviation : normalisation.std) CHECK(deviation > 0) << "std is " << deviation;
  return std::make_unique<NormalisedDataset>(std::move(inner), std::move(normalisation));
}

std::unique_ptr<Dataset> Augment(std::unique_ptr<Dataset> inner, const AugmentOptions& options) {
  CHECK(options.crop_pad >= 0) << "crop_pad is " << options.crop_pad;
  CHECK(options.time_shift >= 0) << "time_shift is " << options.time_shift;
  CHECK(options.time_mask >= 0) << "time_mask is " << options.time_mask;
  CHECK(options.noise >= 0) << "noise is " << options.noise;
  return std::make_unique<AugmentedDataset>(std::move(inner), options);
}

std::unique_ptr<Dataset> Share(std::shared_ptr<const Dataset> inner) {
  return std::make_unique<Decorator>(std::move(inner));
}

std::unique_ptr<Dataset> Limit(std::unique_ptr<Dataset> inner, int64_t n) {
  return std::make_unique<LimitedDataset>(std::move(inner), n);
}

}  // namespace weft::data
