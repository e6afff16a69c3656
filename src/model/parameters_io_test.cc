#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/safetensors.h"

namespace weft::model {
namespace {

Graph Preset() {
  auto graph = LoadPreset("shapes-cnn", {});
  CHECK(graph.ok()) << graph.status().ToString();
  return std::move(graph).value();
}

TEST(ParametersIo, GoThroughAFileAndBack) {
  const Graph graph = Preset();
  const std::vector<float> parameters = graph.InitialParameters(4);
  const auto file = DecodeTensorFile(EncodeTensorFile(PackParameters(graph, parameters)));
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ(file->tensors.size(), graph.parameters().size());
  const auto back = UnpackParameters(graph, *file);
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(*back, parameters);
}

TEST(ParametersIo, NamesTheTensorThatDoesNotFit) {
  const Graph graph = Preset();
  TensorFile file = PackParameters(graph, graph.InitialParameters(4));
  TensorFile shorter = file;
  shorter.tensors.erase(shorter.tensors.begin());
  EXPECT_THAT(UnpackParameters(graph, shorter).status().message(),
              testing::HasSubstr("\"" + file.tensors[0].name + "\": is missing"));
  file.tensors[1].shape = Shape{1, file.tensors[1].shape.elements()};
  EXPECT_THAT(UnpackParameters(graph, file).status().message(),
              testing::HasSubstr("\"" + file.tensors[1].name + "\": got shape 1x"));
}

}  // namespace
}  // namespace weft::model
