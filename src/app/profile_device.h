#pragma once
// What `weft profile` finds out about a device beside the speed of its kernels: what it is, how
// fast its memory and its disk are, and what a process takes.

#include <string>

#include "base/status.h"
#include "plan/device_profile.h"

namespace weft::app {

// Fills in the names, versions, cores and memory. `profile->kernels` and `threads` are set before.
void DescribeDevice(plan::DeviceProfile* profile);

// Rates of y += a * x over arrays far larger than the cache and over ones that fit it, on
// `profile->threads`. Takes about 0.3 s and memory of six times the cache, at most 256 MiB.
void MeasureMemory(plan::DeviceProfile* profile);

// Writes a file of `bytes` in `folder`, syncs it, reads it back past the page cache and removes it.
// Errors: kNotFound or kPermissionDenied if the file cannot be made there, kUnavailable on EIO or a
// full disk.
Status MeasureDisk(const std::string& folder, size_t bytes, plan::DeviceProfile* profile);

// Resident memory of this process: now, and at most since its start.
struct ResidentMemory {
  double now = 0;
  double peak = 0;
};
ResidentMemory ReadResidentMemory();

}  // namespace weft::app
