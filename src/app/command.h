#pragma once
// Command: what every weft command shares: the flags all of them take, where output goes, exit
// codes.

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/status.h"

namespace CLI {
class App;
}

namespace weft::app {

// Exit codes, as sysexits.h where it has one.
enum ExitCode {
  kExitOk = 0,
  kExitFailure = 1,
  kExitUsage = 2,
  kExitBadData = 65,
  kExitNoInput = 66,
  kExitUnavailable = 69,
  kExitInternal = 70,
  kExitCannotCreate = 73,
  kExitTryAgain = 75,
  kExitBadConfig = 78,
  kExitInterrupted = 130,
  kExitTerminated = 143,
};

int ExitCodeOf(const Status& status);

// Flags of every command.
struct CommonFlags {
  bool json = false;  // one JSON object a line on stdout; the last one is {"event":"result",...}
  bool verbose = false;
  bool quiet = false;
};

// Writes one JSON object as a line on stdout, at once. Threads: any.
void PrintJsonLine(const nlohmann::ordered_json& object);

// Each command adds itself to the program; `run` is what main() calls when it was chosen.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

void AddTrain(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddUp(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddJoin(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddDevices(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddEval(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddPredict(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddProfile(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddPlan(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddSim(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddBench(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);
void AddVersion(CLI::App* program, CommonFlags* common, std::vector<Command>* commands);

// The value of --memory-budget in bytes; 0 if the flag was left out. Returns an exit code, having
// logged what is wrong.
int ReadBudget(const std::string& text, int64_t* bytes);

}  // namespace weft::app
