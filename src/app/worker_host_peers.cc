// What makes a worker's host one among devices: the leader beside the worker, and the lines between
// it and other devices.

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "app/worker_host.h"
#include "base/log.h"
#include "net/address.h"

namespace weft::app {
namespace {

using cluster::PeerLine;
using cluster::PeerLines;
using cluster::Role;

// For a leader that is not made yet; a layout is agreed on by a few messages, so more is nonsense.
constexpr size_t kMostAwaiting = 1024;

TimePoint Now() { return base::SystemClock().Now(); }

}  // namespace

// On threads of net/: hands over to the loop.
class WorkerHost::PeerInbox : public net::PeersHandler {
 public:
  explicit PeerInbox(WorkerHost* host) : host_(host) {}

  void OnOpen(uint64_t number) override {
    host_->loop_.Post([host = host_, number] { host->Do(host->peers_->OnOpen(Now(), number)); });
  }
  void OnMessage(PeerLine line, cluster::Envelope envelope) override {
    host_->loop_.Post([host = host_, line, envelope = std::move(envelope)] {
      host->Do(host->peers_->OnMessage(Now(), line, envelope));
      host->DeliverLocal();
    });
  }
  void OnClosed(PeerLine line, Status status) override {
    host_->loop_.Post([host = host_, line, status = std::move(status)] {
      const std::string reason = status.ok() ? "closed by the other device" : status.message();
      host->Do(host->peers_->OnClosed(Now(), line, reason));
      host->DeliverLocal();
    });
  }

 private:
  WorkerHost* host_;
};

WorkerHost::WorkerHost(WorkerHostOptions options)
    : options_(std::move(options)),
      worker_(options_.worker),
      inbox_(std::make_unique<PeerInbox>(this)) {}

WorkerHost::~WorkerHost() = default;

// Listens, where others are to dial this device.
Status WorkerHost::OpenLines() {
  cluster::PeerOptions options;
  options.name = options_.worker.name;
  options.token = options_.worker.token;
  options.program = options_.worker.program;
  options.incarnation = options_.worker.incarnation;
  if (!options_.listen.empty()) {
    ASSIGN_OR_RETURN(net::HostPort address, net::ParseHostPort("listen", options_.listen, false));
    ASSIGN_OR_RETURN(lines_, net::Peers::Start({.listen = options_.listen}, inbox_.get()));
    address.port = lines_->port();
    options.endpoint = address.ToString();
    base::LogInfo("other devices reach this one at {}", options.endpoint);
  }
  peers_ = std::make_unique<PeerLines>(std::move(options));
  return OkStatus();
}

// ---- in

void WorkerHost::HeardFromCoordinator(const cluster::Envelope& envelope) {
  Do(peers_->Note(envelope));
  Accept(envelope);
  DeliverLocal();
}

void WorkerHost::Accept(const cluster::Envelope& envelope) {
  const bool for_leader = envelope.to.role == Role::kLeader;
  if (for_leader || envelope.to.role == Role::kRelay) return Lead(envelope);
  Do(worker_.Handle(Now(), envelope.from, envelope.message));
}

void WorkerHost::Lead(const cluster::Envelope& envelope) {
  if (leader_ == nullptr) {
    if (!options_.listen.empty() && awaiting_leader_.size() < kMostAwaiting) {
      awaiting_leader_.push_back(envelope);
    }
    return;
  }
  if (envelope.to.role == Role::kRelay) {
    return DoFor(relay_->address(), relay_->Handle(Now(), envelope.from, envelope.message));
  }
  DoFor(leader_->address(), leader_->Handle(Now(), envelope.from, envelope.message));
}

// Of the leader or the relay.
void WorkerHost::DoFor(cluster::Address self, const cluster::Actions& actions) {
  for (const cluster::Action& action : actions) {
    if (const auto* send = std::get_if<cluster::Send>(&action)) {
      Send(self, *send);
    } else if (const auto* emit = std::get_if<cluster::Emit>(&action)) {
      Do(*emit);
    } else {
      CHECK(false) << "not an action of a device's leader or relay";
    }
  }
}

// Between worker, leader and relay, and from other devices: after what is being handled.
void WorkerHost::DeliverLocal() {
  if (std::exchange(delivering_, true)) return;
  while (!local_.empty()) {
    const cluster::Envelope next = std::move(local_.front());
    local_.pop_front();
    Accept(next);
  }
  delivering_ = false;
}

// The job of a Welcome is open.
void WorkerHost::Opened(const cluster::Welcome& welcome, const cluster::JobSpec& spec) {
  const bool newest = welcome.device == welcome_.device && welcome.term == welcome_.term;
  if (!newest) return;
  if (auto down = codec::MakeCodec(spec.codec_down); down.ok()) {
    worker_.UseCodec(std::move(down).value());
  }
  if (!options_.listen.empty()) MakeLeader(welcome, spec);
}

void WorkerHost::MakeLeader(const cluster::Welcome& welcome, const cluster::JobSpec& spec) {
  const cluster::Address self{welcome.device, Role::kLeader};
  auto leader = options_.make_leader ? options_.make_leader(spec, self)
                                     : cluster::Leader::MakeEmpty(spec, self);
  if (!leader.ok()) return base::LogWarning("cannot lead: {}", leader.status().message());
  auto relay = cluster::SiteRelay::Make(spec, {welcome.device, Role::kRelay});
  if (!relay.ok()) return base::LogWarning("cannot relay: {}", relay.status().message());
  leader_ = std::move(leader).value();
  relay_ = std::move(relay).value();
  for (cluster::Envelope& envelope : std::exchange(awaiting_leader_, {})) {
    local_.push_back(std::move(envelope));
  }
  DeliverLocal();
}

// ---- out

void WorkerHost::Send(cluster::Address from, const cluster::Send& send) {
  Do(peers_->Send(Now(), from, send));
}

void WorkerHost::Do(const PeerLines::Actions& actions) {
  for (const PeerLines::Action& action : actions) {
    std::visit([this](const auto& each) { Do(each); }, action);
  }
}

void WorkerHost::Do(const PeerLines::Dial& dial) {
  if (lines_ == nullptr) {  // it does not listen, so this cannot fail
    lines_ = net::Peers::Start({}, inbox_.get()).value();
  }
  lines_->Dial(dial.number, dial.endpoint);
}

void WorkerHost::Do(const PeerLines::Write& write) {
  const Status status = lines_->Send(write.line, write.envelope);
  if (status.ok()) return;
  base::LogDebug("{}: not sent: {}", cluster::MessageName(write.envelope.message),
                 status.message());
  if (status.code() == Code::kResourceExhausted) {
    lines_->Drop(write.line, status.Annotate("does not keep up"));
  }
}

void WorkerHost::Do(const PeerLines::Close& close) { lines_->Close(close.line); }

void WorkerHost::Do(const PeerLines::Deliver& deliver) { local_.push_back(deliver.envelope); }

void WorkerHost::Do(const PeerLines::Lost& lost) {
  TellRelayLost(lost.device);
  Do(worker_.OnPeerLost(Now(), lost.device));
}

void WorkerHost::TellRelayLost(cluster::DeviceId device) {
  if (relay_ != nullptr) DoFor(relay_->address(), relay_->OnLost(Now(), device));
}

}  // namespace weft::app
