#pragma once
// A Status in a message: its code as a number, and the reason.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace weft::cluster {

inline int32_t CodeNumber(Code code) { return static_cast<int32_t>(code); }

// A peer's number may be anything: what is no code becomes kUnknown.
inline Status StatusFrom(int32_t number, const std::string& reason) {
  if (number == CodeNumber(Code::kOk)) return OkStatus();
  const bool known = number > 0 && number <= CodeNumber(Code::kUnauthenticated);
  return {known ? static_cast<Code>(number) : Code::kUnknown, reason};
}

}  // namespace weft::cluster
