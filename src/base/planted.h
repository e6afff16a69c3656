#pragma once
// Planted faults: defects that can be switched on by name, so that tests can show that the checks
// of a simulated run notice them. They exist only in code that is compiled with
// WEFT_PLANTED_FAULTS (tests/CMakeLists.txt); everywhere else Planted is false and costs nothing.
// Source of the idea: DeMillo, Lipton and Sayward 1978, Hints on Test Data Selection.

#include <string>
#include <string_view>

namespace weft::base {

#ifdef WEFT_PLANTED_FAULTS
// The fault that is on, "file.what_it_does"; empty: none. Threads: set it while no other runs.
inline std::string planted_fault;
inline bool Planted(std::string_view name) { return planted_fault == name; }
#else
constexpr bool Planted(std::string_view) { return false; }
#endif

}  // namespace weft::base
