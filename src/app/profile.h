#pragma once
// Device profiles on disk: where `weft profile` puts them and `weft plan` looks for them.

#include <string>

#include "base/status.h"
#include "plan/device_profile.h"

namespace weft::app {

// weft/profile.json under XDG_STATE_HOME or, as the XDG base directory specification has it,
// ~/.local/state. Errors: kFailedPrecondition if neither that nor HOME is set.
Result<std::string> DefaultProfilePath();

// Errors of the file system; kDataLoss for a file that is no profile of this version.
Result<plan::DeviceProfile> LoadProfile(const std::string& path);

}  // namespace weft::app
