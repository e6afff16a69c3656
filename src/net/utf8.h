#pragma once
// Text on the wire is UTF-8, and receivers count on it (JSON, terminals). File names and host names
// that get into our messages need not be.

#include <string>
#include <string_view>

namespace weft::net {

// `text` with every byte that is not part of a well-formed sequence replaced by '?'.
// Source: Unicode 15, table 3-7, well-formed UTF-8 byte sequences.
std::string ToValidUtf8(std::string_view text);

}  // namespace weft::net
