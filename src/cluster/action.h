#pragma once
// Actions: what a state machine asks of its host, to be done in order. The host is the event loop
// of a process (net) or of the simulator (sim).

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "cluster/event.h"
#include "cluster/held_parameters.h"
#include "cluster/message.h"
#include "cluster/snapshot.h"
#include "codec/codec.h"

namespace weft::cluster {

// A connection that a device has made; numbered by the coordinator's host, never reused.
using ConnectionId = uint64_t;

// Sends to a role on a device. A device without a connection: the message is dropped, its sender
// hears of the lost connection anyway.
struct Send {
  Address to;
  Message message;
};

// ---- a coordinator's

// Sends over a connection that has no device yet.
struct Reply {
  ConnectionId connection = 0;
  Message message;
};
// From now on this connection is `device`: what comes over it comes from there, what goes there
// goes over it.
struct Admit {
  ConnectionId connection = 0;
  DeviceId device = 0;
};
// Closes once what was sent has gone out; OnDisconnected is not called for it.
struct CloseConnection {
  ConnectionId connection = 0;
};

// The run cannot go on from what its devices hold: make coordinator and leader anew, from the last
// checkpoint, and close all connections. This one will do nothing more.
struct Restart {
  std::string reason;
};

// ---- a leader's

// Write it, then call Leader::OnCheckpointDone. It never changes again and may be written by
// another thread.
struct SaveCheckpoint {
  std::shared_ptr<const Snapshot> snapshot;
};

// ---- a worker's

// Dial the coordinator, then call Worker::OnConnected or OnDisconnected. An older connection is
// closed first.
struct Connect {};
// Close the connection once what was sent has gone out; OnDisconnected is not called for it.
struct Disconnect {};
// Admitted to a run it had not been in, or again after the coordinator began anew: open the data,
// build the model.
struct OpenRun {
  Welcome welcome;
};
// Read these samples soon.
struct ReadAhead {
  Lease lease;
};
// Compute the mean gradient of the lease with these parameters, encode each of `ranges` by itself,
// then call Worker::OnComputed, OnFault or OnCannotCompute. One at a time. A range that is ready
// before the others may be handed to Worker::OnPart at once. Pieces that are still on their way
// have no values: for each a HandPiece follows, or one GiveUp for all.
struct Compute {
  uint64_t term = 0;
  Lease lease;
  int64_t version = 0;
  std::vector<Piece> pieces;  // tile the vector
  std::vector<Range> ranges;  // likewise; one for each leader
  double lr = 0;              // of local steps
  // Its update is applied by itself: the device adds momentum of its own to the gradient
  // (engine/local_momentum.h).
  bool alone = false;
  int64_t local_steps = 0;                // on its samples; 0: as the job says
  std::optional<codec::Target> target{};  // how much of the update to send; nothing: as before

  // Of the parameters that an update of this range is computed with.
  int64_t VersionOf(const Range& range) const {
    const auto piece = std::ranges::find(pieces, range, &Piece::range);
    return alone && piece != pieces.end() ? piece->version : version;
  }
};
// A piece that the Compute which is out had no values for.
struct HandPiece {
  size_t piece = 0;
  Payload values;
};
// The pieces that the Compute which is out still lacks will not come, and its result is not wanted
// any more: where the math waits for one, end it with Worker::OnCannotCompute.
struct GiveUp {};
// The fate of an update of one range that was computed: tell the encoder (update_encoder.h).
struct Settled {
  uint64_t term = 0;
  Lease lease;
  bool applied = false;
  Range range{};
};
// From now on these leaders hold the parameters: their processes may be dialled.
struct UseLayout {
  Layout layout;
};

// Keep the samples of a packet (data/sample_packet.h), which are those of `indices`, in that order.
struct KeepSamples {
  std::vector<int64_t> indices;
  Payload values;
};
// Forget these samples. Those of a lease are kept until it is done.
struct DropSamples {
  std::vector<int64_t> indices;
};

// ---- a store's

// Read these samples of the data set into a packet, then call SampleStore::OnRead.
struct ReadSamples {
  Address to;  // who asks
  AskSamples request;
};

// ---- any machine's

struct Emit {
  Event event;
};
// The machine is done and will do nothing more: ok, or why it failed.
struct Stop {
  Status status;
};

using Action = std::variant<Send, Reply, Admit, CloseConnection, SaveCheckpoint, Connect,
                            Disconnect, OpenRun, ReadAhead, Compute, HandPiece, GiveUp, Settled,
                            UseLayout, Restart, Emit, Stop, KeepSamples, DropSamples, ReadSamples>;
using Actions = std::vector<Action>;

}  // namespace weft::cluster
