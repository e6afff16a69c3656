#include "data/cifar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "data/test_files.h"

namespace weft::data {
namespace {

using ::testing::HasSubstr;

// A record whose pixels count up from its first label.
Bytes Record(const Bytes& labels) {
  Bytes record = labels;
  for (size_t i = 0; i < 3072; ++i) record.push_back(static_cast<uint8_t>(labels[0] + i));
  return record;
}

void WriteCifar10(const std::string& folder) {
  for (uint8_t i = 1; i <= 5; ++i) {
    WriteTestFile(folder + "/data_batch_" + std::to_string(i) + ".bin", Record({i}));
  }
  WriteTestFile(folder + "/test_batch.bin", Record({9}));
}

TEST(Cifar, ReadsTheFiveTrainingFilesInOrder) {
  const base::TestFolder folder;
  WriteCifar10(folder.path());
  const auto dataset = OpenDataset({.source = "cifar10:" + folder.path()});
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  EXPECT_EQ((*dataset)->size(), 5);
  EXPECT_EQ((*dataset)->sample_shape(), (Shape{3, 32, 32}));
  EXPECT_EQ((*dataset)->classes(), 10);
  std::vector<float> sample(3072);
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ((*dataset)->Read(i, {}, sample), i + 1);
    EXPECT_EQ(sample[1], static_cast<float>(i + 2) / 255.0f);
  }
}

TEST(Cifar, ReadsTheTestSplitAndTheFolderOfTheArchive) {
  const base::TestFolder folder;
  ASSERT_TRUE(base::LocalFileSystem().MakeDirs(folder / "cifar-10-batches-bin").ok());
  WriteCifar10(folder / "cifar-10-batches-bin");
  const auto dataset = OpenDataset({.source = "cifar10:" + folder.path(), .train = false});
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  std::vector<float> sample(3072);
  EXPECT_EQ((*dataset)->size(), 1);
  EXPECT_EQ((*dataset)->Read(0, {}, sample), 9);
}

TEST(Cifar, HundredTakesTheFineLabel) {
  const base::TestFolder folder;
  WriteTestFile(folder / "train.bin", Record({19, 99}));
  const auto dataset = OpenDataset({.source = "cifar100:" + folder.path()});
  ASSERT_TRUE(dataset.ok()) << dataset.status().ToString();
  std::vector<float> sample(3072);
  EXPECT_EQ((*dataset)->Read(0, {}, sample), 99);
  EXPECT_EQ((*dataset)->classes(), 100);
  EXPECT_EQ(sample[0], 19.0f / 255.0f);
}

TEST(Cifar, MissingFilesAreNamed) {
  const base::TestFolder folder;
  WriteCifar10(folder.path());
  ASSERT_TRUE(base::LocalFileSystem().Remove(folder / "data_batch_3.bin").ok());
  const Status status = OpenDataset({.source = "cifar10:" + folder.path()}).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), folder /
                                  "data_batch_3.bin: no such file; want data_batch_1.bin to "
                                  "data_batch_5.bin and test_batch.bin of the binary version "
                                  "in that folder");
  EXPECT_EQ(OpenDataset({.source = "cifar100:" + folder / "none"}).status().message(),
            folder / "none: no such folder");
}

TEST(Cifar, UnknownParameterIsRefused) {
  EXPECT_EQ(OpenDataset({.source = "cifar10:d?n=3"}).status().code(), Code::kInvalidArgument);
}

std::string AppendError(const Bytes& bytes) {
  LabelledImages images;
  const Status status = AppendCifar(bytes, kCifar10, "f", &images);
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_TRUE(images.labels.empty() && images.pixels.empty());
  return status.message();
}

TEST(AppendCifar, DamagedFilesAreRefused) {
  EXPECT_EQ(AppendError({}), "f: truncated: got 0 bytes, want a multiple of 3073");
  Bytes two = Record({1});
  const Bytes second = Record({10});
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_EQ(AppendError(two), "f: label of sample 1: got 10, want 0..9");
  two.pop_back();
  EXPECT_EQ(AppendError(two), "f: truncated: got 6145 bytes, want a multiple of 3073");
}

}  // namespace
}  // namespace weft::data
