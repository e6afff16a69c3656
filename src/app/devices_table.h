#pragma once
// What `weft devices` shows of a run's devices to people.

#include <cstdint>
#include <string>

#include "app/device_records.h"

namespace weft::app {

// A run, as its folder tells.
struct DevicesOfRun {
  std::string run;      // id
  std::string folder;   // where it is
  std::string outcome;  // "running", or how it ended
  DeviceRecords records;
};

// One line about the run, one of headings, one for each device in the order of joining; what is not
// known is "-". `now` is seconds since 1970.
std::string DevicesTable(const DevicesOfRun& run, int64_t now);

}  // namespace weft::app
