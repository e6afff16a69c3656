// weft_relay: carries Ethernet frames between two TAP devices as a bad link would. The lab puts it
// into a device's way where a link has latency, loss and the like.

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "lab/delay_line.h"

namespace weft::lab {
namespace {

constexpr size_t kMostFrame = 65'536;
// Frames read from one side before the other has its turn.
constexpr int kTurn = 64;

volatile sig_atomic_t stopping = 0;

struct Flags {
  std::array<std::string, 2> taps;
  double latency_s = 0;
  double jitter_s = 0;
  DelayLineOptions line;
};

Duration FromSeconds(double seconds) { return Duration(static_cast<int64_t>(seconds * 1e9)); }

// Attaches to a TAP device of this network namespace. Returns its descriptor, or -1 with errno.
int OpenTap(const std::string& name) {
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -1;
  ifreq request = {};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  if (ioctl(fd, TUNSETIFF, &request) == 0) return fd;
  const int problem = errno;
  close(fd);
  errno = problem;
  return -1;
}

// One way: from one TAP device to the other.
struct Way {
  int from = -1;
  int to = -1;
  DelayLine line;

  void Read(TimePoint now, std::string* buffer) {
    for (int i = 0; i < kTurn; ++i) {
      const ssize_t size = read(from, buffer->data(), buffer->size());
      if (size <= 0) return;
      line.Push(now, buffer->substr(0, static_cast<size_t>(size)));
    }
  }
  // A frame that the kernel does not take is lost, as on a wire.
  void Write(TimePoint now) {
    while (const auto frame = line.Pop(now)) {
      if (write(to, frame->data(), frame->size()) < 0) base::LogDebug("{}", strerror(errno));
    }
  }
};

void Relay(std::array<Way, 2>* ways) {
  // Signals are let in only while ppoll waits, so none is missed in between.
  sigset_t none;
  sigemptyset(&none);
  std::string buffer(kMostFrame, '\0');
  while (stopping == 0) {
    const TimePoint now = base::SystemClock().Now();
    std::optional<TimePoint> next;
    for (Way& way : *ways) {
      way.Write(now);
      const std::optional<TimePoint> due = way.line.Next();
      if (due && (!next || *due < *next)) next = due;
    }
    const int64_t wait = next ? std::max<int64_t>(0, (*next - now).count()) : 0;
    const timespec timeout = {wait / 1'000'000'000, wait % 1'000'000'000};
    std::array<pollfd, 2> fds = {{{(*ways)[0].from, POLLIN, 0}, {(*ways)[1].from, POLLIN, 0}}};
    if (ppoll(fds.data(), fds.size(), next ? &timeout : nullptr, &none) <= 0) continue;
    const TimePoint arrived = base::SystemClock().Now();
    for (size_t i = 0; i < fds.size(); ++i) {
      if ((fds[i].revents & POLLIN) != 0) (*ways)[i].Read(arrived, &buffer);
    }
  }
}

nlohmann::ordered_json ToJson(const DelayLineCounts& counts) {
  return {{"passed", counts.passed},
          {"lost", counts.lost},
          {"duplicated", counts.duplicated},
          {"reordered", counts.reordered},
          {"dropped", counts.dropped}};
}

void CatchStop() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stopping = 1; };
  sigset_t caught;
  sigemptyset(&caught);
  for (const int signal : {SIGTERM, SIGINT}) {
    sigaction(signal, &action, nullptr);
    sigaddset(&caught, signal);
  }
  sigprocmask(SIG_BLOCK, &caught, nullptr);
}

int Run(const Flags& flags) {
  CatchStop();
  std::array<int, 2> fds = {-1, -1};
  for (size_t i = 0; i < fds.size(); ++i) {
    fds[i] = OpenTap(flags.taps[i]);
    if (fds[i] < 0) {
      base::LogError("{}: {}", flags.taps[i], strerror(errno));
      return 69;
    }
  }
  std::array<DelayLineOptions, 2> options = {flags.line, flags.line};
  for (size_t i = 0; i < options.size(); ++i) {
    options[i].seed = base::DeriveSeed(flags.line.seed, i);
  }
  std::array<Way, 2> ways = {
      {{fds[0], fds[1], DelayLine(options[0])}, {fds[1], fds[0], DelayLine(options[1])}}};
  printf("{\"event\":\"ready\"}\n");
  fflush(stdout);
  Relay(&ways);
  const nlohmann::ordered_json result = {{"event", "result"},
                                         {"up", ToJson(ways[0].line.counts())},
                                         {"down", ToJson(ways[1].line.counts())}};
  printf("%s\n", result.dump().c_str());
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Carries Ethernet frames between two TAP devices as a bad link would.\n"
      "Prints a line when it is ready and one with counts when it is stopped (SIGTERM).");
  Flags flags;
  app.add_option("DEVICES", flags.taps, "Two TAP devices: the near and the far end")->required();
  app.add_option("--latency", flags.latency_s, "Seconds, each way")->check(CLI::Range(0.0, 60.0));
  app.add_option("--jitter", flags.jitter_s, "Seconds more, uniform between 0 and this")
      ->check(CLI::Range(0.0, 60.0));
  const CLI::Range probability(0.0, 1.0);
  app.add_option("--loss", flags.line.loss, "Share of frames")->check(probability);
  app.add_option("--duplication", flags.line.duplication, "Share of frames")->check(probability);
  app.add_option("--reordering", flags.line.reordering, "Share of frames")->check(probability);
  app.add_option("--most-bytes", flags.line.most_bytes, "That wait each way, at most")
      ->capture_default_str();
  app.add_option("--seed", flags.line.seed, "Of all chance")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  flags.line.latency = FromSeconds(flags.latency_s);
  flags.line.jitter = FromSeconds(flags.jitter_s);
  return Run(flags);
}

}  // namespace
}  // namespace weft::lab

int main(int argc, char** argv) { return weft::lab::Main(argc, argv); }
