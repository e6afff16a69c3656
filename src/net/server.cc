#include "net/server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "net/address.h"
#include "net/session.h"
#include "net/transport.h"
#include "proto/weft.grpc.pb.h"

namespace weft::net {
namespace {

using ServerEnd = Session<grpc::ServerBidiReactor<v1::Frame, v1::Frame>>;

Status ShuttingDown() { return base::Unavailable("the coordinator is shutting down"); }

// Ends a call that is not wanted.
class Refusal final : public grpc::ServerBidiReactor<v1::Frame, v1::Frame> {
 public:
  explicit Refusal(const Status& status) { Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

// What a session tells its hub.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  virtual void OnMessage(uint64_t connection, cluster::Envelope envelope) = 0;
  virtual void OnPart(uint64_t connection) = 0;
  virtual void OnFrame(bool up, uint64_t bytes) = 0;
  virtual void OnDone(uint64_t connection, Status status) = 0;
};

// The hub shares it with gRPC: gRPC's part is `self_`.
class ServerSession final : public ServerEnd {
 public:
  ServerSession(uint64_t number, grpc::CallbackServerContext* context,
                const SessionOptions& options, SessionOwner* owner)
      : ServerEnd(options), number_(number), context_(context), owner_(owner) {}

  // Accepts the call. Nothing is reported before the reactor is handed to gRPC.
  void Start(std::shared_ptr<ServerSession> self) {
    self_ = std::move(self);
    context_->AddInitialMetadata(kAcceptedKey, kAcceptedValue);
    StartSendInitialMetadata();
    ReadFirst();
  }

 private:
  void Deliver(cluster::Envelope envelope) override {
    owner_->OnMessage(number_, std::move(envelope));
  }

  void NotePart() override { owner_->OnPart(number_); }
  void NoteFrame(bool up, uint64_t bytes) override { owner_->OnFrame(up, bytes); }

  // Finish tells the peer why, but waits for the write under way; cancelling does neither.
  void Cancel(bool stuck) override {
    if (stuck && context_ != nullptr) context_->TryCancel();
  }

  void EndCall(bool /*healthy*/) override { Finish(ToGrpc(reason_)); }

  bool ReadsAfterEnd() const override { return false; }

  void OnDone() override {
    Status status;
    {
      const std::lock_guard lock(mutex_);
      status = reason_;
      if (status.ok() && context_->IsCancelled()) status = base::Unavailable("connection lost");
      context_ = nullptr;  // gRPC takes it back
    }
    const std::shared_ptr<ServerSession> self = std::move(self_);
    owner_->OnDone(number_, std::move(status));
  }

  const uint64_t number_;
  grpc::CallbackServerContext* context_;
  SessionOwner* const owner_;
  std::shared_ptr<ServerSession> self_;
};

}  // namespace

class Hub::Service final : public v1::Weft::CallbackService, public SessionOwner {
 public:
  Service(const HubOptions& options, HubHandler* handler) : options_(options), handler_(handler) {}

  Status Listen() {
    RouteLibraryLogs();
    grpc::ServerBuilder builder;
    ConfigureServer(&builder);
    builder.RegisterService(this);
    HostPort address;
    if (!options_.listen.empty()) {
      ASSIGN_OR_RETURN(address, ParseHostPort("listen", options_.listen, /*want_port=*/false));
      builder.AddListeningPort("dns:///" + address.ToString(), ServerSideCredentials(), &port_);
    }
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return ExplainListenFailure(address);
    return OkStatus();
  }

  int port() const { return port_; }
  HubTraffic traffic() const { return {.sent_bytes = sent_, .received_bytes = received_}; }
  // With the lock held, so that the server is not shut down meanwhile: gRPC 1.51 crashes on the
  // first call of an in-process channel to a server that is.
  Result<std::shared_ptr<grpc::Channel>> InProcessChannel() {
    const std::lock_guard lock(mutex_);
    if (stopping_) return ShuttingDown();
    return server_->InProcessChannel(ClientArguments());
  }

  std::shared_ptr<ServerSession> Find(uint64_t connection) {
    const std::lock_guard lock(mutex_);
    const auto it = sessions_.find(connection);
    return it == sessions_.end() ? nullptr : it->second;
  }

  bool AwaitDepartures(Duration most) {
    std::unique_lock lock(mutex_);
    return session_gone_.wait_for(lock, most, [&] { return live_ == 0; });
  }

