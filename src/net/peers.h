#pragma once
// Peers: a device's lines to other devices, over sockets: those it dials, in the background, and
// those that are dialled to where it listens. Which device is at the other end, and who may speak,
// is for cluster/peer_lines.h.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "base/worker_thread.h"
#include "cluster/peer_lines.h"
#include "net/client.h"
#include "net/server.h"

namespace weft::net {

// What Peers tells its owner, on threads of gRPC's and its own: for one line one call at a time, in
// order. Hand it on and return, as for ConnectionHandler.
class PeersHandler {
 public:
  virtual ~PeersHandler() = default;
  // A line that was dialled is connected.
  virtual void OnOpen(uint64_t number) = 0;
  // A line that nobody has heard of before has been dialled by another device.
  virtual void OnMessage(cluster::PeerLine line, cluster::Envelope envelope) = 0;
  // The last call about a line. Also for one that could not be dialled.
  virtual void OnClosed(cluster::PeerLine line, Status status) = 0;
};

struct PeersOptions {
  std::string listen{};  // "HOST:PORT", port 0 for any free one; empty: it only dials
  // Of accepted lines; whoever comes beyond is refused.
  size_t max_connections = 1024;
  ConnectOptions connect{.connect_timeout = std::chrono::seconds(2)};
};

// Threads: any, but one at the end of its life.
class Peers {
 public:
  // `handler` must outlive it. Errors: those of Hub::Start.
  static Result<std::unique_ptr<Peers>> Start(const PeersOptions& options, PeersHandler* handler);
  // Drops all lines. When it returns, the last call to the handler has.
  ~Peers();

  // The port it listens at; 0 if it does not.
  int port() const;

  // Dials "HOST:PORT" and returns at once. `number`: never given before.
  void Dial(uint64_t number, const std::string& endpoint);
  // Errors: as Connection::Send and Hub::Send; kNotFound for a line that is not open.
  Status Send(cluster::PeerLine line, const cluster::Envelope& envelope);
  // Ends a line once all that was queued for it is sent.
  void Close(cluster::PeerLine line);
  // Ends it at once, as for a peer that does not keep up; OnClosed follows.
  void Drop(cluster::PeerLine line, const Status& reason);

 private:
  class Dialed;
  class Accepted;
  // A peer that is slow to answer holds up only those that share its thread.
  static constexpr size_t kThreads = 4;

  Peers(const PeersOptions& options, PeersHandler* handler);
  void Connect(uint64_t number, const std::string& endpoint);
  std::shared_ptr<Dialed> Find(uint64_t number);
  std::shared_ptr<Dialed> TakeOut(uint64_t number);
  void Ended(uint64_t number, Status status);
  base::WorkerThread& ThreadOf(uint64_t number) { return threads_[number % kThreads]; }

  const PeersOptions options_;
  PeersHandler* const handler_;
  std::unique_ptr<Accepted> accepted_;
  std::unique_ptr<Hub> hub_;  // null if it does not listen
  std::mutex mutex_;
  bool stopping_ = false;
  std::map<uint64_t, std::shared_ptr<Dialed>> dialed_;
  // Dial, and end connections: neither may be done on gRPC's threads.
  std::array<base::WorkerThread, kThreads> threads_;
};

}  // namespace weft::net
