#include "app/ensemble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/labelled_images.h"
#include "model/graph.h"

namespace weft::app {
namespace {

using ::testing::HasSubstr;

// A run of pictures of two pixels with these labels, and what its model says of them.
Voter Trained(const std::string& name, int64_t classes, std::vector<uint8_t> labels,
              std::vector<float> logits = {}) {
  data::LabelledImages images{.shape = Shape{1, 1, 2},
                              .classes = classes,
                              .pixels = Bytes(2 * labels.size()),
                              .labels = std::move(labels),
                              .description = "pictures"};
  const auto doc = base::ParseToml("layers = [{type = \"linear\", out = \"classes\"}]", "m.toml");
  auto graph = model::GraphFromDoc(*doc, "m.toml", {Shape{1, 1, 2}, classes});
  CHECK(graph.ok()) << graph.status().ToString();
  return {.name = name,
          .subject = {.graph = std::make_shared<const model::Graph>(std::move(graph).value()),
                      .dataset = data::DatasetFromImages(std::move(images)),
                      .parameters = {},
                      .kernels = "auto"},
          .logits = std::move(logits)};
}

TEST(Ensemble, WhatMostNameCounts) {
  // Of three samples of the classes 0, 1, 1: each model is wrong about another one, and two of them
  // about the last.
  const std::vector<Voter> runs = {Trained("a", 2, {0, 1, 1}, {0, 9, 0, 1, 0, 1}),
                                   Trained("b", 2, {0, 1, 1}, {1, 0, 9, 0, 1, 0}),
                                   Trained("c", 2, {0, 1, 1}, {1, 0, 0, 1, 1, 0})};
  ASSERT_TRUE(CheckVoters(runs).ok());
  const VoteCount count = CountVotes(runs);
  EXPECT_EQ(count.samples, 3);
  EXPECT_DOUBLE_EQ(count.accuracy, 2.0 / 3);
  EXPECT_EQ(count.confusion->count(0, 0), 1);
  EXPECT_EQ(count.confusion->count(1, 1), 1);
  EXPECT_EQ(count.confusion->count(1, 0), 1);
}

std::string Problem(const Voter& other) {
  return CheckVoters(std::vector<Voter>{Trained("a", 3, {0, 1, 2}), other}).message();
}

TEST(Ensemble, RefusesRunsOfUnlikeData) {
  EXPECT_EQ(Problem(Trained("b", 3, {0, 1, 2})), "");
  EXPECT_THAT(Problem(Trained("b", 4, {0, 1, 2})),
              HasSubstr("b: its model: got 4 classes, want 3"));
  EXPECT_THAT(Problem(Trained("b", 3, {0, 1})),
              HasSubstr("b: its test data: got 2 samples, want 3"));
  EXPECT_THAT(Problem(Trained("b", 3, {0, 2, 2})), HasSubstr("test sample 1: got label 2, want 1"));
}

}  // namespace
}  // namespace weft::app
