#pragma once
// The transport's version, for run records.

#include <string>

namespace weft::net {

// Of gRPC: "1.51.1".
std::string GrpcVersion();

}  // namespace weft::net
