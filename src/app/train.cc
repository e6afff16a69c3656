// weft train: coordinator, leader and workers in this process, the same code as on a cluster.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "app/command.h"
#include "app/run_setup.h"
#include "app/threads.h"
#include "app/version.h"
#include "app/worker_host.h"
#include "base/log.h"
#include "base/rng.h"

namespace weft::app {
namespace {

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
      options.open_job = [job](const cluster::Welcome&) -> Result<std::shared_ptr<const Job>> {
        return job;
      };
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
         return RunToEnd(
             *flags, *common,
             [&](RunHost* host, std::shared_ptr<const Job> job) -> Result<std::shared_ptr<void>> {
               return std::shared_ptr<void>(
                   std::make_shared<LocalWorkers>(host, job, flags->token));
             });
       }});
}

}  // namespace weft::app
