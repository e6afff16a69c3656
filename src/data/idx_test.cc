#include "data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "data/test_files.h"

namespace weft::data {
namespace {

using ::testing::HasSubstr;

// Two images of 2x3 for training, one for testing.
class IdxFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    Write("train-images-idx3-ubyte",
          IdxBytes({2, 2, 3}, {0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6}));
    Write("train-labels-idx1-ubyte", IdxBytes({2}, {4, 0}));
    Write("t10k-images-idx3-ubyte", IdxBytes({1, 2, 3}, {9, 9, 9, 9, 9, 9}));
    Write("t10k-labels-idx1-ubyte", IdxBytes({1}, {1}));
  }

  void Write(const std::string& name, const Bytes& bytes) { WriteTestFile(folder_ / name, bytes); }
  void Remove(const std::string& name) {
    CHECK(base::LocalFileSystem().Remove(folder_ / name).ok());
  }

  Result<std::unique_ptr<Dataset>> Open(bool train = true, const std::string& params = "") {
    return OpenDataset({.source = "idx:" + folder_.path() + params, .train = train});
  }
  Status Error(bool train = true, const std::string& params = "") {
    return Open(train, params).status();
  }

  const base::TestFolder folder_;
};

TEST_F(IdxFolder, ReadsImagesAndLabels) {
  const auto dataset = Open();
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  EXPECT_EQ((*dataset)->size(), 2);
  EXPECT_EQ((*dataset)->sample_shape(), (Shape{1, 2, 3}));
  EXPECT_EQ((*dataset)->classes(), 5);
  std::vector<float> sample(6);
  EXPECT_EQ((*dataset)->Read(0, {}, sample), 4);
  EXPECT_EQ(sample, (std::vector<float>{0, 0.2f, 0.4f, 0.6f, 0.8f, 1}));
  EXPECT_EQ((*dataset)->Read(1, {}, sample), 0);
  EXPECT_THAT((*dataset)->description(), HasSubstr("2 samples of 1x2x3, 5 classes"));
}

TEST_F(IdxFolder, TestSplitHasTheClassesOfTheTrainingSplit) {
  const auto dataset = Open(false);
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  EXPECT_EQ((*dataset)->size(), 1);
  EXPECT_EQ((*dataset)->classes(), 5);
}

TEST_F(IdxFolder, ReadsGzippedFilesAndTheDottedName) {
  for (const char* name : {"train-images", "train-labels"}) {
    const std::string joint = std::string(name).ends_with("images") ? "idx3" : "idx1";
    const std::string plain = std::string(name) + "-" + joint + "-ubyte";
    const Bytes bytes = *base::LocalFileSystem().ReadFile(folder_ / plain);
    Remove(plain);
    Write(std::string(name) + "." + joint + "-ubyte.gz", Gzip(bytes));
  }
  const auto dataset = Open();
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  std::vector<float> sample(6);
  EXPECT_EQ((*dataset)->Read(0, {}, sample), 4);
  EXPECT_EQ(sample[5], 1.0f);
}

TEST_F(IdxFolder, ClassesMayBeFixed) {
  EXPECT_EQ((*Open(true, "?classes=10"))->classes(), 10);
  EXPECT_EQ((*Open(false, "?classes=10"))->classes(), 10);
  EXPECT_THAT(Error(true, "?classes=1").message(), HasSubstr("classes: got 1, want 2..256"));
  EXPECT_THAT(Error(true, "?class=10").message(), HasSubstr("did you mean \"classes\"?"));
}

TEST_F(IdxFolder, LabelOutOfRangeNamesFileSampleAndRange) {
  const Status fixed = Error(true, "?classes=3");
  EXPECT_EQ(fixed.code(), Code::kDataLoss);
  EXPECT_EQ(fixed.message(),
            folder_ / "train-labels-idx1-ubyte: label of sample 0: got 4, want 0..2");
  Write("t10k-labels-idx1-ubyte", IdxBytes({1}, {5}));
  EXPECT_EQ(Error(false).message(),
            folder_ / "t10k-labels-idx1-ubyte: label of sample 0: got 5, want 0..4");
}

TEST_F(IdxFolder, MissingFileSaysWhatTheFolderShouldHold) {
  Remove("train-images-idx3-ubyte");
  const Status status = Error();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(folder_ / "train-images-idx3-ubyte: no such file"));
  EXPECT_THAT(status.message(), HasSubstr("t10k-labels-idx1-ubyte in that folder"));
  const Status folder = OpenDataset({.source = "idx:" + folder_ / "none"}).status();
  EXPECT_EQ(folder.code(), Code::kNotFound);
  EXPECT_EQ(folder.message(), folder_ / "none: no such folder");
}

TEST_F(IdxFolder, CountsMustMatch) {
  Write("train-labels-idx1-ubyte", IdxBytes({3}, {4, 0, 1}));
  const Status status = Error();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.message(),
              HasSubstr("train-labels-idx1-ubyte: got 3 labels, want 2, as many"));
}

std::string ParseError(const Bytes& bytes, int rank) {
  const Status status = ParseIdx(bytes, rank, "f").status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  return status.message();
}

TEST(ParseIdx, TruncatedFileSaysGotAndWanted) {
  const Bytes good = IdxBytes({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  ASSERT_TRUE(ParseIdx(good, 3, "f").ok());
  EXPECT_EQ(ParseError(Bytes(good.begin(), good.end() - 3), 3),
            "f: truncated: got 21 bytes, want 24 (a header of 16 and 2x2x2 values)");
  EXPECT_EQ(ParseError(Bytes(good.begin(), good.begin() + 9), 3),
            "f: truncated header: got 9 bytes, want 16");
  EXPECT_EQ(ParseError({}, 3), "f: truncated header: got 0 bytes, want 16");
  EXPECT_EQ(ParseError(Gzip(ByteView(good).first(21)), 3),
            "f: truncated: got 21 bytes, want 24 (a header of 16 and 2x2x2 values)");
}

TEST(ParseIdx, TooManyBytesAreRefused) {
  Bytes longer = IdxBytes({2}, {1, 2, 3});
  EXPECT_EQ(ParseError(longer, 1),
            "f: too long: got 11 bytes, want 10 (a header of 8 and 2 values)");
  longer.resize(10 << 20);  // what a small file may inflate to is not kept
  EXPECT_EQ(ParseError(Gzip(longer), 1),
            "f: too long: got over 10 bytes, want 10 (a header of 8 and 2 values)");
}

TEST(ParseIdx, HeaderIsChecked) {
  EXPECT_EQ(ParseError(IdxBytes({1}, {1}), 3).substr(0, 26), "f: truncated header: got 9");
  EXPECT_THAT(ParseError(IdxBytes({1, 1, 1}, {1}), 1),
              HasSubstr("magic number: got 0x00000803, want 0x00000801"));
  EXPECT_EQ(ParseError(IdxBytes({0}, {}), 1), "f: dimension 0: got 0, want 1..4294967295");
  EXPECT_EQ(ParseError(IdxBytes({1, 20000, 1}, {1}), 3),
            "f: dimension 1: got 20000, want 1..16384");
}

// The header promises 2^60 bytes; only what is there may be held.
TEST(ParseIdx, GreatPromisesCostNothing) {
  const Bytes bytes = IdxBytes({0xFFFFFFFF, 16384, 16384}, Bytes(100));
  EXPECT_THAT(ParseError(bytes, 3), HasSubstr("truncated: got 116 bytes"));
  EXPECT_THAT(ParseError(Gzip(bytes), 3), HasSubstr("truncated: got 116 bytes"));
}

}  // namespace
}  // namespace weft::data
