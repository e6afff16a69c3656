#include "sim/disk.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/check.h"

namespace weft::sim {
namespace {

constexpr char kFolder[] = "checkpoints";

}  // namespace

// Files by path; folders are whatever stands before a name.
class Disk::Files : public base::FileSystem {
 public:
  explicit Files(Disk* disk) : disk_(disk) {}

  Result<Bytes> ReadFile(const std::string& path) override {
    const auto it = files_.find(path);
    if (it == files_.end()) return base::NotFound(path + ": no such file");
    return it->second;
  }

  Status WriteFileAtomic(const std::string& path, ByteView bytes) override {
    if (crash_after_ && (*crash_after_)-- == 0) return Crash(path, bytes);
    if (crashed_) return base::Unavailable("the process is dead");
    RETURN_IF_ERROR(disk_->Fault().Annotate(path));
    files_[path] = Bytes(bytes.begin(), bytes.end());
    return OkStatus();
  }

  Status AppendFile(const std::string& path, ByteView bytes) override {
    RETURN_IF_ERROR(disk_->Fault().Annotate(path));
    files_[path].insert(files_[path].end(), bytes.begin(), bytes.end());
    return OkStatus();
  }

  bool Exists(const std::string& path) override {
    const auto it = files_.lower_bound(path);
    return it != files_.end() && (it->first == path || it->first.starts_with(path + "/"));
  }
  Status MakeDirs(const std::string&) override { return OkStatus(); }

  Result<std::vector<std::string>> List(const std::string& path) override {
    std::vector<std::string> names;
    const std::string prefix = path + "/";
    for (auto it = files_.lower_bound(prefix); it != files_.end() && it->first.starts_with(prefix);
         ++it) {
      names.push_back(it->first.substr(prefix.size()));
    }
    return names;
  }

  Status Remove(const std::string& path) override {
    if (crashed_) return base::Unavailable("the process is dead");
    return files_.erase(path) > 0 ? OkStatus() : base::NotFound(path + ": no such file");
  }

  // From now on the process lives for so many writes, and dies in the next one.
  void DieAfter(int writes, bool torn) {
    crash_after_ = writes;
    torn_ = torn;
  }
  // Another process has the disk.
  void Mount() {
    crash_after_.reset();
    crashed_ = false;
  }

 private:
  Status Crash(const std::string& path, ByteView bytes) {
    const ByteView half = bytes.first(bytes.size() / 2);
    files_[torn_ ? path : path + ".part"] = Bytes(half.begin(), half.end());
    crash_after_.reset();
    crashed_ = true;
    return base::Unavailable("the process is dead");
  }

  Disk* const disk_;
  std::map<std::string, Bytes> files_;
  std::optional<int> crash_after_;
  bool torn_ = false;
  bool crashed_ = false;
};

class Disk::Store : public cluster::CoordStore {
 public:
  explicit Store(Disk* disk) : disk_(disk), records_(cluster::MakeMemoryStore()) {}

  Result<std::optional<std::string>> Get(const std::string& key) override {
    return records_->Get(key);
  }
  Status Put(const std::map<std::string, std::string>& records) override {
    RETURN_IF_ERROR(disk_->Fault());
    return records_->Put(records);
  }
  Result<std::map<std::string, std::string>> List(const std::string& prefix) override {
    return records_->List(prefix);
  }

 private:
  Disk* const disk_;
  std::unique_ptr<cluster::CoordStore> records_;
};

Disk::Disk(const FaultOptions& faults, base::Rng* rng)
    : faults_(faults),
      rng_(rng),
      files_(std::make_unique<Files>(this)),
      store_(std::make_unique<Store>(this)),
      folder_(std::make_unique<cluster::CheckpointFolder>(files_.get(), kFolder)) {}

Disk::~Disk() = default;

// The fate of one write.
Status Disk::Fault() {
  if (!faulty_) return OkStatus();
  if (faults_.disk_full > 0 && rng_->NextUniform() < faults_.disk_full) {
    return base::ResourceExhausted("No space left on device");
  }
  if (faults_.disk_error > 0 && rng_->NextUniform() < faults_.disk_error) {
    return base::Unavailable("Input/output error");
  }
  return OkStatus();
}

Result<std::string> Disk::Write(const cluster::Snapshot& snapshot) {
  cluster::Checkpoint checkpoint;
  checkpoint.run = "simulated";
  checkpoint.snapshot = snapshot;
  return folder_->Write(checkpoint);
}

void Disk::CrashWhileWriting(const cluster::Snapshot& snapshot) {
  // A checkpoint is two writes: the file, and the pointer to it.
  const auto writes = static_cast<int>(rng_->NextBelow(2));
  files_->DieAfter(writes, rng_->NextUniform() < faults_.torn_write);
  const auto written = Write(snapshot);
  CHECK(!written.ok());
  files_->Mount();
}

cluster::Snapshot Disk::Latest(const cluster::Snapshot& start) const {
  auto found = folder_->ReadLatest();
  return found.ok() ? std::move(found->checkpoint.snapshot) : start;
}

}  // namespace weft::sim
