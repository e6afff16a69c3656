#pragma once
// The token of a run, which whoever joins it must show.

#include <string>

namespace weft::cluster {

// Takes the same time wherever the two differ.
inline bool SameToken(const std::string& got, const std::string& want) {
  unsigned difference = got.size() == want.size() ? 0 : 1;
  for (size_t i = 0; i < got.size() && !want.empty(); ++i) {
    difference |=
        static_cast<unsigned char>(got[i]) ^ static_cast<unsigned char>(want[i % want.size()]);
  }
  return difference == 0;
}

}  // namespace weft::cluster
