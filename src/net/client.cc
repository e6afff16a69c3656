#include "net/client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>

#include <condition_variable>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "net/address.h"
#include "net/session.h"
#include "net/transport.h"
#include "proto/weft.grpc.pb.h"

namespace weft::net {
namespace {

using ClientEnd = Session<grpc::ClientBidiReactor<v1::Frame, v1::Frame>>;

// gRPC wraps the cause in layers, "failed to connect to all addresses; last error: ...: cause".
std::string Cause(const std::string& message) {
  const size_t colon = message.rfind(": ");
  return colon == std::string::npos ? message : message.substr(colon + 2);
}

Status ExplainDialFailure(const std::string& peer, const Status& status) {
  base::LogDebug("dial {}: {}", peer, status.ToString());
  switch (status.code()) {
    case Code::kUnavailable:
      return base::Unavailable("cannot reach " + peer + ": " + Cause(status.message()) +
                               "; is `weft up` running there?");
    case Code::kUnimplemented:
      return base::FailedPrecondition(peer + " speaks gRPC but not weft.v1; is it `weft up`?");
    default:
      return status.Annotate(peer);
  }
}

}  // namespace

class Connection::ClientSession final : public ClientEnd {
 public:
  ClientSession(std::shared_ptr<grpc::Channel> channel, std::string peer,
                const SessionOptions& options, ConnectionHandler* handler)
      : ClientEnd(options),
        peer_(std::move(peer)),
        stub_(v1::Weft::NewStub(std::move(channel))),
        handler_(handler) {}

  // Opens the call. On an error the handler was and will not be called.
  Status Start(Duration timeout) {
    stub_->async()->Session(&context_, this);
    AddHold();  // until EndCall: Send may write at any time
    ReadFirst();
    StartCall();
    std::unique_lock lock(phase_mutex_);
    changed_.wait_for(lock, timeout, [&] { return connected_ || done_; });
    if (connected_) return OkStatus();
    if (!done_) {
      abandoned_ = true;
      lock.unlock();
      Drop(base::Unavailable("no answer within " + base::HumanDuration(base::Seconds(timeout))));
      lock.lock();
      changed_.wait(lock, [&] { return done_; });
    }
    return status_;
  }

  void AwaitDone() {
    std::unique_lock lock(phase_mutex_);
    changed_.wait(lock, [&] { return done_; });
  }

  // False if it is not done within `timeout`.
  bool AwaitDone(Duration timeout) {
    std::unique_lock lock(phase_mutex_);
    return changed_.wait_for(lock, timeout, [&] { return done_; });
  }

 private:
  void OnReadInitialMetadataDone(bool ok) override {
    if (ok && context_.GetServerInitialMetadata().count(kAcceptedKey) > 0) NoteConnected();
  }

  void Deliver(cluster::Envelope envelope) override {
    if (NoteConnected()) handler_->OnMessage(std::move(envelope));
  }

  void NotePart() override {
    if (NotedConnected()) handler_->OnPart();
  }

  void NoteTransfer(const Transfer& transfer) override {
    if (NotedConnected()) handler_->OnTransfer(transfer);
  }

  void Cancel(bool /*stuck*/) override { context_.TryCancel(); }

  void EndCall(bool healthy) override {
    if (healthy) StartWritesDone();
    RemoveHold();
  }

  // What the other side still says is heard until it ends the call.
  bool ReadsAfterEnd() const override { return true; }

  void OnDone(const grpc::Status& grpc_status) override {
    Status status = Reason();
    if (status.ok()) status = FromGrpc(grpc_status);
    if (NotedConnected()) handler_->OnDisconnect(status.Annotate(peer_));
    const std::lock_guard lock(phase_mutex_);
    status_ = std::move(status);
    done_ = true;
    changed_.notify_all();  // with the lock: once it is free, this object may go
  }

  Status Reason() {
    const std::lock_guard lock(mutex_);
    return reason_;
  }

  // False if whoever waited for the connection has given up.
  bool NoteConnected() {
    const std::lock_guard lock(phase_mutex_);
    if (abandoned_) return false;
    connected_ = true;
    changed_.notify_all();
    return true;
  }

  bool NotedConnected() {
    const std::lock_guard lock(phase_mutex_);
    return connected_;
  }

  const std::string peer_;
  const std::unique_ptr<v1::Weft::Stub> stub_;
  ConnectionHandler* const handler_;
  grpc::ClientContext context_;

  std::mutex phase_mutex_;
  std::condition_variable changed_;
  bool connected_ = false;  // the other side has accepted
  bool abandoned_ = false;  // it took too long
  bool done_ = false;       // gRPC has made its last call
  Status status_;           // how it ended, once done_
};

Result<std::unique_ptr<Connection>> Connection::Dial(const std::string& address,
                                                     const ConnectOptions& options,
                                                     ConnectionHandler* handler) {
  ASSIGN_OR_RETURN(const HostPort parsed, ParseHostPort("address", address, /*want_port=*/true));
  RouteLibraryLogs();
  const std::string peer = parsed.ToString();
  return Open(
      grpc::CreateCustomChannel("dns:///" + peer, ClientSideCredentials(), ClientArguments()), peer,
      options, handler);
}

Result<std::unique_ptr<Connection>> Connection::Open(std::shared_ptr<grpc::Channel> channel,
                                                     const std::string& peer,
                                                     const ConnectOptions& options,
                                                     ConnectionHandler* handler) {
  auto session =
      std::make_unique<ClientSession>(std::move(channel), peer, options.session, handler);
  if (const Status status = session->Start(options.connect_timeout); !status.ok()) {
    return ExplainDialFailure(peer, status);
  }
  return std::unique_ptr<Connection>(new Connection(std::move(session)));
}

Connection::Connection(std::unique_ptr<ClientSession> session) : session_(std::move(session)) {}

Connection::~Connection() {
  session_->Drop({Code::kCancelled, "dropped by this side"});
  session_->AwaitDone();
}

Status Connection::Send(const cluster::Envelope& envelope) { return session_->Send(envelope); }

void Connection::Close(Duration grace) {
  session_->Close(OkStatus());
  if (session_->AwaitDone(grace)) return;
  session_->Drop({Code::kCancelled, "dropped by this side"});
  session_->AwaitDone();
}

}  // namespace weft::net
