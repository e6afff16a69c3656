#include "app/version.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/command.h"

namespace weft::app {

std::string ProgramName() { return std::string("weft ") + WEFT_VERSION; }

void AddVersion(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  CLI::App* app = program->add_subcommand("version", "Print the version");
  commands->push_back({app, [common] {
                         if (common->json) {
                           PrintJsonLine({{"event", "result"}, {"version", WEFT_VERSION}});
                         } else {
                           std::printf("%s\n", ProgramName().c_str());
                         }
                         return kExitOk;
                       }});
}

}  // namespace weft::app
