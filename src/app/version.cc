#include "app/version.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "kernel/backend.h"
#include "net/version.h"

namespace weft::app {

std::map<std::string, std::string> LibraryVersions() {
  return {{"compiler", "gcc " __VERSION__},
          {"onednn", kernel::OnednnVersion()},
          {"grpc", net::GrpcVersion()}};
}

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
