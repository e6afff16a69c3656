#include "base/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_folder.h"

namespace weft::base {
namespace {

using ::testing::HasSubstr;

std::string Content(const std::string& path) {
  const Result<Bytes> bytes = LocalFileSystem().ReadFile(path);
  return bytes.ok() ? std::string(AsText(*bytes)) : bytes.status().ToString();
}

class LocalFileSystemTest : public ::testing::Test {
 protected:
  const TestFolder folder_;
  FileSystem& disk_ = LocalFileSystem();
};

TEST_F(LocalFileSystemTest, WritesReplacesAndReads) {
  const std::string path = folder_ / "a";
  ASSERT_TRUE(disk_.WriteFileAtomic(path, AsBytes("first, and longer")).ok());
  ASSERT_TRUE(disk_.WriteFileAtomic(path, AsBytes("second")).ok());
  EXPECT_EQ(Content(path), "second");
  EXPECT_EQ(*disk_.List(folder_.path()), std::vector<std::string>{"a"}) << "a neighbour was left";
}

TEST_F(LocalFileSystemTest, ReadsFilesOfAllSizes) {
  for (const size_t size : {0, 1, 65535, 65536, 65537, 300001}) {
    Bytes bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7);
    ASSERT_TRUE(disk_.WriteFileAtomic(folder_ / "a", bytes).ok());
    EXPECT_TRUE(*disk_.ReadFile(folder_ / "a") == bytes) << size;
  }
}

// A file of /proc says it has no bytes: its size cannot be relied on.
TEST_F(LocalFileSystemTest, ReadsAFileThatHidesItsSize) {
  const Result<Bytes> bytes = disk_.ReadFile("/proc/self/maps");
  ASSERT_TRUE(bytes.ok());
  EXPECT_GT(bytes->size(), 100u);
}

TEST_F(LocalFileSystemTest, Appends) {
  ASSERT_TRUE(disk_.AppendFile(folder_ / "log", AsBytes("a")).ok());
  ASSERT_TRUE(disk_.AppendFile(folder_ / "log", AsBytes("b")).ok());
  EXPECT_EQ(Content(folder_ / "log"), "ab");
}

TEST_F(LocalFileSystemTest, ErrorsNameThePath) {
  const Status missing = disk_.ReadFile(folder_ / "none").status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr(folder_ / "none"));
  EXPECT_EQ(disk_.ReadFile(folder_.path()).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(disk_.WriteFileAtomic(folder_ / "none/a", AsBytes("x")).code(), Code::kNotFound);
  EXPECT_EQ(disk_.AppendFile(folder_ / "none/a", AsBytes("x")).code(), Code::kNotFound);
  EXPECT_EQ(disk_.Remove(folder_ / "none").code(), Code::kNotFound);
  EXPECT_EQ(disk_.List(folder_ / "none").status().code(), Code::kNotFound);
}

TEST_F(LocalFileSystemTest, MakesListsAndRemoves) {
  ASSERT_TRUE(disk_.MakeDirs(folder_ / "x/y").ok());
  ASSERT_TRUE(disk_.MakeDirs(folder_ / "x/y").ok());
  ASSERT_TRUE(disk_.AppendFile(folder_ / "x/b", AsBytes("")).ok());
  ASSERT_TRUE(disk_.AppendFile(folder_ / "x/a", AsBytes("")).ok());
  EXPECT_EQ(*disk_.List(folder_ / "x"), (std::vector<std::string>{"a", "b", "y"}));
  ASSERT_TRUE(disk_.Remove(folder_ / "x/a").ok());
  EXPECT_FALSE(disk_.Exists(folder_ / "x/a"));
  EXPECT_TRUE(disk_.Exists(folder_ / "x/b"));
  EXPECT_FALSE(disk_.MakeDirs(folder_ / "x/b").ok()) << "a file stands there";
}

TEST(FaultyFileSystem, AFullDiskLeavesTheOldFile) {
  const TestFolder folder;
  DiskFaults faults{.free_bytes = 10};
  const auto disk = MakeFaultyFileSystem(&LocalFileSystem(), &faults);
  ASSERT_TRUE(disk->WriteFileAtomic(folder / "a", AsBytes("12345678")).ok());
  const Status full = disk->WriteFileAtomic(folder / "a", AsBytes("abc"));
  EXPECT_EQ(full.code(), Code::kResourceExhausted);
  EXPECT_THAT(full.message(), HasSubstr(folder / "a"));
  EXPECT_EQ(Content(folder / "a"), "12345678");
  EXPECT_EQ(disk->AppendFile(folder / "a", AsBytes("abc")).code(), Code::kResourceExhausted);
  EXPECT_EQ(Content(folder / "a"), "12345678");
  faults.free_bytes = -1;
  EXPECT_TRUE(disk->WriteFileAtomic(folder / "a", AsBytes("abc")).ok());
  EXPECT_EQ(Content(folder / "a"), "abc");
}

TEST(FaultyFileSystem, ATornNeighbourDoesNoHarm) {
  const TestFolder folder;
  DiskFaults faults{.free_bytes = 4, .tear_writes = true};
  const auto disk = MakeFaultyFileSystem(&LocalFileSystem(), &faults);
  ASSERT_TRUE(disk->WriteFileAtomic(folder / "a", AsBytes("old")).ok());
  EXPECT_FALSE(disk->WriteFileAtomic(folder / "a", AsBytes("longer than the disk")).ok());
  EXPECT_EQ(Content(folder / "a"), "old");
  EXPECT_TRUE(disk->Exists(folder / "a.part"));
  faults.free_bytes = -1;
  ASSERT_TRUE(disk->WriteFileAtomic(folder / "a", AsBytes("new")).ok());
  EXPECT_EQ(Content(folder / "a"), "new");
  EXPECT_FALSE(disk->Exists(folder / "a.part"));
}

TEST(FaultyFileSystem, ReadsFailOnRequest) {
  const TestFolder folder;
  DiskFaults faults{.fail_reads = true};
  const auto disk = MakeFaultyFileSystem(&LocalFileSystem(), &faults);
  ASSERT_TRUE(disk->AppendFile(folder / "a", AsBytes("x")).ok());
  EXPECT_EQ(disk->ReadFile(folder / "a").status().code(), Code::kUnavailable);
}

TEST(Paths, JoinAndFolder) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("a", "/b"), "/b");
  EXPECT_EQ(DirName("a/b"), "a");
  EXPECT_EQ(DirName("b"), ".");
}

}  // namespace
}  // namespace weft::base
