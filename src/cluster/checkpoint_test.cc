#include "cluster/checkpoint.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "model/safetensors.h"

namespace weft::cluster {
namespace {

Checkpoint At(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.run = "run-7";
  checkpoint.config_digest = "abc";
  checkpoint.epoch = step / 10;
  checkpoint.snapshot.step = step;
  checkpoint.snapshot.version = step + 1;
  checkpoint.snapshot.parameters = {1.5f, -2, 0, static_cast<float>(step)};
  checkpoint.snapshot.optimizer.steps = step;
  checkpoint.snapshot.optimizer.moments = {{"first_moment", {1, 2, 3}},
                                           {"second_moment", {4, 5, 6}}};
  return checkpoint;
}

TEST(Checkpoint, RoundTrip) {
  const auto decoded = DecodeCheckpoint(EncodeCheckpoint(At(123)));
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_EQ(*decoded, At(123));
}

TEST(Checkpoint, RoundTripWithoutMoments) {
  Checkpoint plain = At(0);
  plain.snapshot.optimizer.moments.clear();
  EXPECT_EQ(DecodeCheckpoint(EncodeCheckpoint(plain)).value(), plain);
}

TEST(Checkpoint, EveryFlippedByteIsSeenOrHarmless) {
  const Bytes good = EncodeCheckpoint(At(123));
  for (size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 0x10;
    const auto decoded = DecodeCheckpoint(bad);
    if (decoded.ok()) {
      EXPECT_EQ(*decoded, At(123)) << "byte " << at;  // padding
    } else {
      EXPECT_EQ(decoded.status().code(), Code::kDataLoss) << "byte " << at;
    }
  }
}

TEST(Checkpoint, SaysWhatIsWrong) {
  const auto problem = [](auto change) {
    auto file = model::DecodeTensorFile(EncodeCheckpoint(At(5))).value();
    change(&file);
    return DecodeCheckpoint(model::EncodeTensorFile(file)).status().message();
  };
  EXPECT_EQ(problem([](auto* file) { file->metadata["format"] = "weft checkpoint 2"; }),
            "metadata: format: got \"weft checkpoint 2\", want \"weft checkpoint 1\"");
  EXPECT_EQ(problem([](auto* file) { file->metadata.erase("run"); }), "metadata: got no \"run\"");
  EXPECT_EQ(problem([](auto* file) { file->metadata["step"] = "-1"; }),
            "metadata: step: got \"-1\", want a count");
  EXPECT_EQ(problem([](auto* file) { file->metadata["step"] = "6"; }),
            "metadata: does not match its digest");
  EXPECT_EQ(problem([](auto* file) { file->tensors[0].values[0] = 2; }),
            "tensor parameters: its bytes do not match its digest");
  EXPECT_EQ(problem([](auto* file) { file->tensors.erase(file->tensors.begin()); }),
            "got no tensor \"parameters\"");
}

class CheckpointFolderTest : public testing::Test {
 protected:
  std::vector<std::string> Files() { return base::LocalFileSystem().List(path_).value(); }
  void Overwrite(const std::string& name, std::string_view text) {
    ASSERT_TRUE(base::LocalFileSystem()
                    .WriteFileAtomic(base::JoinPath(path_, name), base::AsBytes(text))
                    .ok());
  }
  void WriteSteps(const std::vector<int64_t>& steps) {
    for (const int64_t step : steps) {
      const auto written = folder_.Write(At(step));
      ASSERT_TRUE(written.ok()) << written.status().ToString();
    }
  }

