// weft join: a worker of a run elsewhere.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/command.h"
#include "app/event_log.h"
#include "app/job_text.h"
#include "app/listen_flags.h"
#include "app/signals.h"
#include "app/threads.h"
#include "app/version.h"
#include "app/worker_host.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/text.h"

namespace weft::app {
namespace {

struct JoinFlags {
  std::string address;
  std::string token;
  std::string name;
  std::string data;
  int threads = 0;
  std::string memory_budget;
  std::string storage;
  std::string site;
  double give_up_after_s = 0;
  ListenFlags listen;
};

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] != '\0' ? name : "worker";
}

int64_t MemoryBytes() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

// The job that the coordinator describes, with this device's own data where it was named.
Result<std::shared_ptr<const Job>> OpenFromWelcome(const cluster::Welcome& welcome,
                                                   const JoinFlags& flags) {
  ASSIGN_OR_RETURN(JobText job, ReadJobText(welcome.job, "the coordinator's job"));
  OpenJobOptions options{.test_data = false, .model_text = welcome.model};
  if (!flags.data.empty()) {
    job.config.data.train = flags.data;
  } else if (job.fed) {
    options.fed = job.fed->facts;
  }
  return OpenJob(job.config, options);
}

// What the store feeds of the job that the coordinator describes.
std::optional<cluster::SampleCacheOptions> FedOf(const cluster::Welcome& welcome,
                                                 const JoinFlags& flags, int64_t storage_bytes) {
  if (!flags.data.empty()) return std::nullopt;
  const Result<JobText> job = ReadJobText(welcome.job, "the coordinator's job");
  if (!job.ok() || !job->fed) return std::nullopt;  // OpenFromWelcome says what is wrong
  return CacheOptions(*job, storage_bytes);
}

Result<int64_t> StorageBytes(const JoinFlags& flags) {
  if (flags.storage.empty()) return 0;
  const Result<int64_t> bytes = base::ParseBytes(flags.storage);
  if (!bytes.ok()) return bytes.status().Annotate("--storage");
  return bytes;
}

// Where other devices dial this one; empty: nowhere.
Result<std::string> PeerAddress(const ListenFlags& flags) {
  if (!flags.given()) return std::string();
  ASSIGN_OR_RETURN(const net::HostPort address, ListenAddress(flags));
  if (address.host != "0.0.0.0" && address.host != "::") return address.ToString();
  return InvalidArgument(fmt::format(
      "--insecure-listen: got {}, want an address by which other devices reach this one",
      address.ToString()));
}

int RunJoin(const JoinFlags& flags, const CommonFlags& common) {
  int64_t budget = 0;
  if (const int code = ReadBudget(flags.memory_budget, &budget); code != kExitOk) return code;
  const Result<std::string> listen = PeerAddress(flags.listen);
  if (!listen.ok()) {
    base::LogError("{}", listen.status().message());
    return ExitCodeOf(listen.status());
  }
  const Result<int64_t> storage = StorageBytes(flags);
  if (!storage.ok()) {
    base::LogError("{}", storage.status().message());
    return kExitUsage;
  }
  CatchSignals();
  const TimePoint start = base::SystemClock().Now();
  WorkerHostOptions options;
  options.worker.name = flags.name.empty() ? HostName() : flags.name;
  options.worker.token = flags.token;
  options.worker.program = ProgramName();
  options.worker.cores = Cores();
  options.worker.memory_bytes = MemoryBytes();
  options.worker.incarnation = base::EntropySeed();
  options.worker.jitter_seed = options.worker.incarnation;
  if (flags.give_up_after_s > 0) {
    options.worker.give_up_after =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(flags.give_up_after_s));
  }
  options.dial = [&flags](net::ConnectionHandler* handler) {
    return net::Connection::Dial(flags.address, {}, handler);
  };
  options.worker.storage_bytes = *storage;
  options.worker.site = flags.site;
  options.fed = [&flags, bytes = *storage](const cluster::Welcome& welcome) {
    return FedOf(welcome, flags, bytes);
  };
  options.open_job = [&flags](const cluster::Welcome& welcome) {
    return OpenFromWelcome(welcome, flags);
  };
  options.threads = flags.threads;
  options.memory_budget = static_cast<size_t>(budget);
  options.on_event = [&](const cluster::Event& event) {
    if (common.json) PrintJsonLine(ToJson(event, base::Seconds(base::SystemClock().Now() - start)));
    base::LogInfo("{}", cluster::Describe(event));
  };
  options.drain_on_signal = true;
  options.listen = *listen;
  const Status status = WorkerHost(std::move(options)).Run();
  if (common.json) {
    nlohmann::ordered_json result = {{"event", "result"}, {"ok", status.ok()}};
    if (!status.ok()) result["problem"] = status.message();
    PrintJsonLine(result);
  }
  if (!status.ok()) {
    base::LogError("{}", status.message());
    return ExitCodeOf(status);
  }
  return SignalReceived() != 0 ? 128 + SignalReceived() : kExitOk;
}

}  // namespace

void AddJoin(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<JoinFlags>();
  CLI::App* app = program->add_subcommand("join", "Work for a run elsewhere");
  app->add_option("ADDRESS", flags->address, "The coordinator, HOST:PORT")->required();
  app->add_option("--token", flags->token, "What `weft up` printed");
  app->add_option("--name", flags->name, "This device's name (default: the host's)");
  app->add_option("--data", flags->data,
                  "This device's copy of the training data (default: as the job says)");
  app->add_option("--threads", flags->threads, "Threads of the math (default: as the job says)")
      ->check(CLI::Range(1, 1024));
  app->add_option("--memory-budget", flags->memory_budget,
                  "Memory for training, such as 200MiB (default: as the job says)");
  app->add_option(
      "--storage", flags->storage,
      "Memory for samples that the coordinator feeds, such as 1GiB (default: no limit)");
  app->add_option("--site", flags->site,
                  "Where this device stands, such as a building: devices of one site may send "
                  "their updates as one sum (cluster.site_sums)");
  app->add_option("--give-up-after", flags->give_up_after_s,
                  "Seconds without a coordinator before giving up (default: never)")
      ->check(CLI::PositiveNumber);
  AddListenFlags(app, " for other devices, so that this one may lead a part of the parameters",
                 &flags->listen);
  commands->push_back({app, [flags, common] { return RunJoin(*flags, *common); }});
}

}  // namespace weft::app
