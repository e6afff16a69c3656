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

// The store feeds samples to workers that do not hold the data set; it stands beside the
// coordinator. A relay adds up the updates of the devices of its site (site_relay.h).
enum class Role : uint8_t { kCoordinator = 0, kLeader = 1, kWorker = 2, kStore = 3, kRelay = 4 };

// Where a message goes: a role on a device. The coordinator's process routes between devices, which
// only dial out.
struct Address {
  DeviceId device = kCoordinatorDevice;
  Role role = Role::kCoordinator;
  auto operator<=>(const Address&) const = default;
};

// Tensor bytes, shared between the messages that carry them (a broadcast holds one copy).
using Payload = std::shared_ptr<const Bytes>;

// A stretch of the flat parameter vector.
struct Range {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t end() const { return begin + count; }
  auto operator<=>(const Range&) const = default;
};

// Who leads which range. The parts are ascending and tile the vector. A layout with a higher number
// replaces an earlier one.
struct Layout {
  struct Part {
    Range range;
    Address leader;
    // Where other devices reach the leader's process, HOST:PORT; empty: through the coordinator's.
    std::string endpoint;
    // The device that applies whatever the leader applies, and takes over when it dies; 0: none.
    DeviceId standby = 0;
    std::string standby_endpoint;
    bool operator==(const Part&) const = default;
  };
  uint64_t number = 0;  // from 1
  std::vector<Part> parts;
  bool operator==(const Layout&) const = default;
};

// What a device knows of itself (profiler.h); 0 stands for what it does not know yet.
struct DeviceStats {
  double lease_seconds = 0;   // to compute a lease: this,
  double sample_seconds = 0;  // and so much for each sample
  double up_bytes_per_second = 0;
  double down_bytes_per_second = 0;
  double round_trip_seconds = 0;
  int64_t free_bytes = 0;    // of memory
  double other_load = 0;     // share of the processors that other programs take, 0..1
  double temperature = 0;    // degrees Celsius, of the hottest sensor
  int64_t changes = 0;       // times that its speed turned out to be another one
  int64_t stored_bytes = 0;  // samples held of what the store has fed
  int64_t leases = 0;        // computed so far; the last one:
  int64_t last_samples = 0;
  double last_seconds = 0;
  double plan_seconds = 0;  // more for a lease of a size that is new to it
  bool operator==(const DeviceStats&) const = default;
};

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
  // Where other devices can dial it, HOST:PORT; empty: nowhere, so it leads no range.
  std::string endpoint{};
  int64_t storage_bytes = 0;  // that it spares for samples the store feeds; 0: no limit
  std::string site{};         // where it stands, as its owner calls it; empty: not said
};

// Coordinator -> worker: admitted.
struct Welcome {
  DeviceId device = 0;
  uint64_t term = 0;  // fencing number: one more at each start of a coordinator
  std::string run;    // id of the run
  std::string job;  // the whole job as JSON; the worker opens its data and builds its model from it
  std::string
      model;      // the model file's text (TOML or JSON), so that a worker needs no file of its own
  Layout layout;  // who aggregates
  int64_t heartbeat_ms = 500;
  // A side that has heard nothing for so long takes the connection for lost; 0: the coordinator
  // does not answer heartbeats, so its silence says nothing.
  int64_t device_timeout_ms = 0;
  // Local placement: which part of the data set stands for this device's own data; -1: none.
  int64_t shard = -1;
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
  // version that it was granted something of (-1: none), and how many leases of it wait, are being
  // computed or are pushed. -1 leases: it does not say.
  int64_t version = -1;
  int64_t leases = -1;
  DeviceStats stats{};
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
  // In a stream (BeginStream): `version` is the least, the newest at hand are taken.
  bool newest = false;
  // What was granted for earlier steps stays wanted; otherwise a new version ends it.
  bool overlap = false;
  double lr = 0;  // of local steps; of a stream, handed on with the Push
  // So many leases of the step are at the device's site, to be pushed as one sum; 0: it goes by
  // itself.
  int64_t joint = 0;
  int64_t local_steps = 0;  // to make on its samples; 0: as the job says
  // How much of the update to send (codec::Target): share of the values, and what each becomes
  // (codec::ValueKind); density 0: as the job's codec does.
  double density = 0;
  uint8_t value_kind = 0;
};

