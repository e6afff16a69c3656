#pragma once
// For the tests of this room: a TCP connection that can be torn.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>

#include "base/check.h"

namespace weft::net::testing {

inline sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A free port of this machine, held. If `listening`, the kernel makes connections to it even if
// nobody accepts them; if not, it refuses them, and a hub may still listen at the port.
class Listener {
 public:
  explicit Listener(bool listening = true) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const int on = 1;
    CHECK(setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    CHECK(bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    if (listening) CHECK(listen(fd_, 8) == 0);
    CHECK(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int Accept() const { return accept(fd_, nullptr, nullptr); }

 private:
  int fd_;
  int port_ = 0;
};

// Carries one connection to `target_port` until Cut, which resets both ends: what the kernel does
// for a process that is killed.
class Relay {
 public:
  explicit Relay(int target_port) {
    CHECK(pipe(stop_.data()) == 0);
    thread_ = std::thread([this, target_port] { Run(target_port); });
  }
  ~Relay() {
    Cut();
    close(stop_[0]);
  }

  std::string address() const { return listener_.address(); }

  void Cut() {
    if (!thread_.joinable()) return;
    close(stop_[1]);
    thread_.join();
  }

 private:
  void Run(int target_port) {
    const int device = listener_.Accept();
    const int hub = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in target = Loopback(target_port);
    CHECK(connect(hub, reinterpret_cast<const sockaddr*>(&target), sizeof(target)) == 0);
    std::array<pollfd, 3> fds{{{device, POLLIN, 0}, {hub, POLLIN, 0}, {stop_[0], POLLIN, 0}}};
    while (poll(fds.data(), fds.size(), -1) > 0 && fds[2].revents == 0) {
      if (fds[0].revents != 0 && !Copy(device, hub)) break;
      if (fds[1].revents != 0 && !Copy(hub, device)) break;
    }
    Reset(device);
    Reset(hub);
  }

  static bool Copy(int from, int to) {
    std::array<char, 65536> buffer;
    const ssize_t size = read(from, buffer.data(), buffer.size());
    if (size <= 0) return false;
    for (ssize_t sent = 0; sent < size;) {
      const ssize_t n =
          send(to, buffer.data() + sent, static_cast<size_t>(size - sent), MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += n;
    }
    return true;
  }

  // Closing with a linger time of 0 sends RST instead of FIN.
  static void Reset(int fd) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
  }

  Listener listener_;
  std::array<int, 2> stop_{-1, -1};
  std::thread thread_;
};

}  // namespace weft::net::testing
