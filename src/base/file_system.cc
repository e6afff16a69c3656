#include "base/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace weft::base {
namespace {

Status FromErrno(const std::string& path, const char* doing) {
  const int error = errno;
  const std::string message = path + ": " + doing + ": " + std::strerror(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return {Code::kNotFound, message};
    case EACCES:
    case EPERM:
    case EROFS:
      return {Code::kPermissionDenied, message};
    case EISDIR:
    case EINVAL:
    case ENAMETOOLONG:
      return {Code::kInvalidArgument, message};
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
      return {Code::kResourceExhausted, message};
    default:
      return {Code::kUnavailable, message};
  }
}

class File {
 public:
  File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

  bool WriteAll(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return false;
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
    return true;
  }

 private:
  int fd_;
};

class LocalDisk : public FileSystem {
 public:
  Result<Bytes> ReadFile(const std::string& path) override {
    File file(path, O_RDONLY);
    if (file.fd() < 0) return FromErrno(path, "cannot open");
    struct stat info {};
    if (::fstat(file.fd(), &info) != 0) return FromErrno(path, "cannot read");
    if (S_ISDIR(info.st_mode)) return InvalidArgument(path + ": is a folder, want a file");
    Bytes bytes;
    bytes.reserve(static_cast<size_t>(info.st_size) + 1);
    for (;;) {
      const size_t had = bytes.size();
      // One spare byte is reserved, so that a file of the expected size ends without growing.
      const size_t spare = bytes.capacity() - had;
      const size_t room = spare > 0 ? spare : std::max<size_t>(had, 1 << 16);
      bytes.resize(had + room);
      const ssize_t n = ::read(file.fd(), bytes.data() + had, room);
      bytes.resize(had + static_cast<size_t>(std::max<ssize_t>(n, 0)));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FromErrno(path, "cannot read");
      if (n == 0) return bytes;
    }
  }

  Status WriteFileAtomic(const std::string& path, ByteView bytes) override {
    RETURN_IF_ERROR(Replace(path, bytes, /*durable=*/true));
    File folder(DirName(path), O_RDONLY | O_DIRECTORY);
    if (folder.fd() >= 0) ::fsync(folder.fd());
    return OkStatus();
  }

  Status ReplaceFile(const std::string& path, ByteView bytes) override {
    return Replace(path, bytes, /*durable=*/false);
  }

  Status AppendFile(const std::string& path, ByteView bytes) override {
    File file(path, O_WRONLY | O_CREAT | O_APPEND);
    if (file.fd() < 0) return FromErrno(path, "cannot open");
    if (!file.WriteAll(bytes)) return FromErrno(path, "cannot append");
    return OkStatus();
  }

  bool Exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  Status MakeDirs(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (!error) return OkStatus();
    errno = error.value();
    return FromErrno(path, "cannot create folder");
  }

  Result<std::vector<std::string>> List(const std::string& path) override {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
         it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) {
      errno = error.value();
      return FromErrno(path, "cannot list");
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return FromErrno(path, "cannot remove");
    return OkStatus();
  }

 private:
  static Status Replace(const std::string& path, ByteView bytes, bool durable) {
    const std::string neighbour = path + ".part";
    {
      File file(neighbour, O_WRONLY | O_CREAT | O_TRUNC);
      if (file.fd() < 0) return FromErrno(path, "cannot create");
      if (!file.WriteAll(bytes) || (durable && ::fsync(file.fd()) != 0)) {
        Status status = FromErrno(path, "cannot write");
        ::unlink(neighbour.c_str());
        return status;
      }
    }
    if (::rename(neighbour.c_str(), path.c_str()) != 0) {
      Status status = FromErrno(path, "cannot rename");
      ::unlink(neighbour.c_str());
      return status;
    }
    return OkStatus();
  }
};

class FaultyDisk : public FileSystem {
 public:
  FaultyDisk(FileSystem* inner, DiskFaults* faults) : inner_(inner), faults_(faults) {}

  Result<Bytes> ReadFile(const std::string& path) override {
    if (faults_->fail_reads) return Unavailable(path + ": cannot read: Input/output error");
    return inner_->ReadFile(path);
  }
  Status WriteFileAtomic(const std::string& path, ByteView bytes) override {
    if (Status status = Spend(path, bytes.size()); !status.ok()) {
      if (faults_->tear_writes) {
        RETURN_IF_ERROR(inner_->AppendFile(path + ".part", bytes.first(bytes.size() / 2)));
      }
      return status;
    }
    return inner_->WriteFileAtomic(path, bytes);
  }
  Status AppendFile(const std::string& path, ByteView bytes) override {
    RETURN_IF_ERROR(Spend(path, bytes.size()));
    return inner_->AppendFile(path, bytes);
  }
  bool Exists(const std::string& path) override { return inner_->Exists(path); }
  Status MakeDirs(const std::string& path) override { return inner_->MakeDirs(path); }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return inner_->List(path);
  }
  Status Remove(const std::string& path) override { return inner_->Remove(path); }

 private:
  Status Spend(const std::string& path, size_t size) {
    if (faults_->free_bytes < 0) return OkStatus();
    if (static_cast<int64_t>(size) > faults_->free_bytes) {
      return ResourceExhausted(path + ": cannot write: No space left on device");
    }
    faults_->free_bytes -= static_cast<int64_t>(size);
    return OkStatus();
  }

  FileSystem* inner_;
  DiskFaults* faults_;
};

}  // namespace

FileSystem& LocalFileSystem() {
  static LocalDisk* const disk = new LocalDisk;
  return *disk;
}

std::unique_ptr<FileSystem> MakeFaultyFileSystem(FileSystem* inner, DiskFaults* faults) {
  return std::make_unique<FaultyDisk>(inner, faults);
}

std::string JoinPath(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

std::string DirName(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace weft::base
