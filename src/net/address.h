#pragma once
// Where a coordinator listens and devices dial: "HOST:PORT", "[::1]:7070".

#include <string>
#include <string_view>

#include "base/status.h"

namespace weft::net {

struct HostPort {
  std::string host;  // a name or a number, without brackets
  int port = 0;
  // "HOST:PORT", with brackets where the host needs them.
  std::string ToString() const;
};

// `field` names the setting in messages. Port 0 means any free port; refused where `want_port`.
// Errors: kInvalidArgument.
Result<HostPort> ParseHostPort(std::string_view field, std::string_view text, bool want_port);

// Why listening at `address` fails, found by trying: kAlreadyExists when the port is in use,
// kPermissionDenied, kInvalidArgument when the host is not one of this machine. Blocks for a name
// look-up.
Status ExplainListenFailure(const HostPort& address);

}  // namespace weft::net