// Worker -> coordinator: will not finish this lease (it leaves, or cannot read its data).
struct ReturnLease {
  uint64_t term = 0;
  Lease lease;
  std::string reason;
  // It could be computed, but a leader did not take the update.
  bool refused = false;
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

// Worker -> leader: a range of the gradient of one lease. Kept by the worker until acknowledged.
// Without a gradient, once its step is over: the question what became of it.
struct Push {
  uint64_t term = 0;
  DeviceId device = 0;
  uint64_t incarnation = 0;
  uint64_t sequence = 0;  // per (device, incarnation), from 1
  Lease lease;
  int64_t version = 0;  // the parameters it was computed with
  double loss_sum = 0;
  int64_t correct = 0;
  Payload
      gradient;  // codec packet of the mean gradient over lease.count samples, range.count values
  Range range{};
  double lr = 0;      // as granted
  int64_t joint = 0;  // likewise
};

// Leader -> worker. applied: the update is in the parameters of `version`; otherwise it was refused
// (stale term, lease already applied by another device) and may be forgotten.
struct PushAck {
  uint64_t term = 0;
  uint64_t sequence = 0;
  bool applied = false;
  int64_t version = 0;
  Range range{};
};

// Relay -> leader: the updates of several devices of a site, added up. It is taken whole or not at
// all: if the leader has one of them already, or the lease of one from another device, it asks for
// those that it does not have (PushAgain).
struct JointPush {
  uint64_t term = 0;
  Range range{};
  std::vector<Push> updates;  // without their gradients; of one version and one step
  Payload gradient;           // dense packet: the mean over all their samples, range.count values
};

// Leader or relay -> worker: what it pushed to the relay has not come; push it to the leader.
struct PushAgain {
  uint64_t term = 0;
  uint64_t sequence = 0;
};

// Worker -> leader: send parameters of at least this version as soon as they exist.
struct Pull {
  uint64_t term = 0;
  DeviceId device = 0;
  int64_t version = 0;
  Range range{};
  // What it holds of the range already, so that the difference will do: a version of this log of
  // its leader (delta_log.h). 0 and -1: nothing.
  uint64_t log = 0;
  int64_t base = -1;
  bool operator==(const Pull&) const = default;
};

// Leader -> worker.
struct Parameters {
  uint64_t term = 0;
  int64_t version = 0;
  Payload values;  // codec packet of the range, or deltas (delta_log.h)
  Range range{};
  uint64_t log = 0;   // that the version is of; 0: none
  int64_t base = -1;  // the version that the deltas are to be added to; -1: it is the whole range
};

// ---- the coordinator and a leader

// Coordinator -> leader: what a step consists of, for each range that it leads.
struct BeginStep {
  uint64_t term = 0;
  int64_t step = 0;
  int64_t epoch = 0;
  int64_t total_samples = 0;
  std::vector<Lease> leases;  // one a slot
  double lr = 0;
  bool checkpoint = false;  // save after this step
  Range range{};
  // Apply once so many samples have come (0: all of them). What is not in it is dealt anew; but
  // where another range has it, it belongs to the next step here, whose leases then name it again,
  // after its own.
  int64_t quorum_samples = 0;
  int64_t version = 0;  // that the step starts from
  double density = 0;   // of what is sent of the new version, as in Grant; so
  uint8_t value_kind = 0;
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
  Range range{};
};

// Coordinator -> leader: which slots of the open step are not filled? Answered with Missing.
struct AskMissing {
  uint64_t term = 0;
  int64_t step = 0;
  Range range{};
};

// Leader -> coordinator.
struct Missing {
  uint64_t term = 0;
  int64_t step = 0;
  std::vector<int64_t> slots;  // ascending
  Range range{};
};

// Leader -> coordinator.
struct CheckpointDone {
  uint64_t term = 0;
  int64_t step = 0;  // the next step to run from it
  std::string path;
  std::string problem;  // not empty: it failed; the last one still stands
};

// Coordinator -> leader: from now on each update is applied by itself (ssp, async), or as soon as
// enough have come (buffered); there is no open step.
struct BeginStream {
  uint64_t term = 0;
  Range range;
  uint8_t mode = 0;  // aggregate::Mode
  // That it begins with; its end has a later one. So what is said twice, or late, is known as such.
  int64_t step = 0;
};

// Coordinator -> leader: nothing more will come; apply what waits for others.
struct EndStream {
  uint64_t term = 0;
  Range range;
  bool checkpoint = false;  // save then
  int64_t step = 0;         // what a run that starts from that goes on with
};

// Leader -> coordinator: the stream is over.
struct StreamEnded {
  uint64_t term = 0;
  Range range;
  int64_t version = 0;
};

// ---- leaders among themselves

// Whose update is in a version.
struct Applied {
  DeviceId device = 0;
  uint64_t incarnation = 0;
  uint64_t sequence = 0;
  uint64_t lease = 0;  // its id
  bool operator==(const Applied&) const = default;
};

// Leader -> standby: a version to come to, from the one before. Updates are acknowledged, and
// their step is committed, once the standby has it too.
struct Replicate {
  uint64_t term = 0;
  uint64_t layout = 0;  // number
  Range range;
  Committed record;  // what the leader tells the coordinator then
  double lr = 0;
  double fraction = 1;  // of a batch (engine::Optimizer::Apply)
  std::vector<Applied> applied;
  Payload gradient;  // dense packet, as the optimizer gets it
  bool has_momentum = false;
};

// Standby -> leader.
struct Replicated {
  uint64_t term = 0;
  uint64_t layout = 0;
  Range range;
  int64_t version = 0;
};

// Coordinator -> the leaders and standbys of the layout that holds and of the next one, between
// steps: those that lead send each stretch to whoever is to hold it.
struct Reshape {
  uint64_t term = 0;
  Layout from;
  Layout to;
};

// What a leader knows of a stretch of the vector: to seat a leader or a standby, or for a
// checkpoint (then to the leader of the coordinator's process).
struct RangeState {
  uint64_t term = 0;
  uint64_t layout = 0;  // number of the one it is for; 0: a checkpoint
  Range range;
  int64_t step = 0;  // the next one
  int64_t version = 0;
  int64_t optimizer_steps = 0;
  std::vector<Applied> applied;  // that can still be asked about
  Payload values;                // range_state.h
};

// A leader or standby of the next layout has all of its range; coordinator: the layout holds once
// all have said so.
struct Seated {
  uint64_t term = 0;
  uint64_t layout = 0;
  Range range;
  int64_t version = 0;
  bool standby = false;
  std::string problem;  // not empty: it cannot
};

// Coordinator -> all: this layout holds. Of a leader that died its standby now leads, from the
// version it has.
struct Relayout {
  uint64_t term = 0;
  Layout layout;
};

// ---- sites

// Coordinator -> the devices of a site, and its relay: updates of steps and pulls of parameters go
// through the relay, but where a device of the site leads the range.
struct UseRelay {
  uint64_t term = 0;
  uint64_t number = 0;            // a later one replaces it
  DeviceId relay = 0;             // 0: everything goes straight
  std::string endpoint;           // where the others dial it
  std::vector<DeviceId> members;  // ascending, with the relay's own
};

// ---- a worker and the store

// Worker -> store.
struct AskSamples {
  uint64_t term = 0;
  uint64_t request = 0;
  std::vector<int64_t> indices;  // of the data set
};

// Store -> worker.
struct Samples {
  uint64_t term = 0;
  uint64_t request = 0;
  int64_t count = 0;
  std::string problem;  // not empty: it cannot read them
  Payload values;       // data/sample_packet.h
};

using Message = std::variant<Hello, Welcome, Refuse, Heartbeat, Grant, ReturnLease, Fault, Finished,
                             Bye, Push, PushAck, Pull, Parameters, BeginStep, Committed,
                             CheckpointDone, HeartbeatAck, AskMissing, Missing, BeginStream,
                             EndStream, StreamEnded, Replicate, Replicated, Reshape, RangeState,
                             Seated, Relayout, AskSamples, Samples, JointPush, PushAgain, UseRelay>;

std::string_view MessageName(const Message& message);

struct Envelope {
  Address from;
  Address to;
  Message message;
};

}  // namespace weft::cluster
