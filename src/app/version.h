#pragma once
// The program's name and version, as shown to people and to peers: "weft 0.1.0".

#include <string>

namespace weft::app {

std::string ProgramName();

}  // namespace weft::app