  void Shutdown(Duration grace) {
    if (server_ == nullptr) return;
    const Status reason = ShuttingDown();
    for (const auto& session : StopAccepting()) session->Close(reason);
    {
      std::unique_lock lock(mutex_);
      session_gone_.wait_for(lock, grace, [&] { return live_ == 0; });
    }
    for (const auto& session : StopAccepting()) session->Drop(reason);
    server_->Shutdown(std::chrono::system_clock::now());
    std::unique_lock lock(mutex_);
    session_gone_.wait(lock, [&] { return live_ == 0; });
  }

 private:
  grpc::ServerBidiReactor<v1::Frame, v1::Frame>* Session(
      grpc::CallbackServerContext* context) override {
    const std::lock_guard lock(mutex_);
    if (stopping_) return new Refusal(ShuttingDown());
    if (sessions_.size() >= options_.max_connections) {
      return new Refusal(
          base::ResourceExhausted("the coordinator has as many connections as it "
                                  "takes: " +
                                  std::to_string(options_.max_connections)));
    }
    const uint64_t number = ++last_number_;
    auto session = std::make_shared<ServerSession>(number, context, options_.session, this);
    session->Start(session);
    sessions_.emplace(number, session);
    ++live_;
    return session.get();
  }

  void OnMessage(uint64_t connection, cluster::Envelope envelope) override {
    handler_->OnMessage(connection, std::move(envelope));
  }

  void OnPart(uint64_t connection) override { handler_->OnPart(connection); }
  void OnFrame(bool up, uint64_t bytes) override { (up ? sent_ : received_) += bytes; }

  void OnDone(uint64_t connection, Status status) override {
    {
      const std::lock_guard lock(mutex_);
      sessions_.erase(connection);
    }
    handler_->OnDisconnect(connection, std::move(status));
    const std::lock_guard lock(mutex_);
    --live_;
    session_gone_.notify_all();  // with the lock: once it is free, this object may go
  }

  // Returns the sessions there are; there will be no others.
  std::vector<std::shared_ptr<ServerSession>> StopAccepting() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    std::vector<std::shared_ptr<ServerSession>> sessions;
    for (const auto& [number, session] : sessions_) sessions.push_back(session);
    return sessions;
  }

  const HubOptions options_;
  HubHandler* const handler_;
  int port_ = 0;
  std::atomic<uint64_t> sent_{0};
  std::atomic<uint64_t> received_{0};

  std::mutex mutex_;
  std::condition_variable session_gone_;
  bool stopping_ = false;
  uint64_t last_number_ = 0;
  std::map<uint64_t, std::shared_ptr<ServerSession>> sessions_;
  size_t live_ = 0;  // sessions whose OnDisconnect has not returned

  std::unique_ptr<grpc::Server> server_;  // last: it stops first
};

Result<std::unique_ptr<Hub>> Hub::Start(const HubOptions& options, HubHandler* handler) {
  auto service = std::make_unique<Service>(options, handler);
  RETURN_IF_ERROR(service->Listen());
  return std::unique_ptr<Hub>(new Hub(std::move(service)));
}

Hub::Hub(std::unique_ptr<Service> service) : service_(std::move(service)) {}

Hub::~Hub() { Shutdown(Duration::zero()); }

int Hub::port() const { return service_->port(); }
HubTraffic Hub::traffic() const { return service_->traffic(); }

Result<std::unique_ptr<Connection>> Hub::Connect(const ConnectOptions& options,
                                                 ConnectionHandler* handler) {
  ASSIGN_OR_RETURN(auto channel, service_->InProcessChannel());
  return Connection::Open(std::move(channel), "this process", options, handler);
}

Status Hub::Send(uint64_t connection, const cluster::Envelope& envelope) {
  const auto session = service_->Find(connection);
  if (session == nullptr) {
    return base::NotFound("connection " + std::to_string(connection) + " is gone");
  }
  return session->Send(envelope);
}

void Hub::Close(uint64_t connection) {
  if (const auto session = service_->Find(connection)) session->Close(OkStatus());
}

void Hub::Drop(uint64_t connection, Status reason) {
  if (const auto session = service_->Find(connection)) session->Drop(std::move(reason));
}

bool Hub::AwaitDepartures(Duration most) { return service_->AwaitDepartures(most); }

void Hub::Shutdown(Duration grace) { service_->Shutdown(grace); }

}  // namespace weft::net
