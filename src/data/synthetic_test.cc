#include "data/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "data/order.h"
#include "data/transform.h"

namespace weft::data {
namespace {

using ::testing::HasSubstr;

Bytes Draw(const ShapesOptions& options, int64_t index) {
  Bytes pixels(kShapesPixels);
  DrawShape(options, index, pixels);
  return pixels;
}

std::unique_ptr<Dataset> Open(const std::string& params, bool train = true) {
  auto dataset = OpenDataset({.source = "synthetic:shapes" + params, .train = train});
  CHECK(dataset.ok()) << dataset.status().ToString();
  return std::move(dataset).value();
}

TEST(Synthetic, IsAPureFunctionOfSeedSplitAndIndex) {
  EXPECT_EQ(Draw({}, 5), Draw({.n = 10}, 5));
  EXPECT_NE(Draw({}, 5), Draw({}, 15));
  EXPECT_NE(Draw({}, 5), Draw({.seed = 2}, 5));
  EXPECT_NE(Draw({}, 5), Draw({.train = false}, 5));
  EXPECT_NE(Draw({}, 5), Draw({.noise = 0.2}, 5));
}

TEST(Synthetic, OpensWithItsDefaults) {
  const auto train = Open("");
  EXPECT_EQ(train->size(), 6000);
  EXPECT_EQ(Open("", false)->size(), 2000);
  EXPECT_EQ(train->sample_shape(), (Shape{3, 32, 32}));
  EXPECT_EQ(train->classes(), 10);
  std::vector<float> sample(kShapesPixels);
  EXPECT_EQ(train->Read(13, {}, sample), 3);
  EXPECT_EQ(sample[100], static_cast<float>(Draw({}, 13)[100]) / 255.0f);
}

// Without noise a sample holds two colours, and both take up a fair part of it.
TEST(Synthetic, ShapesAreThereToSee) {
  for (int64_t index = 0; index < 200; ++index) {
    const Bytes pixels = Draw({.noise = 0}, index);
    const auto green = std::span(pixels).subspan(1024, 1024);
    const uint8_t ground = std::max(green[0], green[1023]);  // one corner is surely free
    const auto ink = std::count_if(green.begin(), green.end(),
                                   [&](uint8_t pixel) { return std::abs(pixel - ground) > 2; });
    EXPECT_GT(ink, 30) << index;
    EXPECT_LT(ink, 700) << index;
  }
}

TEST(Synthetic, BadParametersAreRefused) {
  const auto error = [](const std::string& source) {
    return OpenDataset({.source = source}).status();
  };
  EXPECT_EQ(error("synthetic:shapes?n=0").message(),
            "synthetic:shapes?n=0: n: got 0, want 1..1000000");
  EXPECT_THAT(error("synthetic:shapes?noise=loud").message(),
              HasSubstr("got a string, want a number"));
  EXPECT_THAT(error("synthetic:shapes?nosie=0.1").message(), HasSubstr("did you mean \"noise\"?"));
  EXPECT_THAT(error("synthetic:shape").message(), HasSubstr("did you mean \"shapes\"?"));
  EXPECT_EQ(error("synthetic:sounds").code(), Code::kInvalidArgument);
}

// Multinomial logistic regression on the normalised pixels, by plain gradient descent on batches.
class LinearModel {
 public:
  void Train(const Dataset& dataset, int epochs) {
    for (int epoch = 0; epoch < epochs; ++epoch) {
      const EpochOrder order(1, epoch, dataset.size());
      for (int64_t at = 0; at < dataset.size(); ++at) Step(dataset, order[at], 0.001f);
    }
  }

  double Accuracy(const Dataset& dataset) {
    int64_t right = 0;
    for (int64_t i = 0; i < dataset.size(); ++i) {
      const int32_t label = dataset.Read(i, {}, sample_);
      const std::vector<float> scores = Scores();
      right += std::max_element(scores.begin(), scores.end()) - scores.begin() == label;
    }
    return static_cast<double>(right) / static_cast<double>(dataset.size());
  }

 private:
  std::vector<float> Scores() const {
    std::vector<float> scores = bias_;
    for (size_t k = 0; k < scores.size(); ++k) {
      const float* weights = &weights_[k * kShapesPixels];
      float sums[8] = {};  // independent, so that the compiler can use vectors
      for (size_t i = 0; i < kShapesPixels; i += 8) {
        for (size_t lane = 0; lane < 8; ++lane) sums[lane] += weights[i + lane] * sample_[i + lane];
      }
      for (const float sum : sums) scores[k] += sum;
    }
    return scores;
  }

  void Step(const Dataset& dataset, int64_t index, float rate) {
    const int32_t label = dataset.Read(index, {}, sample_);
    std::vector<float> slopes = Scores();
    const float largest = *std::max_element(slopes.begin(), slopes.end());
    float total = 0;
    for (float& slope : slopes) total += slope = std::exp(slope - largest);
    for (size_t k = 0; k < slopes.size(); ++k) {
      const float slope = slopes[k] / total - (static_cast<int32_t>(k) == label ? 1.0f : 0.0f);
      float* weights = &weights_[k * kShapesPixels];
      for (size_t i = 0; i < kShapesPixels; ++i) weights[i] -= rate * slope * sample_[i];
      bias_[k] -= rate * slope;
    }
  }

  std::vector<float> sample_ = std::vector<float>(kShapesPixels);
  std::vector<float> weights_ = std::vector<float>(kShapesClasses * kShapesPixels);  // (10, 3072)
  std::vector<float> bias_ = std::vector<float>(kShapesClasses);
};

TEST(Synthetic, ALinearModelStaysLow) {
  const auto measured = Open("?n=3000");
  const Normalisation normalisation = MeasureNormalisation(*measured);
  const auto train = Normalise(Open("?n=3000"), normalisation);
  const auto test = Normalise(Open("?n=1000", false), normalisation);
  LinearModel model;
  model.Train(*train, 6);
  EXPECT_GT(model.Accuracy(*train), 0.3) << "the model has learnt nothing: the test proves nothing";
  EXPECT_LT(model.Accuracy(*test), 0.6);
}

}  // namespace
}  // namespace weft::data
