#pragma once
// WireCheck: what both directions of the wire ask of a field. Keeps the first complaint, so that a
// message is mapped field by field without a branch at each.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace weft::net {

// Threads: one.
class WireCheck {
 public:
  const Status& status() const { return status_; }

  void Note(std::string problem) {
    if (status_.ok()) status_ = base::InvalidArgument(std::move(problem));
  }
  // `unit` is "bytes", "leases", ...
  void AtMost(std::string_view field, size_t got, size_t limit, std::string_view unit) {
    if (got <= limit) return;
    Note(std::string(field) + ": got " + std::to_string(got) + " " + std::string(unit) +
         ", want at most " + std::to_string(limit));
  }
  // A status code travels as its number.
  int32_t StatusCode(std::string_view field, int32_t got) {
    if (got < 0 || got > static_cast<int32_t>(Code::kUnauthenticated)) {
      Note(std::string(field) + ": got " + std::to_string(got) + ", want a status code 0..16");
    }
    return got;
  }

 private:
  Status status_;
};

}  // namespace weft::net
