#pragma once
// The program's name and version, as shown to people and to peers: "weft 0.1.0".

#include <map>
#include <string>

namespace weft::app {

std::string ProgramName();

// What a result may depend on, name to version: compiler, oneDNN, gRPC.
std::map<std::string, std::string> LibraryVersions();

}  // namespace weft::app
