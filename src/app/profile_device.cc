#include "app/profile_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "app/threads.h"
#include "app/version.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "kernel/backend.h"
#include "kernel/simd_loops.h"
#include "kernel/update.h"
#include "tensor/arena.h"

namespace weft::app {
namespace {

constexpr double kKib = 1024;

// The text after "key :" in a file of such lines; "" if there is none.
std::string ReadKey(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t text = line.find_first_not_of(" \t", colon + 1);
    return text == std::string::npos ? "" : line.substr(text);
  }
  return "";
}

double ReadKib(const char* path, const std::string& key) {
  const std::string text = ReadKey(path, key);
  return text.empty() ? 0 : std::strtod(text.c_str(), nullptr) * kKib;
}

std::string CpuName(const utsname& system) {
  for (const char* key : {"model name", "Model", "Hardware"}) {
    if (std::string name = ReadKey("/proc/cpuinfo", key); !name.empty()) return name;
  }
  return system.machine;
}

// What a control group leaves of `bytes`, version 2 or 1.
double Limited(double bytes) {
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    double limit = 0;
    if (std::ifstream(path) >> limit && limit > 0) bytes = std::min(bytes, limit);
  }
  return bytes;
}

// The largest cache that the first core can use; as the system tells it, for what the processor
// says of itself inside of a virtual machine is of the whole host.
double CacheBytes() {
  double largest = 0;
  for (int index = 0; index < 8; ++index) {
    double kib = 0;
    std::ifstream(fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/size", index)) >> kib;
    largest = std::max(largest, kib * kKib);
  }
  return largest > 0 ? largest : 1 << 20;
}

// Bytes a second of y += a * x over arrays of so many floats: the best of a tenth of a second.
double AxpyRate(size_t floats, int threads) {
  const tensor::Arena x(floats * sizeof(float)), y(floats * sizeof(float));
  std::fill_n(x.floats(0), floats, 0.5f);
  const auto run = [&] {
    kernel::Axpy(1e-3f, {x.floats(0), floats}, {y.floats(0), floats}, threads);
  };
  run();
  double best = 1e9, spent = 0;
  while (spent < 0.1) {
    const TimePoint start = base::SystemClock().Now();
    run();
    const double seconds = base::Seconds(base::SystemClock().Now() - start);
    best = std::min(best, std::max(seconds, 1e-9));
    spent += seconds;
  }
  return 3 * static_cast<double>(floats * sizeof(float)) / best;
}

Status DiskError(const std::string& path, const char* what) {
  const std::string message = fmt::format("{}: {}: {}", path, what, std::strerror(errno));
  if (errno == ENOENT || errno == ENOTDIR) return NotFound(message);
  if (errno == EACCES || errno == EROFS) return {Code::kPermissionDenied, message};
  return Unavailable(message);
}

// A file that is closed and removed at the end of its scope.
class Scratch {
 public:
  explicit Scratch(std::string path)
      : path_(std::move(path)), fd_(open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600)) {}
  ~Scratch() {
    if (fd_ < 0) return;
    close(fd_);
    unlink(path_.c_str());
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  int fd() const { return fd_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_;
};

// Calls move(offset) for each block of the file.
template <class Move>
Status ForBlocks(const Scratch& file, size_t bytes, size_t block, const char* what, Move move) {
  for (size_t at = 0; at < bytes; at += block) {
    if (move(static_cast<off_t>(at)) != static_cast<ssize_t>(block)) {
      return DiskError(file.path(), what);
    }
  }
  return OkStatus();
}

}  // namespace

void DescribeDevice(plan::DeviceProfile* profile) {
  utsname system{};
  uname(&system);
  profile->weft = ProgramName();
  profile->onednn = kernel::OnednnVersion();
  profile->measured = base::WallTimeUtc();
  profile->host = system.nodename;
  profile->cpu = CpuName(system);
  profile->simd = kernel::SimdTarget();
  profile->cores = Cores();
  profile->cache_bytes = CacheBytes();
  profile->memory_bytes = Limited(ReadKib("/proc/meminfo", "MemTotal"));
  profile->memory_available_bytes =
      std::min(profile->memory_bytes, ReadKib("/proc/meminfo", "MemAvailable"));
}

void MeasureMemory(plan::DeviceProfile* profile) {
  const int threads = static_cast<int>(profile->threads);
  constexpr double kMostBytes = 128 << 20;
  const double large = std::min(3 * profile->cache_bytes, kMostBytes);
  // Two arrays that fill half of the cache.
  const double small = std::min(profile->cache_bytes / 4, large / 4);
  profile->memory_gbps = AxpyRate(static_cast<size_t>(large) / sizeof(float), threads) * 1e-9;
  profile->cache_gbps = AxpyRate(static_cast<size_t>(small) / sizeof(float), threads) * 1e-9;
}

Status MeasureDisk(const std::string& folder, size_t bytes, plan::DeviceProfile* profile) {
  constexpr size_t kBlock = 1 << 20;
  bytes = (bytes + kBlock - 1) / kBlock * kBlock;
  const Scratch file(base::JoinPath(folder, fmt::format(".weft-disk-{}", getpid())));
  if (file.fd() < 0) return DiskError(file.path(), "cannot be made");
  std::vector<char> block(kBlock);
  for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 31 + i / 251);
  TimePoint start = base::SystemClock().Now();
  RETURN_IF_ERROR(ForBlocks(file, bytes, kBlock, "cannot be written",
                            [&](off_t at) { return pwrite(file.fd(), block.data(), kBlock, at); }));
  if (fsync(file.fd()) != 0) return DiskError(file.path(), "cannot be synced");
  const auto rate = [&] {
    const double seconds = base::Seconds(base::SystemClock().Now() - start);
    return static_cast<double>(bytes) / std::max(seconds, 1e-9) * 1e-6;
  };
  profile->disk_write_mbps = rate();
  posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
  start = base::SystemClock().Now();
  RETURN_IF_ERROR(ForBlocks(file, bytes, kBlock, "cannot be read",
                            [&](off_t at) { return pread(file.fd(), block.data(), kBlock, at); }));
  profile->disk_read_mbps = rate();
  return OkStatus();
}

ResidentMemory ReadResidentMemory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {ReadKib("/proc/self/status", "VmRSS"), static_cast<double>(usage.ru_maxrss) * kKib};
}

}  // namespace weft::app
