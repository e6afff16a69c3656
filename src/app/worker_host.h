#pragma once
// WorkerHost: gives a worker's state machine its clock, its connection and its math, until the run
// is over. Where other devices can dial this one, a leader and a relay stand beside the worker, and
// do their math on the host's own thread.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/job.h"
#include "app/trainer.h"
#include "base/event_loop.h"
#include "base/host_stats.h"
#include "base/worker_thread.h"
#include "cluster/leader.h"
#include "cluster/peer_lines.h"
#include "cluster/sample_cache.h"
#include "cluster/site_relay.h"
#include "cluster/worker.h"
#include "net/client.h"
#include "net/peers.h"

namespace weft::app {

struct WorkerHostOptions {
  cluster::WorkerOptions worker;
  // Opens a connection; blocks. Called on a thread of the host's.
  std::function<Result<std::unique_ptr<net::Connection>>(net::ConnectionHandler*)> dial;
  // The job that a Welcome describes. Called on the math thread.
  std::function<Result<std::shared_ptr<const Job>>(const cluster::Welcome&)> open_job;
  // What the store feeds it of that job; nothing, or empty: this device reads the data itself.
  // Called on the host's thread.
  std::function<std::optional<cluster::SampleCacheOptions>(const cluster::Welcome&)> fed{};
  // Called on the host's thread; may be empty.
  std::function<void(const cluster::Event&)> on_event;
  int threads = 0;           // for the math; 0: as the job says
  size_t memory_budget = 0;  // bytes; 0: as the job says
  bool drain_on_signal = false;
  // Where other devices dial this one, "HOST:PORT", port 0 for any free one; empty: nowhere, so it
  // leads nothing.
  std::string listen{};
  // Its leader; empty: one that holds nothing yet. Called on the host's thread.
  std::function<Result<std::unique_ptr<cluster::Leader>>(const cluster::JobSpec& spec,
                                                         cluster::Address self)>
      make_leader{};
};

class WorkerHost {
 public:
  explicit WorkerHost(WorkerHostOptions options);
  ~WorkerHost();

  // Blocks until the worker is done: ok, or why it failed. Errors: also those of net::Peers::Start.
  Status Run();

 private:
  class Link;       // one connection and its callbacks
  class PeerInbox;  // callbacks of lines to other devices
  class Arrivals;   // pieces of parameters that a lease waits for

  void Do(cluster::Actions actions);
  void Do(const cluster::Send& send);
  void Do(const cluster::Connect&);
  void Do(const cluster::Disconnect&);
  void Do(const cluster::OpenRun& open);
  void Do(const cluster::ReadAhead& ahead);
  void Do(const cluster::Compute& compute);
  void Do(const cluster::HandPiece& hand);
  void Do(const cluster::GiveUp&);
  void Do(const cluster::Settled& settled);
  void Do(const cluster::KeepSamples& keep);
  void Do(const cluster::DropSamples& drop);
  void Do(const cluster::UseLayout&) {}
  void Do(const cluster::Emit& emit);
  void Do(const cluster::Stop& stop);
  template <class Other>
  void Do(const Other& other);
  void Computed(const Result<cluster::Worker::Update>& update);
  void Dialed(const std::shared_ptr<Link>& link, const Status& status);
  void Lost(uint64_t link, const Status& status);
  bool IsCurrent(uint64_t link) const;
  std::optional<TimePoint> NextWake() const;
  void Tick(TimePoint now);
  void LookAround(TimePoint now);

  // worker_host_peers.cc: the leader, and the way to other devices.
  Status OpenLines();
  void Send(cluster::Address from, const cluster::Send& send);
  void HeardFromCoordinator(const cluster::Envelope& envelope);
  void Accept(const cluster::Envelope& envelope);
  void Lead(const cluster::Envelope& envelope);
  void DoFor(cluster::Address self, const cluster::Actions& actions);
  void TellRelayLost(cluster::DeviceId device);
  void DeliverLocal();
  void Opened(const cluster::Welcome& welcome, const cluster::JobSpec& spec);
  void MakeLeader(const cluster::Welcome& welcome, const cluster::JobSpec& spec);
  void Do(const cluster::PeerLines::Actions& actions);
  void Do(const cluster::PeerLines::Dial& dial);
  void Do(const cluster::PeerLines::Write& write);
  void Do(const cluster::PeerLines::Close& close);
  void Do(const cluster::PeerLines::Relay& relay);
  void Do(const cluster::PeerLines::Deliver& deliver);
  void Do(const cluster::PeerLines::Lost& lost);

  const WorkerHostOptions options_;
  cluster::Worker worker_;
  base::EventLoop loop_;
  std::unique_ptr<cluster::PeerLines> peers_;
  std::unique_ptr<cluster::Leader> leader_;        // null until the job is open, or for good
  std::unique_ptr<cluster::SiteRelay> relay_;      // likewise
  std::deque<cluster::Envelope> awaiting_leader_;  // what comes before that
  std::deque<cluster::Envelope> local_;            // for worker and leader
  bool delivering_ = false;
  cluster::Welcome welcome_;            // the newest
  std::shared_ptr<Arrivals> arrivals_;  // of the last lease; null before the first
  std::shared_ptr<Link> link_;          // the current one
  uint64_t links_ = 0;                  // made so far
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

  std::unique_ptr<PeerInbox> inbox_;
  std::unique_ptr<net::Peers> lines_;  // last: its callbacks use the above
};

}  // namespace weft::app
