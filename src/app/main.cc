// weft: one program, a command for each thing a user wants of it.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <vector>

#include "app/command.h"
#include "app/version.h"
#include "base/log.h"

int main(int argc, char** argv) {
  using namespace weft::app;
  CLI::App program("Train one neural network on the devices you already have.", "weft");
  program.require_subcommand(1);
  program.set_version_flag("--version", ProgramName());
  CommonFlags common;
  std::vector<Command> commands;
  for (auto add : {AddTrain, AddUp, AddJoin, AddEval, AddPredict, AddBench, AddVersion}) {
    add(&program, &common, &commands);
  }
  for (const Command& command : commands) {
    command.app->add_flag("--json", common.json, "One JSON object a line on stdout");
    command.app->add_flag("-v,--verbose", common.verbose, "Also messages for debugging");
    command.app->add_flag("-q,--quiet", common.quiet, "Warnings and errors only");
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = program.exit(error, std::cout, std::cerr);
    return code == 0 ? kExitOk : kExitUsage;
  }
  using weft::base::LogLevel;
  weft::base::SetLogLevel(common.verbose ? LogLevel::kDebug
                          : common.quiet ? LogLevel::kWarning
                                         : LogLevel::kInfo);
  for (const Command& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  return kExitUsage;
}
