#include "net/peers.h"

#include <utility>

namespace weft::net {
namespace {

constexpr Duration kCloseGrace = std::chrono::seconds(1);

}  // namespace

// One dialled line. Lives until its connection has ended, on a thread of Peers.
class Peers::Dialed : public ConnectionHandler {
 public:
  Dialed(Peers* peers, uint64_t number) : peers_(peers), number_(number) {}

  void OnMessage(cluster::Envelope envelope) override {
    peers_->handler_->OnMessage({true, number_}, std::move(envelope));
  }
  void OnDisconnect(Status status) override { peers_->Ended(number_, std::move(status)); }

  std::unique_ptr<Connection> connection;  // null while dialing; set with the lock of Peers held

 private:
  Peers* const peers_;
  const uint64_t number_;
};

class Peers::Accepted : public HubHandler {
 public:
  explicit Accepted(PeersHandler* handler) : handler_(handler) {}
  void OnMessage(uint64_t connection, cluster::Envelope envelope) override {
    handler_->OnMessage({false, connection}, std::move(envelope));
  }
  void OnDisconnect(uint64_t connection, Status status) override {
    handler_->OnClosed({false, connection}, std::move(status));
  }

 private:
  PeersHandler* const handler_;
};

Result<std::unique_ptr<Peers>> Peers::Start(const PeersOptions& options, PeersHandler* handler) {
  std::unique_ptr<Peers> peers(new Peers(options, handler));
  if (!options.listen.empty()) {
    HubOptions hub;
    hub.listen = options.listen;
    hub.max_connections = options.max_connections;
    hub.session = options.connect.session;
    ASSIGN_OR_RETURN(peers->hub_, Hub::Start(hub, peers->accepted_.get()));
  }
  return peers;
}

Peers::Peers(const PeersOptions& options, PeersHandler* handler)
    : options_(options), handler_(handler), accepted_(std::make_unique<Accepted>(handler)) {}

Peers::~Peers() {
  std::map<uint64_t, std::shared_ptr<Dialed>> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(dialed_);
  }
  if (hub_ != nullptr) hub_->Shutdown({});
  for (const auto& [number, line] : left) {
    if (line->connection != nullptr) line->connection->Close({});
  }
}

int Peers::port() const { return hub_ == nullptr ? 0 : hub_->port(); }

// ---- lines that this device dials

void Peers::Dial(uint64_t number, const std::string& endpoint) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    dialed_[number] = std::make_shared<Dialed>(this, number);
  }
  ThreadOf(number).Post([this, number, endpoint] { Connect(number, endpoint); });
}

void Peers::Connect(uint64_t number, const std::string& endpoint) {
  const std::shared_ptr<Dialed> line = Find(number);
  if (line == nullptr) return;  // closed meanwhile
  Result<std::unique_ptr<Connection>> connection =
      Connection::Dial(endpoint, options_.connect, line.get());
  if (!connection.ok()) {
    if (TakeOut(number) != nullptr) handler_->OnClosed({true, number}, connection.status());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (!dialed_.contains(number)) return;  // closed meanwhile; the connection is dropped
    line->connection = std::move(connection).value();
  }
  handler_->OnOpen(number);
}

std::shared_ptr<Peers::Dialed> Peers::Find(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto it = dialed_.find(number);
  return it == dialed_.end() ? nullptr : it->second;
}

std::shared_ptr<Peers::Dialed> Peers::TakeOut(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto it = dialed_.find(number);
  if (it == dialed_.end()) return nullptr;
  std::shared_ptr<Dialed> line = std::move(it->second);
  dialed_.erase(it);
  return line;
}

// On a thread of gRPC's, which must not destroy the connection.
void Peers::Ended(uint64_t number, Status status) {
  std::shared_ptr<Dialed> line = TakeOut(number);
  if (line == nullptr) return;  // closed on purpose
  ThreadOf(number).Post([line = std::move(line)] {});
  handler_->OnClosed({true, number}, std::move(status));
}

// ---- both kinds

Status Peers::Send(cluster::PeerLine line, const cluster::Envelope& envelope) {
  if (!line.dialed) {
    if (hub_ == nullptr) return NotFound("no line");
    return hub_->Send(line.number, envelope);
  }
  const std::lock_guard lock(mutex_);
  const auto it = dialed_.find(line.number);
  if (it == dialed_.end() || it->second->connection == nullptr) return NotFound("no line");
  return it->second->connection->Send(envelope);
}

void Peers::Close(cluster::PeerLine line) {
  if (!line.dialed) {
    if (hub_ != nullptr) hub_->Close(line.number);
    return;
  }
  std::shared_ptr<Dialed> dialed = TakeOut(line.number);
  if (dialed == nullptr) return;
  ThreadOf(line.number).Post([dialed = std::move(dialed)] {
    if (dialed->connection != nullptr) dialed->connection->Close(kCloseGrace);
  });
}

void Peers::Drop(cluster::PeerLine line, const Status& reason) {
  if (!line.dialed) {
    if (hub_ != nullptr) hub_->Drop(line.number, reason);
    return;
  }
  std::shared_ptr<Dialed> dialed = TakeOut(line.number);
  if (dialed == nullptr) return;
  ThreadOf(line.number)
      .Post([this, number = line.number, reason, dialed = std::move(dialed)]() mutable {
        dialed.reset();
        handler_->OnClosed({true, number}, reason);
      });
}

}  // namespace weft::net
