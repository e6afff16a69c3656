#pragma once
// FileSystem: the disk as one injected interface, so that tests and the simulator can fill it, tear
// it or break it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace weft::base {

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Errors: kNotFound if there is no such file, kPermissionDenied, kInvalidArgument for a folder,
  // kUnavailable on EIO.
  virtual Result<Bytes> ReadFile(const std::string& path) = 0;

  // Replaces `path` whole or not at all: writes a neighbour, fsyncs it, renames it over `path`.
  // Errors: kResourceExhausted when the disk is full (the old file stays as it was), kNotFound for
  // a missing folder, kPermissionDenied, kUnavailable on EIO.
  virtual Status WriteFileAtomic(const std::string& path, ByteView bytes) = 0;

  // Like WriteFileAtomic, without waiting for the disk: after a power cut the file may be the old
  // one, the new one or empty.
  virtual Status ReplaceFile(const std::string& path, ByteView bytes) {
    return WriteFileAtomic(path, bytes);
  }

  // Appends and flushes to the operating system (no fsync). Creates the file. Errors as
  // WriteFileAtomic.
  virtual Status AppendFile(const std::string& path, ByteView bytes) = 0;

  virtual bool Exists(const std::string& path) = 0;
  // Creates the folder and its parents; ok if it exists.
  virtual Status MakeDirs(const std::string& path) = 0;
  // Names (not paths) of the entries, sorted.
  virtual Result<std::vector<std::string>> List(const std::string& path) = 0;
  virtual Status Remove(const std::string& path) = 0;
};

// The disk of this machine. Lives for ever; threads: any.
FileSystem& LocalFileSystem();

// What a FaultyFileSystem does to the calls that pass through it.
struct DiskFaults {
  int64_t free_bytes =
      -1;  // bytes that can still be written before kResourceExhausted; below 0: no limit
  bool fail_reads = false;   // every read gives kUnavailable (EIO)
  bool tear_writes = false;  // a failing atomic write leaves its half-written neighbour behind
};

// Wraps another file system and breaks it as told. `inner` and `faults` must outlive it; `faults`
// may be changed between calls.
std::unique_ptr<FileSystem> MakeFaultyFileSystem(FileSystem* inner, DiskFaults* faults);

// "a/b" from "a" and "b"; an absolute `name` replaces `folder`.
std::string JoinPath(const std::string& folder, const std::string& name);
// Folder part, "." if there is none.
std::string DirName(const std::string& path);

}  // namespace weft::base
