#pragma once
// DeviceProfile: what was measured of one device: how long kernels take by kind and size, its
// memory, its disk, and what a training process needs beside its plan. Made by `weft profile`, read
// by plan::Predict. A file of it is JSON; the reader is strict, as times and sizes from an unknown
// version must not pass for this one's.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "plan/predict_op.h"

namespace weft::plan {

// One op of that size took so long.
struct Measurement {
  OpSize size;
  double us = 0;  // above 0
  bool operator==(const Measurement&) const = default;
};

struct DeviceProfile {
  // Raised when the meaning of a field changes; an older file is then refused.
  static constexpr int64_t kVersion = 1;

  std::string weft;      // "0.1.0": the program that measured
  std::string onednn;    // "2.6.3"
  std::string measured;  // UTC, "2026-01-31T12:34:56Z"
  std::string host;
  std::string cpu;        // as the system calls it
  std::string simd;       // what the kernels here were made for: "AVX2"
  std::string kernels;    // kernel::MakeBackend
  int64_t cores = 1;      // that the process may use
  int64_t threads = 1;    // that the math ran on
  double seconds = 0;     // that measuring took
  double busy_share = 0;  // of that, in which the measuring thread had no core

  double cache_bytes = 0;  // the largest
  double memory_bytes = 0;
  double memory_available_bytes = 0;
  double memory_gbps = 0;      // y += a * x out of cache: 1e9 bytes a second, read and written
  double cache_gbps = 0;       // the same in cache
  double sgemm_gflops = 0;     // of a 1024^3 matrix product
  double disk_write_mbps = 0;  // 1e6 bytes a second, to the disk of the profile, synced
  double disk_read_mbps = 0;   // the same file back, not from the page cache where that can be

  double process_bytes = 0;  // resident memory of a training process beside its plan
  double conv_bytes = 0;     // more if it has convolutions of oneDNN: the library's part for them
  double op_bytes = 0;       // more for each op of oneDNN: the code made for it

  std::vector<Measurement> points;

  bool operator==(const DeviceProfile&) const = default;

  std::string ToJson() const;
  // Errors: kInvalidArgument naming file:line, for what is not a profile, has unknown or missing
  // keys, numbers out of range, or another version; the last says to measure anew.
  static Result<DeviceProfile> FromJson(std::string_view text, const std::string& file);
};

}  // namespace weft::plan
