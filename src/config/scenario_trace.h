#pragma once
// Availability traces: when which device is switched on, as lines "device,from_s,until_s". Inside
// this room only.

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "config/scenario.h"

namespace weft::config {

// By device. Empty lines, lines that begin with '#' and a line "device,from_s,until_s" say nothing.
// Errors: kInvalidArgument with file:line unless a line is a name and two seconds, the second
// later, and the stretches of each device rise without overlap.
Result<std::map<std::string, Stretches, std::less<>>> ParseTrace(std::string_view text,
                                                                 const std::string& file);

}  // namespace weft::config
