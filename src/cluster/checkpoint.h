#pragma once
// Checkpoints: all a run needs to go on from a step, one safetensors file each, in a folder with a
// pointer to the newest. A file is replaced whole or not at all, so the last one is always good.
//
//   step-000123.safetensors   tensors "parameters" and "optimizer.<moment>", flat; metadata below
//   latest                    the name of the file to go on from, written after it
//
// Metadata: format ("weft checkpoint 1"), run, config (digest), epoch, step, version,
// optimizer_steps, sha256.<tensor> of each tensor's bytes, and sha256 of all the metadata before.

#include <cstdint>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/status.h"
#include "cluster/snapshot.h"

namespace weft::cluster {

struct Checkpoint {
  std::string run;            // id of the run
  std::string config_digest;  // RunConfig::Digest() of its job
  int64_t epoch = 0;          // the epoch that snapshot.step belongs to
  Snapshot snapshot;
  bool operator==(const Checkpoint&) const = default;
};

// The file's bytes, and back. Errors of Decode: kDataLoss naming what is missing or damaged.
Bytes EncodeCheckpoint(const Checkpoint& checkpoint);
Result<Checkpoint> DecodeCheckpoint(ByteView bytes);

// Threads: one at a time.
class CheckpointFolder {
 public:
  // `file_system` must outlive it. The folder is made by the first Write.
  CheckpointFolder(base::FileSystem* file_system, std::string path);

  // Writes the file, points `latest` at it, then removes all but it and the newest before it.
  // Returns its path. Errors: as FileSystem::WriteFileAtomic (kResourceExhausted: the disk is
  // full); the checkpoint before then still stands and is still the latest.
  Result<std::string> Write(const Checkpoint& checkpoint);

  struct Found {
    Checkpoint checkpoint;
    std::string path;
    std::vector<std::string> skipped;  // for people: the files passed over, and why
  };
  // Reads the file that `latest` names; if it is damaged or missing, the newest other one that is
  // whole, those before it first. Errors: kNotFound if the folder holds no checkpoint, kDataLoss if
  // none is whole; what stops every read (kUnavailable) passes through.
  Result<Found> ReadLatest() const;

  // The run goes on from `step`: checkpoints of later steps belong to a line of history that was
  // left, and are removed, so that no later reading takes one for the newest.
  void GoOnFrom(int64_t step);

  const std::string& path() const { return path_; }

 private:
  // Names of checkpoint files, newest step first; none if there is no folder.
  Result<std::vector<std::string>> Names() const;
  void RemoveOld(int64_t step, size_t keep);

  base::FileSystem* file_system_;
  std::string path_;
};

}  // namespace weft::cluster
