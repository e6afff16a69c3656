#include "model/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace weft::model {
namespace {

using testing::HasSubstr;

constexpr char kSmall[] = R"(
name = "small"
input = [3, 8, 6]
classes = 4

[[layers]]
type = "conv"
out = 5
kernel = [3, 2]
stride = [2, 1]
pad = [1, 0]

[[layers]]
type = "batchnorm"

[[layers]]
type = "relu"

[[layers]]
name = "side"
type = "conv"
out = 5
kernel = 1
bias = false

[[layers]]
type = "add"
inputs = ["side", "relu1"]

[[layers]]
type = "maxpool"
kernel = 2

[[layers]]
type = "linear"
out = 4
)";

Result<Graph> Parse(const std::string& text, const GraphContext& context = {}) {
  const auto doc = base::ParseToml(text, "m.toml");
  CHECK(doc.ok()) << doc.status().ToString();
  return GraphFromDoc(*doc, "m.toml", context);
}

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  CHECK(at != std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string ErrorOf(const std::string& text, const GraphContext& context = {}) {
  const Result<Graph> graph = Parse(text, context);
  return graph.ok() ? "no error" : graph.status().message();
}

TEST(Graph, InfersShapesAndNames) {
  const Result<Graph> graph = Parse(kSmall);
  ASSERT_TRUE(graph.ok()) << graph.status().ToString();
  EXPECT_EQ(graph->layers()[1].name, "conv1");
  EXPECT_EQ(graph->layers()[1].shape, (Shape{5, 4, 5}));
  EXPECT_EQ(graph->layers()[6].shape, (Shape{5, 2, 2}));
  EXPECT_EQ(graph->layers()[7].shape, (Shape{4}));
  EXPECT_EQ(graph->layers()[5].inputs, (std::vector<int>{4, 3}));
}

TEST(Graph, FlatVectorHasTrainablesFirst) {
  const Result<Graph> graph = Parse(kSmall);
  ASSERT_TRUE(graph.ok());
  std::vector<std::string> names;
  int64_t offset = 0;
  for (const Parameter& parameter : graph->parameters()) {
    names.push_back(parameter.name);
    EXPECT_EQ(parameter.offset, offset);
    offset += parameter.shape.elements();
  }
  EXPECT_EQ(names, (std::vector<std::string>{"conv1.weight", "conv1.bias", "batchnorm1.weight",
                                             "batchnorm1.bias", "side.weight", "linear1.weight",
                                             "linear1.bias", "batchnorm1.running_mean",
                                             "batchnorm1.running_var"}));
  EXPECT_EQ(graph->trainable_count(), 3 * 5 * 6 + 5 + 10 + 25 + 80 + 4);
  EXPECT_EQ(graph->parameter_count(), graph->trainable_count() + 10);
  EXPECT_DOUBLE_EQ(graph->ForwardFlops(), 2.0 * (90 * 20 + 25 * 20 + 80));
}

TEST(Graph, InitialParametersFollowHe) {
  const Result<Graph> graph = Parse(kSmall);
  ASSERT_TRUE(graph.ok());
  const std::vector<float> values = graph->InitialParameters(3);
  EXPECT_EQ(values, graph->InitialParameters(3));
  EXPECT_NE(values, graph->InitialParameters(4));
  const Parameter& linear = graph->parameters()[5];
  const double bound = std::sqrt(6.0 / 20);
  double most = 0;
  for (int64_t i = 0; i < linear.shape.elements(); ++i) {
    most = std::max(most,
                    std::abs(static_cast<double>(values[static_cast<size_t>(linear.offset + i)])));
  }
  EXPECT_LE(most, bound);
  EXPECT_GT(most, 0.9 * bound);
  EXPECT_EQ(values.back(), 1.0f);  // running variance
}

TEST(Graph, ErrorsNameFileLineAndLayer) {
  EXPECT_THAT(
      ErrorOf(Replace(kSmall, "kernel = 2", "kernel = 9")),
      HasSubstr("layer \"maxpool1\": kernel: got 9 over an input of 5x4x5 with pad 0, want a "
                "kernel of at most 4"));
  EXPECT_THAT(
      ErrorOf(Replace(kSmall, "kernel = 1", "kernel = 3")),
      HasSubstr("layer \"add1\": inputs: got 5x2x3 from \"side\" and 5x4x5 from \"relu1\", want "
                "equal shapes"));
  EXPECT_THAT(ErrorOf(Replace(kSmall, "type = \"linear\"\nout = 4", "type = \"linear\"\nout = 7")),
              HasSubstr("got 7 outputs, want 4"));
  EXPECT_THAT(ErrorOf(Replace(kSmall, "\"relu1\"", "\"rellu1\"")),
              HasSubstr("did you mean \"relu1\"?"));
  EXPECT_THAT(ErrorOf(Replace(kSmall, "stride", "strid")), HasSubstr("did you mean \"stride\"?"));
  EXPECT_THAT(ErrorOf(Replace(kSmall, "\"maxpool\"", "\"maxpol\"")),
              HasSubstr("did you mean \"maxpool\"?"));
  EXPECT_THAT(ErrorOf(Replace(kSmall, "stride = [2, 1]", "groups = 2")),
              HasSubstr("want a divisor of the input's 3 channels"));
  EXPECT_THAT(ErrorOf(Replace(kSmall, "bias = false", "bias = 0")), HasSubstr("m.toml:"));
  EXPECT_THAT(
      ErrorOf(Replace(kSmall, "inputs = [\"side\", \"relu1\"]", "inputs = [\"relu1\", \"relu1\"]")),
      HasSubstr("layer \"side\": no later layer reads its output"));
}

TEST(Graph, DataMustFitTheModel) {
  EXPECT_THAT(ErrorOf(kSmall, {.input = {1, 8, 6}, .classes = 4}),
              HasSubstr("data has samples of 1x8x6"));
  EXPECT_THAT(ErrorOf(kSmall, {.input = {3, 8, 6}, .classes = 5}), HasSubstr("the data has 5"));
}

TEST(Presets, AllLoadAndTakeTheSizeOfTheData) {
  ASSERT_FALSE(PresetNames().empty());
  for (const std::string& name : PresetNames()) {
    const Result<Graph> graph = LoadPreset(name, {});
    ASSERT_TRUE(graph.ok()) << graph.status().ToString();
    EXPECT_GT(graph->trainable_count(), 0);
    const Result<Graph> other = LoadPreset(name, {.input = graph->input(), .classes = 17});
    ASSERT_TRUE(other.ok()) << other.status().ToString();
    EXPECT_EQ(other->classes(), 17);
  }
  const auto missing = LoadPreset("vgg-11", {});
  EXPECT_EQ(missing.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(missing.status().message(), HasSubstr("did you mean \"vgg11\"?"));
}

}  // namespace
}  // namespace weft::model
