#pragma once
// Transfer: part of a payload that has passed a connection, and how long it took.

#include <cstdint>

namespace weft::net {

struct Transfer {
  bool up = false;  // away from this process
  int64_t bytes = 0;
  double seconds = 0;
};

}  // namespace weft::net
