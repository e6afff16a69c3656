#include "app/worker_host.h"

#include <condition_variable>
#include <future>
#include <mutex>
#include <utility>
#include <variant>

#include "app/job_spec.h"
#include "app/signals.h"
#include "app/threads.h"
#include "base/log.h"

namespace weft::app {
namespace {

// How often a host looks whether a signal came.
constexpr Duration kSignalPoll = std::chrono::milliseconds(100);
// How often it looks what else goes on in the machine.
constexpr Duration kLookAround = std::chrono::seconds(3);
constexpr Duration kCloseGrace = std::chrono::seconds(2);

}  // namespace

// Callbacks name their link by number: one may still come while the link is being taken down.
class WorkerHost::Link : public net::ConnectionHandler {
 public:
  Link(WorkerHost* host, uint64_t number) : host_(host), number_(number) {}

  void OnMessage(cluster::Envelope envelope) override {
    host_->loop_.Post([host = host_, number = number_, envelope = std::move(envelope)] {
      if (!host->IsCurrent(number)) return;
      host->HeardFromCoordinator(envelope);
    });
  }
  void OnPart() override {
    host_->loop_.Post([host = host_, number = number_] {
      if (host->IsCurrent(number)) host->worker_.OnSign(base::SystemClock().Now());
    });
  }
  void OnTransfer(const net::Transfer& transfer) override {
    host_->loop_.Post([host = host_, transfer] {
      host->worker_.OnTransfer(transfer.up, transfer.bytes, transfer.seconds);
    });
  }
  void OnDisconnect(Status status) override {
    host_->loop_.Post([host = host_, number = number_, status = std::move(status)] {
      host->Lost(number, status);
    });
  }

  uint64_t number() const { return number_; }

  std::unique_ptr<net::Connection> connection;  // null while dialing

 private:
  WorkerHost* host_;
  uint64_t number_;
};

// From the host's thread to the math's, which waits. Threads: any.
class WorkerHost::Arrivals {
 public:
  explicit Arrivals(size_t pieces) : values_(pieces) {}

  void Put(size_t piece, cluster::Payload values) {
    const std::lock_guard lock(mutex_);
    values_.at(piece) = std::move(values);
    changed_.notify_all();
  }
  // The others will not come.
  void End() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  // Null if it does not come.
  cluster::Payload Wait(size_t piece) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ || values_.at(piece) != nullptr; });
    return values_.at(piece);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<cluster::Payload> values_;
  bool ended_ = false;
};

Status WorkerHost::Run() {
  RETURN_IF_ERROR(OpenLines());
  Do(worker_.Start(base::SystemClock().Now()));
  loop_.Run([this] { return NextWake(); }, [this](TimePoint now) { Tick(now); });
  Do(cluster::Disconnect{});
  // The last words are sent before the host goes.
  std::promise<void> closed;
  dialer_.Post([&closed] { closed.set_value(); });
  closed.get_future().wait();
  lines_.reset();
  return status_;
}

bool WorkerHost::IsCurrent(uint64_t link) const {
  return link_ != nullptr && link_->number() == link;
}

std::optional<TimePoint> WorkerHost::NextWake() const {
  std::optional<TimePoint> wake = worker_.NextWake();
  if (const auto peers = peers_->NextWake(); peers && (!wake || *peers < *wake)) wake = peers;
  const auto relay = relay_ == nullptr ? std::nullopt : relay_->NextWake();
  if (relay && (!wake || *relay < *wake)) wake = relay;
  if (!options_.drain_on_signal) return wake;
  return wake && *wake < next_poll_ ? wake : std::optional<TimePoint>(next_poll_);
}

void WorkerHost::Tick(TimePoint now) {
  next_poll_ = now + kSignalPoll;
  if (options_.drain_on_signal && !draining_ && SignalReceived() != 0) {
    draining_ = true;
    Do(worker_.Leave(now, "asked to stop"));
  }
  if (now >= next_look_) LookAround(now);
  if (const auto wake = worker_.NextWake(); wake && *wake <= now) Do(worker_.Tick(now));
  Do(peers_->Tick(now));
  if (relay_ != nullptr) DoFor(relay_->address(), relay_->Tick(now));
}

void WorkerHost::LookAround(TimePoint now) {
  next_look_ = now + kLookAround;
  const base::HostStats stats = monitor_.Read();
  worker_.OnHost(stats.free_bytes, stats.other_load, stats.temperature);
}

void WorkerHost::Do(cluster::Actions actions) {
  for (const cluster::Action& action : actions) {
    std::visit([this](const auto& each) { Do(each); }, action);
  }
  DeliverLocal();
}

template <class Other>
void WorkerHost::Do(const Other&) {
  CHECK(false) << "not an action of a worker";
}

void WorkerHost::Do(const cluster::Send& send) { Send(worker_.address(), send); }

void WorkerHost::Do(const cluster::PeerLines::Relay& relay) {
  if (link_ == nullptr || link_->connection == nullptr) return;
  const cluster::Envelope& envelope = relay.envelope;
  const Status status = link_->connection->Send(envelope);
  if (!status.ok()) {
    base::LogDebug("{}: not sent: {}", cluster::MessageName(envelope.message), status.message());
  }
}

void WorkerHost::Do(const cluster::Connect&) {
  link_ = std::make_shared<Link>(this, ++links_);
  dialer_.Post([this, link = link_] {
    auto connection = options_.dial(link.get());
    const Status status = connection.status();
    if (connection.ok()) link->connection = std::move(connection).value();
    loop_.Post([this, link, status] { Dialed(link, status); });
  });
}

