#pragma once
// Hub: the coordinator's end of all Sessions: takes connections at one port and from this process,
// numbers them and passes messages on. It knows no devices and no roles: which connection leads to
// which device is for its owner to keep.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cluster/message.h"
#include "net/client.h"
#include "net/options.h"

namespace weft::net {

// What a Hub tells its owner, on threads of gRPC's: for one connection one call at a time and in
// the order of arrival, for different ones at the same time. As with ConnectionHandler, hand the
// message on and return; while a call lasts, nothing more is read from that connection.
class HubHandler {
 public:
  virtual ~HubHandler() = default;
  virtual void OnMessage(uint64_t connection, cluster::Envelope envelope) = 0;
  // A part of a message has come, the rest is to come: a sign of life on a slow link.
  virtual void OnPart(uint64_t /*connection*/) {}
  // The last call about a connection, exactly once for each, also for one that never said anything.
  // `status` is ok if either side closed on purpose, kUnavailable if it was lost, else why it was
  // dropped or what was wrong with its bytes.
  virtual void OnDisconnect(uint64_t connection, Status status) = 0;
};

struct HubOptions {
  std::string listen{};  // "HOST:PORT", port 0 for any free one; empty: only from this process
  size_t max_connections = 4096;
  SessionOptions session{};
};

// What all connections of a hub have carried so far, with the headers of gRPC's messages and of
// HTTP/2's data frames.
struct HubTraffic {
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
};

// Threads: any, but one at the end of its life.
class Hub {
 public:
  // `handler` must outlive the hub.
  // Errors: kAlreadyExists: the port is in use; kPermissionDenied; kInvalidArgument: `listen` is
  // not an address, or not one of this machine.
  static Result<std::unique_ptr<Hub>> Start(const HubOptions& options, HubHandler* handler);

  // Drops what is left.
  ~Hub();

  // The port it listens at; 0 if it does not.
  int port() const;
  HubTraffic traffic() const;

  // A connection from this process, without a socket: otherwise like Connection::Dial.
  Result<std::unique_ptr<Connection>> Connect(const ConnectOptions& options,
                                              ConnectionHandler* handler);

  // Queues a message and returns at once. Messages without a payload overtake those with one; order
  // is kept within each of the two.
  // Errors: kNotFound: there is no such connection (any more); kUnavailable: it is ending;
  // kResourceExhausted: more waits than may, so the device does not keep up: drop it, or try later;
  // kInvalidArgument: the message does not fit the wire.
  Status Send(uint64_t connection, const cluster::Envelope& envelope);

  // Ends a connection once all that was queued for it is sent. A device that has stopped reading
  // can hold that up for ever: Drop does not wait. Either is a no-op for unknown numbers, and
  // OnDisconnect comes when the connection is gone; until then its messages may still come too.
  void Close(uint64_t connection);
  // Ends it at once; `reason` reaches OnDisconnect and, if it still listens, the device.
  void Drop(uint64_t connection, Status reason);

  // Waits until the devices have closed all connections, as those do who hear that the run is over;
  // false if some have not within `most`. To be called before Shutdown: a process that ends while
  // bytes for it are still unread takes back what it has sent, and a device on a slow link would
  // never hear the last words.
  bool AwaitDepartures(Duration most);

  // Refuses new connections and closes all there are with kUnavailable, waiting up to `grace` for
  // them to take what was queued; then drops them. When it returns, the last OnDisconnect has.
  void Shutdown(Duration grace);

 private:
  class Service;
  explicit Hub(std::unique_ptr<Service> service);

  std::unique_ptr<Service> service_;
};

}  // namespace weft::net
