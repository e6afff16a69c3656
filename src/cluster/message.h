#pragma once
// The messages of a run, as plain values. The state machines of this room exchange them; net/
// carries them over gRPC and sim/ over a modelled network, both without looking inside.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"

namespace weft::cluster {

using DeviceId = uint32_t;  // given by the coordinator, from 1; never reused within a run
inline constexpr DeviceId kCoordinatorDevice = 0;

enum class Role : uint8_t { kCoordinator = 0, kLeader = 1, kWorker = 2 };

// Where a message goes: a role on a device. The coordinator's process routes between devices, which
// only dial out.
struct Address {
  DeviceId device = kCoordinatorDevice;
  Role role = Role::kCoordinator;
  auto operator<=>(const Address&) const = default;
};

// Tensor bytes, shared between the messages that carry them (a broadcast holds one copy).
using Payload = std::shared_ptr<const Bytes>;

// A range of an epoch's order, given to one device for one step. The unit of the ledger.
struct Lease {
  uint64_t id = 0;   // unique within the run: (step * 2^20 + slot) + 1
  int64_t step = 0;  // global step, from 0
  int64_t epoch = 0;
  int64_t slot = 0;   // which part of the step's batch
  int64_t begin = 0;  // position in the epoch's order
  int64_t count = 0;  // samples
  bool operator==(const Lease&) const = default;
};

// ---- a device and the coordinator

// Worker -> coordinator, first on every connection.
struct Hello {
  std::string name;          // for people; unique names are made by appending "-2", ...
  uint64_t incarnation = 0;  // random per process start
  std::string token;
  std::string program;  // "weft 0.1.0"
  int64_t cores = 0;
  int64_t memory_bytes = 0;
  DeviceId device = 0;  // the id it had before a reconnect, or 0
};

// Coordinator -> worker: admitted.
struct Welcome {
  DeviceId device = 0;
  uint64_t term = 0;  // fencing number: one more at each start of a coordinator
  std::string run;    // id of the run
  std::string job;  // the whole job as JSON; the worker opens its data and builds its model from it
  std::string
      model;  // the model file's text (TOML or JSON), so that a worker needs no file of its own
  Address leader;  // who aggregates (one leader with the whole range, for now)
  int64_t heartbeat_ms = 500;
  // A side that has heard nothing for so long takes the connection for lost; 0: the coordinator
  // does not answer heartbeats, so its silence says nothing.
  int64_t device_timeout_ms = 0;
};

// Coordinator -> worker: not admitted, or no longer; `retry` says if trying again can help.
struct Refuse {
  int32_t code = 0;  // base::Code
  std::string reason;
  bool retry = false;
};

struct Heartbeat {
  uint64_t term = 0;
  double samples_per_second = 0;
  double loss = 0;
  // What the worker knows of, so that the coordinator notices a grant that did not come: the newest
  // step that it was granted something of (-1: none), and how many leases of it wait, are being
  // computed or are pushed. -1 leases: it does not say.
  int64_t step = -1;
  int64_t leases = -1;
};

// Coordinator -> worker: the answer to each Heartbeat, so that the worker notices a way that is cut
// in one direction.
struct HeartbeatAck {
  uint64_t term = 0;
};

// Coordinator -> worker.
struct Grant {
  uint64_t term = 0;
  Lease lease;
  int64_t version = 0;  // parameters to compute with
  Lease next;  // a lease this device will probably get (count 0: none), to read its samples ahead
  bool again = false;  // was granted to it before, and nothing came: what it pushed it pushes again
};

// Worker -> coordinator: will not finish this lease (it leaves, or cannot read its data).
struct ReturnLease {
  uint64_t term = 0;
  Lease lease;
  std::string reason;
};

// Worker -> coordinator: something that stops the run, such as a NaN loss.
struct Fault {
  uint64_t term = 0;
  int64_t step = 0;
  int32_t code = 0;  // base::Code
  std::string reason;
};

// Coordinator -> worker: the run is over (code 0) or failed.
struct Finished {
  uint64_t term = 0;
  int32_t code = 0;
  std::string reason;
};

// Worker -> coordinator: leaves on purpose.
struct Bye {
  std::string reason;
};

// ---- a worker and a leader

// Worker -> leader: the gradient of one lease. Kept by the worker until acknowledged. Without a
// gradient, once its step is over: the question what became of it.
struct Push {
  uint64_t term = 0;
  DeviceId device = 0;
  uint64_t incarnation = 0;
  uint64_t sequence = 0;  // per (device, incarnation), from 1
  Lease lease;
  int64_t version = 0;  // the parameters it was computed with
  double loss_sum = 0;
  int64_t correct = 0;
  Payload gradient;  // codec packet of the mean gradient over lease.count samples
};

// Leader -> worker. applied: the update is in the parameters of `version`; otherwise it was refused
// (stale term, lease already applied by another device) and may be forgotten.
struct PushAck {
  uint64_t term = 0;
  uint64_t sequence = 0;
  bool applied = false;
  int64_t version = 0;
};

// Worker -> leader: send parameters of at least this version as soon as they exist.
struct Pull {
  uint64_t term = 0;
  DeviceId device = 0;
  int64_t version = 0;
};

// Leader -> worker.
struct Parameters {
  uint64_t term = 0;
  int64_t version = 0;
  Payload values;  // codec packet of the whole range
};

// ---- the coordinator and a leader

// Coordinator -> leader: what a step consists of.
struct BeginStep {
  uint64_t term = 0;
  int64_t step = 0;
  int64_t epoch = 0;
  int64_t total_samples = 0;
  std::vector<Lease> leases;  // one a slot
  double lr = 0;
  bool checkpoint = false;  // save after this step
};

// Leader -> coordinator: the step is applied. The leases commit in this record, with their update.
struct Committed {
  uint64_t term = 0;
  int64_t step = 0;
  int64_t version = 0;            // after the step
  std::vector<Lease> leases;      // those in it
  std::vector<DeviceId> devices;  // who computed each of them
  double loss_sum = 0;
  int64_t correct = 0;
  int64_t samples = 0;
  double gradient_norm = 0;
  std::string problem;  // not empty: the update was not finite and was not applied
};

// Coordinator -> leader: which slots of the open step are not filled? Answered with Missing.
struct AskMissing {
  uint64_t term = 0;
  int64_t step = 0;
};

// Leader -> coordinator.
struct Missing {
  uint64_t term = 0;
  int64_t step = 0;
  std::vector<int64_t> slots;  // ascending
};

// Leader -> coordinator.
struct CheckpointDone {
  uint64_t term = 0;
  int64_t step = 0;  // the next step to run from it
  std::string path;
  std::string problem;  // not empty: it failed; the last one still stands
};

using Message = std::variant<Hello, Welcome, Refuse, Heartbeat, Grant, ReturnLease, Fault, Finished,
                             Bye, Push, PushAck, Pull, Parameters, BeginStep, Committed,
                             CheckpointDone, HeartbeatAck, AskMissing, Missing>;

std::string_view MessageName(const Message& message);

struct Envelope {
  Address from;
  Address to;
  Message message;
};

}  // namespace weft::cluster