  const base::TestFolder temp_;
  const std::string path_ = temp_ / "checkpoints";
  base::DiskFaults faults_;
  std::unique_ptr<base::FileSystem> disk_ =
      base::MakeFaultyFileSystem(&base::LocalFileSystem(), &faults_);
  CheckpointFolder folder_{disk_.get(), path_};
};

TEST_F(CheckpointFolderTest, KeepsTheLastTwo) {
  WriteSteps({999999, 1000000, 1000001});
  EXPECT_EQ(Files(), (std::vector<std::string>{"latest", "step-1000000.safetensors",
                                               "step-1000001.safetensors"}));
  const auto found = folder_.ReadLatest();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->checkpoint, At(1000001));
  EXPECT_EQ(found->path, path_ + "/step-1000001.safetensors");
  EXPECT_TRUE(found->skipped.empty());
}

TEST_F(CheckpointFolderTest, EmptyFolderIsNotFound) {
  EXPECT_EQ(folder_.ReadLatest().status().code(), Code::kNotFound);
  ASSERT_TRUE(disk_->MakeDirs(path_).ok());
  Overwrite("step-x.safetensors", "");
  EXPECT_EQ(folder_.ReadLatest().status().code(), Code::kNotFound);
}

TEST_F(CheckpointFolderTest, FullDiskLeavesTheOldOneIntact) {
  WriteSteps({10});
  for (const bool tear : {false, true}) {
    faults_ = {.free_bytes = 100, .tear_writes = tear};
    EXPECT_EQ(folder_.Write(At(20)).status().code(), Code::kResourceExhausted);
    const auto found = folder_.ReadLatest();
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    EXPECT_EQ(found->checkpoint, At(10));
    EXPECT_TRUE(found->skipped.empty());
  }
  faults_ = {};
  WriteSteps({30});
  EXPECT_EQ(folder_.ReadLatest()->checkpoint, At(30));
}

TEST_F(CheckpointFolderTest, FullDiskBetweenTheFileAndItsPointer) {
  WriteSteps({10});
  faults_.free_bytes = static_cast<int64_t>(EncodeCheckpoint(At(20)).size()) + 3;
  EXPECT_EQ(folder_.Write(At(20)).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(folder_.ReadLatest()->checkpoint, At(10));
}

TEST_F(CheckpointFolderTest, FallsBackFromADamagedFileAndSaysSo) {
  WriteSteps({10, 20});
  Overwrite("step-000020.safetensors", "not a tensor file");
  auto found = folder_.ReadLatest();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->checkpoint, At(10));
  ASSERT_EQ(found->skipped.size(), 1u);
  EXPECT_TRUE(found->skipped[0].starts_with(path_ + "/step-000020.safetensors: "))
      << found->skipped[0];

  // The run goes on from 10; its next checkpoint replaces the damaged future.
  WriteSteps({15});
  EXPECT_EQ(Files(), (std::vector<std::string>{"latest", "step-000010.safetensors",
                                               "step-000015.safetensors"}));
  EXPECT_EQ(folder_.ReadLatest()->checkpoint, At(15));
}

// A crash between a file and its pointer leaves a file that the run does not go on from.
TEST_F(CheckpointFolderTest, AFileOfALineThatWasLeftIsNotTakenLater) {
  WriteSteps({10});
  faults_.free_bytes = static_cast<int64_t>(EncodeCheckpoint(At(20)).size()) + 3;
  EXPECT_FALSE(folder_.Write(At(20)).ok());
  faults_ = {};
  ASSERT_EQ(folder_.ReadLatest()->checkpoint, At(10));
  folder_.GoOnFrom(10);
  Overwrite("latest", "torn");
  EXPECT_EQ(folder_.ReadLatest()->checkpoint, At(10));
}

TEST_F(CheckpointFolderTest, LivesWithoutItsPointer) {
  WriteSteps({10, 20});
  Overwrite("latest", "../../elsewhere");
  auto found = folder_.ReadLatest();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->checkpoint, At(20));
  EXPECT_EQ(found->skipped.size(), 1u);
  ASSERT_TRUE(disk_->Remove(path_ + "/latest").ok());
  EXPECT_EQ(folder_.ReadLatest()->checkpoint, At(20));
}

TEST_F(CheckpointFolderTest, NothingWhole) {
  WriteSteps({10});
  Overwrite("step-000010.safetensors", "x");
  EXPECT_EQ(folder_.ReadLatest().status().code(), Code::kDataLoss);
  faults_.fail_reads = true;
  EXPECT_EQ(folder_.ReadLatest().status().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace weft::cluster
