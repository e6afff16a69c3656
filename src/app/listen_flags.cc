#include "app/listen_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/log.h"

namespace weft::app {
namespace {

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace

Result<net::HostPort> ListenAddress(const ListenFlags& flags) {
  if (!flags.insecure_listen.empty()) {
    base::LogWarning(
        "--insecure-listen: traffic is neither encrypted nor authenticated; use it only on a "
        "network you trust");
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

void AddListenFlags(CLI::App* app, const std::string& for_what, ListenFlags* flags) {
  app->add_option("--listen", flags->listen,
                  "Where to listen" + for_what + ", HOST:PORT on loopback; port 0 takes a free one")
      ->capture_default_str();
  app->add_option("--insecure-listen", flags->insecure_listen,
                  "Listen here although nothing is encrypted or authenticated yet");
}

}  // namespace weft::app
