#pragma once
// Events and results as JSON objects, one a line: what --json prints and metrics.jsonl keeps.
// Scripts read them: fields may be added, never renamed.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/run_event.h"
#include "cluster/event.h"

namespace weft::app {

// {"event": "step", "seconds": .., ...}; `seconds` since the run began. A number that is not finite
// (a loss that ran away) becomes null.
nlohmann::ordered_json ToJson(const cluster::Event& event, double seconds);
nlohmann::ordered_json ToJson(const Evaluated& test, double seconds);

// What a device knows of itself; a number that is not finite becomes 0.
nlohmann::ordered_json ToJson(const cluster::DeviceStats& stats);

// {"event": "result", ...}: the last line of a command that trains. Test figures are left out if
// there was no test data, the problem if there was none.
nlohmann::ordered_json ToJson(const RunResult& result);

// The object on one line, with its end. Bytes that are not UTF-8 become replacement characters.
std::string JsonLine(const nlohmann::ordered_json& object);

}  // namespace weft::app
