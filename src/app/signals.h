#pragma once
// Signals: the first SIGINT or SIGTERM asks for a drain, the second ends the process at once with
// 128 + its number.

namespace weft::app {

// Installs the handlers. Once, before threads start.
void CatchSignals();

// The signal that asked for a drain, or 0. Threads: any.
int SignalReceived();

}  // namespace weft::app
