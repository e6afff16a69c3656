#pragma once
// For the tests and benchmarks of this room: both ends of Sessions with queues to wait on.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/queue.h"
#include "net/client.h"
#include "net/server.h"
#include "net/testing_messages.h"

namespace weft::net::testing {

// Far beyond what anything here takes, so that only a hang meets it.
inline constexpr Duration kPatience = std::chrono::seconds(60);

template <class T>
T MustPop(base::BoundedQueue<T>* queue) {
  std::optional<T> value = queue->PopFor(kPatience);
  CHECK(value.has_value()) << "waited in vain";
  return *std::move(value);
}

struct FromConnection {
  uint64_t connection = 0;
  cluster::Envelope envelope;
};
struct Gone {
  uint64_t connection = 0;
  Status status;
};

// Keeps what the hub reports; `on_message` sees a message first.
class HubInbox : public HubHandler {
 public:
  void OnMessage(uint64_t connection, cluster::Envelope envelope) override {
    if (on_message) on_message(connection, envelope);
    messages.Push({connection, std::move(envelope)});
  }
  void OnDisconnect(uint64_t connection, Status status) override {
    gone.Push({connection, std::move(status)});
  }

  std::function<void(uint64_t, const cluster::Envelope&)> on_message;  // set before there is any
  base::BoundedQueue<FromConnection> messages{1 << 20};
  base::BoundedQueue<Gone> gone{1 << 20};
};

class Inbox : public ConnectionHandler {
 public:
  void OnMessage(cluster::Envelope envelope) override {
    if (on_message) on_message(envelope);
    messages.Push(std::move(envelope));
  }
  void OnTransfer(const Transfer& transfer) override { transfers.Push(transfer); }
  void OnDisconnect(Status status) override { gone.Push(std::move(status)); }

  std::function<void(const cluster::Envelope&)> on_message;
  base::BoundedQueue<Transfer> transfers{1 << 20};
  base::BoundedQueue<cluster::Envelope> messages{1 << 20};
  base::BoundedQueue<Status> gone{16};
};

inline cluster::Envelope Control(uint64_t term) { return Say(cluster::Heartbeat{.term = term}); }
inline uint64_t TermOf(const cluster::Envelope& envelope) {
  return std::get<cluster::Heartbeat>(envelope.message).term;
}
inline cluster::Envelope Bulk(cluster::Payload payload) {
  return Say(cluster::Parameters{.values = std::move(payload)});
}
inline const Bytes& PayloadBytes(const cluster::Envelope& envelope) {
  return *std::get<cluster::Parameters>(envelope.message).values;
}
// `bytes` bytes, no two neighbouring chunks alike.
inline cluster::Payload PatternPayload(size_t bytes) {
  Bytes payload(bytes);
  for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<uint8_t>(i * 7 + (i >> 16));
  return std::make_shared<const Bytes>(std::move(payload));
}

// Where connections go to: a hub over loopback or in this process.
enum class Wire { kInProcess, kTcp };

inline std::unique_ptr<Hub> StartHub(Wire wire, HubHandler* handler, HubOptions options = {}) {
  options.listen = wire == Wire::kTcp ? "127.0.0.1:0" : "";
  Result<std::unique_ptr<Hub>> hub = Hub::Start(options, handler);
  CHECK(hub.ok()) << hub.status().ToString();
  return std::move(hub).value();
}

inline Result<std::unique_ptr<Connection>> TryConnect(Wire wire, Hub* hub,
                                                      ConnectionHandler* handler,
                                                      const ConnectOptions& options = {}) {
  if (wire == Wire::kInProcess) return hub->Connect(options, handler);
  return Connection::Dial("127.0.0.1:" + std::to_string(hub->port()), options, handler);
}

inline std::unique_ptr<Connection> Connect(Wire wire, Hub* hub, ConnectionHandler* handler,
                                           const ConnectOptions& options = {}) {
  auto connection = TryConnect(wire, hub, handler, options);
  CHECK(connection.ok()) << connection.status().ToString();
  return std::move(connection).value();
}

}  // namespace weft::net::testing
