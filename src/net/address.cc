#include "net/address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace weft::net {
namespace {

Status BadAddress(std::string_view field, std::string_view text) {
  return base::InvalidArgument(std::string(field) + ": got \"" + std::string(text) +
                               "\", want HOST:PORT such as 127.0.0.1:7070 or [::1]:7070");
}

Status Explain(int error, const std::string& address) {
  switch (error) {
    case EADDRINUSE:
      return {Code::kAlreadyExists,
              "cannot listen at " + address +
                  ": another program uses this port; stop it, or choose another (0: any free one)"};
    case EACCES:
    case EPERM:
      return {Code::kPermissionDenied, "cannot listen at " + address +
                                           ": not permitted; ports below 1024 need root, choose "
                                           "a higher one"};
    case EADDRNOTAVAIL:
      return base::InvalidArgument("cannot listen at " + address +
                                   ": not an address of this machine; 0.0.0.0 means all of them");
    default:
      return base::Unavailable("cannot listen at " + address + ": " +
                               (error == 0 ? "try again" : std::strerror(error)));
  }
}

}  // namespace

std::string HostPort::ToString() const {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> ParseHostPort(std::string_view field, std::string_view text, bool want_port) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return BadAddress(field, text);
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]/") != std::string_view::npos) {
    return BadAddress(field, text);
  }
  HostPort result{.host = std::string(host)};
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, result.port);
  if (error != std::errc() || stop != end || digits.empty() || digits.front() == '-') {
    return BadAddress(field, text);
  }
  const int lowest = want_port ? 1 : 0;
  if (result.port < lowest || result.port > 65535) {
    return base::InvalidArgument(std::string(field) + ": port: got " + std::string(digits) +
                                 ", want " + std::to_string(lowest) + "..65535");
  }
  return result;
}

Status ExplainListenFailure(const HostPort& address) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) !=
      0) {
    return base::InvalidArgument("cannot listen at " + address.ToString() +
                                 ": there is no host of this name");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  int error = 0;
  for (const addrinfo* at = found; at != nullptr && error == 0; at = at->ai_next) {
    const int fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
    if (fd < 0) continue;
    // As gRPC does it: a port whose last connections are still closing is free.
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, 1) != 0) error = errno;
    close(fd);
  }
  return Explain(error, address.ToString());
}

}  // namespace weft::net
