// weft: one program, a command for each thing a user wants of it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/version.h"
#include "base/log.h"
#include "base/text.h"

namespace {

// What to say when the first word is no command, or nothing.
std::string UnknownCommand(int argc, char** argv, const std::vector<weft::app::Command>& commands) {
  if (argc < 2 || argv[1][0] == '-') return "";
  std::vector<std::string> names = {"bench"};
  for (const auto& command : commands) names.push_back(command.app->get_name());
  if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return "";
  const auto nearest = weft::base::DidYouMean(argv[1], names);
  return fmt::format(
      "no such command: {}{}", argv[1],
      nearest ? fmt::format("; did you mean {}?", *nearest) : "; `weft --help` lists them");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace weft::app;
  CLI::App program("Train one neural network on the devices you already have.", "weft");
  program.require_subcommand(1);
  program.set_version_flag("--version", ProgramName());
  CommonFlags common;
  std::vector<Command> commands;
  for (auto add : {AddTrain, AddUp, AddJoin, AddDevices, AddEval, AddPredict, AddProfile, AddPlan,
                   AddSim, AddBench, AddVersion}) {
    add(&program, &common, &commands);
  }
  for (const Command& command : commands) {
    command.app->add_flag("--json", common.json, "One JSON object a line on stdout");
    command.app->add_flag("-v,--verbose", common.verbose, "Also messages for debugging");
    command.app->add_flag("-q,--quiet", common.quiet, "Warnings and errors only");
  }
  if (const std::string problem = UnknownCommand(argc, argv, commands); !problem.empty()) {
    weft::base::LogError("{}", problem);
    return kExitUsage;
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
