#include "app/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/labelled_images.h"
#include "model/graph.h"

namespace weft::app {
namespace {

using ::testing::HasSubstr;

// Pictures of two pixels; what a linear layer with the weights below takes for class `index % 3` is
// labelled so, but for each fifth, which is labelled one higher.
constexpr int64_t kSamples = 230;  // more than two batches, the last one not full

int64_t TakenFor(int64_t index) { return index % 3; }
int64_t LabelOf(int64_t index) { return (TakenFor(index) + (index % 5 == 0)) % 3; }

std::shared_ptr<const data::Dataset> Pictures(int64_t classes = 3) {
  data::LabelledImages images{.shape = Shape{1, 1, 2},
                              .classes = classes,
                              .pixels = {},
                              .labels = {},
                              .description = "pictures"};
  const Bytes kinds[] = {{255, 0}, {0, 255}, {0, 0}};
  for (int64_t i = 0; i < kSamples; ++i) {
    const Bytes& pixels = kinds[TakenFor(i)];
    images.pixels.insert(images.pixels.end(), pixels.begin(), pixels.end());
    images.labels.push_back(static_cast<uint8_t>(LabelOf(i)));
  }
  return data::DatasetFromImages(std::move(images));
}

std::shared_ptr<const model::Graph> Linear() {
  const auto doc = base::ParseToml("layers = [{type = \"linear\", out = \"classes\"}]", "m.toml");
  auto graph = model::GraphFromDoc(*doc, "m.toml", {Shape{1, 1, 2}, 3});
  CHECK(graph.ok()) << graph.status().ToString();
  return std::make_shared<const model::Graph>(std::move(graph).value());
}

// weight (3, 2), bias (3): a bright left pixel is class 0, a bright right one class 1, none 2.
const std::vector<float> kParameters = {8, 0, 0, 8, 0, 0, 0, 0, 4};

TEST(Evaluator, ConfusionAgreesWithTheAccuracy) {
  const auto evaluator = Evaluator::Make(Linear(), Pictures(), "reference", 1);
  ASSERT_TRUE(evaluator.ok()) << evaluator.status().ToString();
  const auto figures = (*evaluator)->Evaluate(kParameters, 7);
  const auto confusion = (*evaluator)->Confuse(kParameters);
  ASSERT_TRUE(figures.ok() && confusion.ok() && confusion->has_value());
  int64_t want[3][3] = {};
  for (int64_t i = 0; i < kSamples; ++i) ++want[LabelOf(i)][TakenFor(i)];
  int64_t right = 0;
  for (int64_t label = 0; label < 3; ++label) {
    for (int64_t i = 0; i < 3; ++i) EXPECT_EQ((*confusion)->count(label, i), want[label][i]);
    right += want[label][label];
  }
  EXPECT_EQ(figures->samples, kSamples);
  EXPECT_DOUBLE_EQ(figures->accuracy, static_cast<double>(right) / kSamples);
  EXPECT_EQ(figures->epoch, 7);
}

TEST(Evaluator, RefusesClassesTheModelDoesNotKnow) {
  const auto evaluator = Evaluator::Make(Linear(), Pictures(4), "reference", 1);
  EXPECT_THAT((*evaluator)->Confuse(kParameters).status().message(),
              HasSubstr("got 4 classes, want at most the model's 3"));
}

}  // namespace
}  // namespace weft::app
