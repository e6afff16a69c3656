#pragma once
// One line about a message, for logs and traces: its kind and every field but tensor bytes, of
// which it gives size and checksum. The same message always gives the same line.

#include <string>

#include "cluster/message.h"

namespace weft::cluster {

std::string Describe(Address address);  // "worker 3", "leader", "coordinator"
std::string Describe(const Lease& lease);
std::string Describe(const Range& range);
std::string Describe(const Layout& layout);
std::string Describe(const Message& message);

}  // namespace weft::cluster