void WorkerHost::Dialed(const std::shared_ptr<Link>& link, const Status& status) {
  if (link != link_) return;
  const TimePoint now = base::SystemClock().Now();
  if (status.ok()) {
    Do(worker_.OnConnected(now));
  } else {
    Do(cluster::Disconnect{});
    Do(worker_.OnDisconnected(now, status.message()));
  }
}

void WorkerHost::Lost(uint64_t link, const Status& status) {
  if (!IsCurrent(link)) return;
  Do(cluster::Disconnect{});
  TellRelayLost(cluster::kCoordinatorDevice);
  Do(worker_.OnDisconnected(base::SystemClock().Now(),
                            status.ok() ? "closed by the coordinator" : status.message()));
}

void WorkerHost::Do(const cluster::Disconnect&) {
  // Closing waits for the other side, so not on this thread.
  if (link_ != nullptr) {
    dialer_.Post([link = link_] {
      if (link->connection != nullptr) link->connection->Close(kCloseGrace);
    });
  }
  link_ = nullptr;
}

void WorkerHost::Do(const cluster::OpenRun& open) {
  leader_ = nullptr;
  relay_ = nullptr;
  awaiting_leader_.clear();
  welcome_ = open.welcome;
  // Before the first grant: the machine asks for samples when one comes.
  if (options_.fed) {
    if (auto cache = options_.fed(open.welcome)) worker_.UseStore(std::move(*cache));
  }
  math_.Post([this, welcome = open.welcome] {
    trainer_ = nullptr;
    auto job = options_.open_job(welcome);
    open_status_ = job.status();
    if (!job.ok()) return;
    const int threads = options_.threads > 0 ? options_.threads : ThreadsFor((*job)->config, 1);
    const auto budget = options_.memory_budget > 0
                            ? options_.memory_budget
                            : static_cast<size_t>((*job)->config.cut.memory_budget.value);
    const cluster::JobSpec spec = JobSpecOf(**job, {.run = welcome.run, .token = ""});
    const aggregate::Options how = spec.aggregation;
    auto trainer =
        Trainer::Make(std::move(job).value(), {.threads = threads,
                                               .memory_budget = budget,
                                               .local_steps = how.local_steps,
                                               .adapts_local_steps = how.most_local_steps > 0,
                                               .run = welcome.run});
    open_status_ = trainer.status();
    if (trainer.ok()) {
      trainer_ = std::move(trainer).value();
      loop_.Post([this, welcome, spec] { Opened(welcome, spec); });
    } else {
      // What this device cannot compute now it will not compute later either.
      loop_.Post([this, status = open_status_] {
        Do(worker_.Leave(base::SystemClock().Now(), status.message(), status));
      });
    }
  });
}

void WorkerHost::Do(const cluster::ReadAhead& ahead) {
  math_.Post([this, lease = ahead.lease] {
    if (trainer_ != nullptr) trainer_->ReadAhead(lease);
  });
}

void WorkerHost::Do(const cluster::Compute& compute) {
  arrivals_ = std::make_shared<Arrivals>(compute.pieces.size());
  math_.Post([this, compute, arrivals = arrivals_] {
    const Status ready = trainer_ == nullptr ? open_status_ : trainer_->CheckSamples(compute.lease);
    if (!ready.ok()) {
      loop_.Post([this, ready] { Do(worker_.OnCannotCompute(base::SystemClock().Now(), ready)); });
      return;
    }
    const auto on_part = [this](const cluster::Range& range, cluster::Payload packet,
                                double loss_sum, int64_t correct) {
      loop_.Post([=, this, packet = std::move(packet)] {
        Do(worker_.OnPart(base::SystemClock().Now(), range, packet, loss_sum, correct));
      });
    };
    const auto await = [arrivals](size_t piece) { return arrivals->Wait(piece); };
    auto update = trainer_->Compute(compute, {.on_part = on_part, .await = await});
    loop_.Post([this, update = std::move(update)] { Computed(update); });
  });
}

void WorkerHost::Computed(const Result<cluster::Worker::Update>& update) {
  const TimePoint now = base::SystemClock().Now();
  if (update.ok()) return Do(worker_.OnComputed(now, *update));
  const bool gave_up = update.status().code() == Code::kCancelled;
  Do(gave_up ? worker_.OnCannotCompute(now, update.status())
             : worker_.OnFault(now, update.status()));
}

void WorkerHost::Do(const cluster::HandPiece& hand) { arrivals_->Put(hand.piece, hand.values); }
void WorkerHost::Do(const cluster::GiveUp&) { arrivals_->End(); }

void WorkerHost::Do(const cluster::Settled& settled) {
  math_.Post([this, settled] {
    if (trainer_ != nullptr) trainer_->Settle(settled);
  });
}

// Behind the opening of the data set, and behind a lease that is being computed.
void WorkerHost::Do(const cluster::KeepSamples& keep) {
  math_.Post([this, keep] {
    const Status kept = trainer_ == nullptr ? open_status_ : trainer_->Keep(keep);
    if (!kept.ok()) base::LogWarning("samples not kept: {}", kept.message());
  });
}

void WorkerHost::Do(const cluster::DropSamples& drop) {
  math_.Post([this, drop] {
    if (trainer_ != nullptr) trainer_->Drop(drop);
  });
}

void WorkerHost::Do(const cluster::Emit& emit) {
  if (options_.on_event) options_.on_event(emit.event);
}

void WorkerHost::Do(const cluster::Stop& stop) {
  status_ = stop.status;
  loop_.Stop();
}

}  // namespace weft::app
