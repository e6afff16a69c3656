#pragma once
// Connection: a device's one line to its coordinator, over TCP or to a Hub in this process, with
// the same code. It does not reconnect: when to try again is the worker's decision, and Dial is
// cheap.

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cluster/message.h"
#include "net/options.h"
#include "net/transfer.h"

namespace grpc {
class Channel;
}

namespace weft::net {

// What a Connection tells its owner, on threads of gRPC's: one call at a time for one connection,
// in the order of arrival. There are only a few such threads in the process, shared by all
// connections: hand the message on and return; never wait for another message, destroy the
// connection or Close it from here. While a call lasts nothing more is read and the peer has to
// wait: that is the way to slow it down.
class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;
  // May be called before Dial returns.
  virtual void OnMessage(cluster::Envelope envelope) = 0;
  // A part of a message has come, the rest is to come: a sign of life on a slow link.
  virtual void OnPart() {}
  // Part of a payload has passed, in one direction; may come at the same time as OnMessage, and
  // from both directions at the same time.
  virtual void OnTransfer(const Transfer& /*transfer*/) {}
  // The last call, exactly once for each connection that Dial returned. `status` is ok if either
  // side closed on purpose, kUnavailable if the other side went away, kCancelled if we dropped it,
  // else what was wrong with the bytes of one of us.
  virtual void OnDisconnect(Status status) = 0;
};

struct ConnectOptions {
  Duration connect_timeout = std::chrono::seconds(5);
  SessionOptions session{};
};

// Threads: any, but one at the end of its life.
class Connection {
 public:
  // Connects to "HOST:PORT" and opens a Session; blocks until the other side has accepted it, at
  // most connect_timeout. `handler` must live until OnDisconnect.
  // Errors: kUnavailable: nobody there, or no answer in time; kFailedPrecondition: it is not weft;
  // kResourceExhausted: it has too many connections; kInvalidArgument: not an address.
  static Result<std::unique_ptr<Connection>> Dial(const std::string& address,
                                                  const ConnectOptions& options,
                                                  ConnectionHandler* handler);

  // Drops what was not sent yet; OnDisconnect has returned when this does.
  ~Connection();

  // Queues a message and returns at once. Messages without a payload overtake those with one; order
  // is kept within each of the two.
  // Errors: kResourceExhausted: more waits than may (SessionOptions), so the peer does not keep up;
  // kInvalidArgument: the message does not fit the wire; kUnavailable: the connection has ended.
  Status Send(const cluster::Envelope& envelope);

  // Sends what waits and ends the connection, waiting up to `grace` for the other side to have
  // taken all of it; then drops it. OnDisconnect has returned when this does.
  void Close(Duration grace);

 private:
  friend class Hub;
  class ClientSession;

  static Result<std::unique_ptr<Connection>> Open(std::shared_ptr<grpc::Channel> channel,
                                                  const std::string& peer,
                                                  const ConnectOptions& options,
                                                  ConnectionHandler* handler);
  explicit Connection(std::unique_ptr<ClientSession> session);

  std::unique_ptr<ClientSession> session_;
};

}  // namespace weft::net
