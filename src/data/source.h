#pragma once
// Source: a data set's name taken apart, "kind:place?key=value&key=value".

#include <string>

#include "base/doc.h"
#include "base/status.h"

namespace weft::data {

struct Source {
  std::string text;   // as it was given; for messages
  std::string kind;   // "idx"
  std::string place;  // a folder, or what the kind makes of it
  base::Doc params;   // a table; read it with base::Fields
};

// Errors: kInvalidArgument if there is no kind, no place, or a parameter that is not key=value.
Result<Source> ParseSource(const std::string& text);

}  // namespace weft::data
