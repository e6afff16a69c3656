// weft up: coordinator and leader of one job, for workers that join over the network.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/run_setup.h"
#include "base/log.h"
#include "base/rng.h"
#include "net/address.h"

namespace weft::app {
namespace {

struct UpFlags {
  RunFlags run;
  std::string listen = "127.0.0.1:7070";
  std::string insecure_listen;
};

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// Where to listen. Errors: kInvalidArgument for the outside world without a word.
Result<net::HostPort> ListenAddress(const UpFlags& flags) {
  if (!flags.insecure_listen.empty()) {
    return net::ParseHostPort("--insecure-listen", flags.insecure_listen, false);
  }
  ASSIGN_OR_RETURN(net::HostPort address, net::ParseHostPort("--listen", flags.listen, false));
  if (IsLoopback(address.host)) return address;
  return InvalidArgument(
      fmt::format("--listen: got {}, want an address of this machine's loopback: devices cannot "
                  "prove who they are yet, so "
                  "anyone who reaches the port could read and change the model; on a network you "
                  "trust say --insecure-listen {}",
                  flags.listen, flags.listen));
}

int RunUp(UpFlags flags, const CommonFlags& common) {
  const Result<net::HostPort> address = ListenAddress(flags);
  if (!address.ok()) {
    base::LogError("{}", address.status().message());
    return ExitCodeOf(address.status());
  }
  if (!flags.insecure_listen.empty()) {
    base::LogWarning(
        "--insecure-listen: traffic is neither encrypted nor authenticated; use it only on a "
        "network you trust");
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
  app->add_option("--listen", flags->listen,
                  "Where to listen, HOST:PORT on loopback; port 0 takes a free one")
      ->capture_default_str();
  app->add_option("--insecure-listen", flags->insecure_listen,
                  "Listen here although nothing is encrypted or authenticated yet");
  app->add_option("--token", flags->run.token,
                  "What workers must show (default: drawn and printed)");
  app->add_option("--start-workers", flags->run.start_workers,
                  "The first step waits for so many workers")
      ->check(CLI::Range(1, 1 << 20));
  commands->push_back({app, [flags, common] { return RunUp(*flags, *common); }});
}

}  // namespace weft::app
