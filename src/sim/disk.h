#pragma once
// Disk: what outlives the hub's process: a file system in memory for its checkpoints and a store of
// records. Writes fail by chance (ENOSPC, EIO), and a crash in the middle of one leaves what a
// crash leaves: old files, a forgotten neighbour, or half a file where the disk had lied about
// having it.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/rng.h"
#include "cluster/checkpoint.h"
#include "cluster/coord_store.h"
#include "sim/options.h"

namespace weft::sim {

// Threads: one.
class Disk {
 public:
  // `faults` must outlive it; chance comes from `rng`, which must too.
  Disk(const FaultOptions& faults, base::Rng* rng);
  ~Disk();

  // While it is set, writes fail as the options say.
  void set_faulty(bool faulty) { faulty_ = faulty; }

  // Records: those of a transaction are kept all or none, whatever happens.
  cluster::CoordStore* store() { return store_.get(); }

  // Errors: as cluster::CheckpointFolder::Write.
  base::Result<std::string> Write(const cluster::Snapshot& snapshot);
  // The process dies while it writes this.
  void CrashWhileWriting(const cluster::Snapshot& snapshot);
  // What a run that starts now goes on from: a checkpoint, or `start` if there is none.
  cluster::Snapshot Latest(const cluster::Snapshot& start) const;
  // It does, from this step.
  void GoOnFrom(int64_t step) { folder_->GoOnFrom(step); }

 private:
  class Files;
  class Store;

  Status Fault();

  const FaultOptions& faults_;
  base::Rng* const rng_;
  bool faulty_ = true;
  std::unique_ptr<Files> files_;
  std::unique_ptr<cluster::CoordStore> store_;
  std::unique_ptr<cluster::CheckpointFolder> folder_;
};

}  // namespace weft::sim
