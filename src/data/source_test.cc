#include "data/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file_system.h"
#include "data/dataset.h"

namespace weft::data {
namespace {

using ::testing::HasSubstr;

TEST(Source, ComesApart) {
  const Result<Source> source = ParseSource("synthetic:shapes?n=60&noise=0.5");
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->kind, "synthetic");
  EXPECT_EQ(source->place, "shapes");
  EXPECT_EQ(source->params.Find("n")->integer, 60);
  EXPECT_EQ(source->params.Find("noise")->number, 0.5);
}

TEST(Source, PlaceKeepsItsColons) {
  EXPECT_EQ(ParseSource("idx:/a:b/c")->place, "/a:b/c");
  EXPECT_EQ(ParseSource("idx:/a?")->place, "/a");
}

TEST(Source, BadFormsAreRefused) {
  for (const char* text :
       {"", "mnist", ":x", "idx:", "idx:?n=3", "idx:d?n", "idx:d?=3", "idx:d?n=1&"}) {
    EXPECT_EQ(ParseSource(text).status().code(), Code::kInvalidArgument) << text;
  }
  EXPECT_EQ(ParseSource("mnist").status().message(),
            "data source: got \"mnist\", want KIND:PLACE, e.g. idx:DIR or synthetic:shapes");
}

TEST(OpenDataset, UnknownKindGetsADidYouMean) {
  const Status status = OpenDataset({.source = "cfar10:dir"}).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "data source \"cfar10:dir\": kind: got \"cfar10\", want idx, cifar10, cifar100, wav "
            "or synthetic (did you mean \"cifar10\"?)");
}

// A real set, where there is one.
TEST(OpenDataset, ReadsFashionMnist) {
  const char* given = std::getenv("WEFT_SHARED");
  const std::string shared = given != nullptr ? given : WEFT_SOURCE_DIR "/../shared";
  const std::string folder = shared + "/data/fashion-mnist";
  if (!base::LocalFileSystem().Exists(folder)) {
    GTEST_SKIP() << folder
                 << " is not there; set WEFT_SHARED to the folder with data/fashion-mnist";
  }
  const auto train = OpenDataset({.source = "idx:" + folder});
  const auto test = OpenDataset({.source = "idx:" + folder, .train = false});
  ASSERT_TRUE(train.ok()) << train.status().ToString();
  ASSERT_TRUE(test.ok()) << test.status().ToString();
  EXPECT_EQ((*train)->size(), 60000);
  EXPECT_EQ((*test)->size(), 10000);
  EXPECT_EQ((*train)->sample_shape(), (Shape{1, 28, 28}));
  EXPECT_EQ((*test)->classes(), 10);
  std::vector<float> sample(28 * 28);
  std::vector<int> counts(10);
  for (int64_t i = 0; i < 10000; ++i) ++counts.at((*test)->Read(i, {}, sample));
  EXPECT_THAT(counts, ::testing::Each(1000));
}

}  // namespace
}  // namespace weft::data
