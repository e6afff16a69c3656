#pragma once
// WorkerHost: gives a worker's state machine its clock, its connection and its math, until the run
// is over.

#include <functional>
#include <memory>
#include <string>

#include "app/job.h"
#include "app/trainer.h"
#include "base/event_loop.h"
#include "base/host_stats.h"
#include "base/worker_thread.h"
#include "cluster/worker.h"
#include "net/client.h"

namespace weft::app {

struct WorkerHostOptions {
  cluster::WorkerOptions worker;
  // Opens a connection; blocks. Called on a thread of the host's.
  std::function<Result<std::unique_ptr<net::Connection>>(net::ConnectionHandler*)> dial;
  // The job that a Welcome describes. Called on the math thread.
  std::function<Result<std::shared_ptr<const Job>>(const cluster::Welcome&)> open_job;
  // Called on the host's thread; may be empty.
  std::function<void(const cluster::Event&)> on_event;
  int threads = 0;           // for the math; 0: as the job says
  size_t memory_budget = 0;  // bytes; 0: as the job says
  bool drain_on_signal = false;
};

class WorkerHost {
 public:
  explicit WorkerHost(WorkerHostOptions options);
  ~WorkerHost();

  // Blocks until the worker is done: ok, or why it failed.
  Status Run();

 private:
  class Link;  // one connection and its callbacks

  void Do(cluster::Actions actions);
  void Do(const cluster::Send& send);
  void Do(const cluster::Connect&);
  void Do(const cluster::Disconnect&);
  void Do(const cluster::OpenRun& open);
  void Do(const cluster::ReadAhead& ahead);
  void Do(const cluster::Compute& compute);
  void Do(const cluster::Settled& settled);
  void Do(const cluster::KeepSamples& keep);
  void Do(const cluster::DropSamples& drop);
  void Do(const cluster::UseLayout&) {}
  void Do(const cluster::Emit& emit);
  void Do(const cluster::Stop& stop);
  template <class Other>
  void Do(const Other& other);
  void Dialed(const std::shared_ptr<Link>& link, const Status& status);
  void Lost(uint64_t link, const Status& status);
  bool IsCurrent(uint64_t link) const;
  std::optional<TimePoint> NextWake() const;
  void Tick(TimePoint now);
  void LookAround(TimePoint now);

  const WorkerHostOptions options_;
  cluster::Worker worker_;
  base::EventLoop loop_;
  std::shared_ptr<Link> link_;  // the current one
  uint64_t links_ = 0;          // made so far
  Status status_;
  bool draining_ = false;
  TimePoint next_poll_;  // when signals are looked for
  base::HostMonitor monitor_;
  TimePoint next_look_;  // when it is asked again

  // On the math thread only.
  std::unique_ptr<Trainer> trainer_;
  Status open_status_;

  base::WorkerThread dialer_;
  base::WorkerThread math_;
};

}  // namespace weft::app
