// weft train: coordinator, leader and workers in this process, the same code as on a cluster.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "app/command.h"
#include "app/job_text.h"
#include "app/run_setup.h"
#include "app/threads.h"
#include "app/version.h"
#include "app/worker_host.h"
#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"

namespace weft::app {
namespace {

JobText TextOf(const cluster::Welcome& welcome) {
  Result<JobText> text = ReadJobText(welcome.job, "the job");
  CHECK(text.ok()) << "this process has written it: " << text.status().message();
  return std::move(text).value();
}

// What the coordinator has opened, or where the store feeds samples, a place for them.
Result<std::shared_ptr<const Job>> OpenHere(const std::shared_ptr<const Job>& job,
                                            const cluster::Welcome& welcome) {
  if (job->config.data.placement != "distributed") return job;
  const JobText text = TextOf(welcome);
  CHECK(text.fed.has_value());
  return OpenJob(text.config,
                 {.test_data = false, .model_text = welcome.model, .fed = text.fed->facts});
}

// What the store feeds; nothing if it does not.
std::optional<cluster::SampleCacheOptions> FedHere(const cluster::Welcome& welcome) {
  const JobText text = TextOf(welcome);
  if (!text.fed) return std::nullopt;
  return CacheOptions(text, 0);
}

// The workers of this process, each on a thread of its own.
class LocalWorkers {
 public:
  LocalWorkers(RunHost* host, const std::shared_ptr<const Job>& job, const std::string& token) {
    const int64_t workers = job->config.cluster.workers;
    for (int64_t i = 0; i < workers; ++i) {
      WorkerHostOptions options;
      options.worker.name = fmt::format("worker-{}", i + 1);
      options.worker.token = token;
      options.worker.program = ProgramName();
      options.worker.cores = Cores();
      options.worker.incarnation = base::EntropySeed();
      options.worker.jitter_seed = static_cast<uint64_t>(i);
      // The coordinator is in this process: once gone, it does not come back.
      options.worker.give_up_after = std::chrono::seconds(2);
      options.threads = ThreadsFor(job->config, workers);
      options.dial = [host](net::ConnectionHandler* handler) { return host->Connect(handler); };
      options.open_job = [job](const cluster::Welcome& welcome) { return OpenHere(job, welcome); };
      options.fed = FedHere;
      hosts_.push_back(std::make_unique<WorkerHost>(std::move(options)));
      threads_.push_back(std::make_unique<base::WorkerThread>());
      threads_.back()->Post([worker = hosts_.back().get(), host] {
        const Status status = worker->Run();
        if (!status.ok()) host->Fail(status);
      });
    }
  }

 private:
  std::vector<std::unique_ptr<WorkerHost>> hosts_;
  std::vector<std::unique_ptr<base::WorkerThread>> threads_;  // gone before the hosts
};

}  // namespace

void AddTrain(CLI::App* program, CommonFlags* common, std::vector<Command>* commands) {
  const auto flags = std::make_shared<RunFlags>();
  CLI::App* app = program->add_subcommand("train", "Train a job with workers in this process");
  AddRunFlags(app, flags.get());
  commands->push_back(
      {app, [flags, common] {
         flags->token = fmt::format("{:016x}", base::EntropySeed());
         flags->has_links = false;
         return RunToEnd(
             *flags, *common,
             [&](RunHost* host, std::shared_ptr<const Job> job) -> Result<std::shared_ptr<void>> {
               if (job->config.cluster.leaders > 1) {
                 base::LogWarning(
                     "cluster.leaders: got {}, but the workers of one process have no links to "
                     "share: its coordinator leads all parameters",
                     job->config.cluster.leaders);
               }
               return std::shared_ptr<void>(
                   std::make_shared<LocalWorkers>(host, job, flags->token));
             });
       }});
}

}  // namespace weft::app
