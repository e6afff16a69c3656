// weft up: coordinator and leader of one job, for workers that join over the network.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/listen_flags.h"
#include "app/run_setup.h"
#include "base/log.h"
#include "base/rng.h"

namespace weft::app {
namespace {

struct UpFlags {
  RunFlags run;
  ListenFlags listen{.listen = "127.0.0.1:7070"};
};

int RunUp(UpFlags flags, const CommonFlags& common) {
  const Result<net::HostPort> address = ListenAddress(flags.listen);
  if (!address.ok()) {
    base::LogError("{}", address.status().message());
    return ExitCodeOf(address.status());
  }
  flags.run.listen = address->ToString();
  if (flags.run.token.empty()) flags.run.token = fmt::format("{:016x}", base::EntropySeed());
  return RunToEnd(
      flags.run, common,
      [&](RunHost* host, const std::shared_ptr<const Job>&) -> Result<std::shared_ptr<void>> {
        net::HostPort real = *address;
        real.port = host->port();
        if (common.json) PrintJsonLine({{"event", "listening"}, {"address", real.ToString()}});
        base::LogInfo("listening on {}; on each device: weft join {} --token {}", real.ToString(),
                      real.ToString(), flags.run.token);
        return std::shared_ptr<void>();
      });
}

}  // namespace

void AddUp(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<UpFlags>();
  CLI::App* app = program->add_subcommand("up", "Run a job for workers that join over the network");
  AddRunFlags(app, &flags->run);
  AddListenFlags(app, "", &flags->listen);
  app->add_option("--token", flags->run.token,
                  "What workers must show (default: drawn and printed)");
  app->add_option("--start-workers", flags->run.start_workers,
                  "The first step waits for so many workers")
      ->check(CLI::Range(1, 1 << 20));
  app->add_option("--site", flags->run.site,
                  "Where this process stands: devices there send their updates straight");
  commands->push_back({app, [flags, common] { return RunUp(*flags, *common); }});
}

}  // namespace weft::app
