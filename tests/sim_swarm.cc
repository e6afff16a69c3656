// sim_swarm: runs the seeds it is told of (sim/swarm.h) and prints those that fail, each with the
// one command that replays it. Exit code 1 if any failed, 2 for bad arguments.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <latch>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/worker_thread.h"
#include "sim/swarm.h"

namespace weft {
namespace {

struct Arguments {
  uint64_t first = 1;
  uint64_t last = 1000;
  double seconds = 0;  // 0: all the seeds, however long that takes
  int jobs = 2;
  bool verbose = false;
  sim::Scope scope = sim::Scope::kSteps;
};

// "17..40". False if it is not that.
bool ParseSeeds(const std::string& text, Arguments* arguments) {
  const size_t dots = text.find("..");
  if (dots == text.npos) return false;
  const auto parse = [](std::string_view part, uint64_t* value) {
    const char* end = part.data() + part.size();
    const auto [at, error] = std::from_chars(part.data(), end, *value);
    return error == std::errc() && at == end;
  };
  return parse(std::string_view(text).substr(0, dots), &arguments->first) &&
         parse(std::string_view(text).substr(dots + 2), &arguments->last) &&
         arguments->first <= arguments->last;
}

struct Tally {
  std::mutex mutex;
  uint64_t runs = 0;
  int64_t events = 0;
  double virtual_s = 0;
  std::vector<sim::Result> failed;  // under the mutex, as the sums
};

// Takes one seed after another until none is left or the time is over.
void RunSome(const Arguments& arguments, TimePoint start, std::atomic<uint64_t>* next,
             Tally* tally) {
  for (;;) {
    const double spent = base::Seconds(base::SystemClock().Now() - start);
    if (arguments.seconds > 0 && spent > arguments.seconds) return;
    const uint64_t seed = (*next)++;
    if (seed > arguments.last) return;
    sim::Result result = sim::RunSeed(seed, arguments.verbose, arguments.scope);
    const std::lock_guard lock(tally->mutex);
    ++tally->runs;
    tally->events += result.events;
    tally->virtual_s += result.virtual_s;
    if (!result.violations.empty()) tally->failed.push_back(std::move(result));
  }
}

void Print(const std::vector<sim::Result>& failed, sim::Scope scope) {
  if (failed.empty()) return;
  fmt::print("{:>8}  {:<14}  {}\n", "seed", "checker", "what");
  for (const sim::Result& result : failed) {
    for (const std::string& violation : result.violations) {
      const size_t colon = violation.find(": ");
      fmt::print("{:>8}  {:<14}  {}\n", result.seed, violation.substr(0, colon),
                 violation.substr(colon + 2));
    }
    fmt::print("{:>8}  replay: {}\n", "", sim::ReplayCommand(result.seed, scope));
  }
}

int Run(const Arguments& arguments) {
  const TimePoint start = base::SystemClock().Now();
  std::atomic<uint64_t> next = arguments.first;
  Tally tally;
  std::latch over(arguments.jobs);
  std::vector<std::unique_ptr<base::WorkerThread>> threads;
  for (int i = 0; i < arguments.jobs; ++i) {
    threads.push_back(std::make_unique<base::WorkerThread>());
    threads.back()->Post([&] {
      RunSome(arguments, start, &next, &tally);
      over.count_down();
    });
  }
  over.wait();
  std::ranges::sort(tally.failed, {}, &sim::Result::seed);
  Print(tally.failed, arguments.scope);
  fmt::print("{} seeds from {} on: {} failed; {:.0f} s of virtual time, {} events, in {:.1f} s\n",
             tally.runs, arguments.first, tally.failed.size(), tally.virtual_s, tally.events,
             base::Seconds(base::SystemClock().Now() - start));
  return tally.failed.empty() ? 0 : 1;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  weft::Arguments arguments;
  std::string seeds;
  CLI::App app("Runs random clusters with random faults and checks every promise.");
  app.add_option("--seeds", seeds, "which, A..B (1..1000)");
  app.add_option("--seconds", arguments.seconds, "begin no seed after so long");
  app.add_option("--jobs", arguments.jobs, "so many at a time")->check(CLI::Range(1, 256));
  app.add_flag("--verbose", arguments.verbose, "print all that happens on stderr");
  bool elastic = false;
  app.add_flag("--elastic", elastic,
               "also leaders on devices, streams, quorums, local steps, fed samples and shards");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!seeds.empty() && !weft::ParseSeeds(seeds, &arguments)) {
    fmt::print(stderr, "--seeds: got \"{}\", want A..B with A at most B, such as 17..40\n", seeds);
    return 2;
  }
  if (elastic) arguments.scope = weft::sim::Scope::kElastic;
  return weft::Run(arguments);
}
