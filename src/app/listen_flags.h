#pragma once
// Listen flags: where a command listens for others, as long as nothing is encrypted.

#include <string>

#include "base/status.h"
#include "net/address.h"

namespace CLI {
class App;
}

namespace weft::app {

struct ListenFlags {
  std::string listen;           // on loopback
  std::string insecure_listen;  // anywhere; goes before the other one
  bool given() const { return !listen.empty() || !insecure_listen.empty(); }
};

// `for_what`: ends "Where to listen ...", for the help.
void AddListenFlags(CLI::App* app, const std::string& for_what, ListenFlags* flags);

// The address to listen at; warns of an insecure one.
// Errors: kInvalidArgument for the outside world without a word.
Result<net::HostPort> ListenAddress(const ListenFlags& flags);

}  // namespace weft::app
