#pragma once
// Options: what a simulated cluster is made of and what befalls it: devices, links, the hub, and
// every fault, each with the seed's luck. Plain values; config/scenario.h reads them from a file.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace weft::sim {

// A process's way into the network, or a medium that several share. What TCP makes of a link is
// modelled (network.h): lost and reordered packets cost time, doubled ones cost bandwidth.
struct LinkOptions {
  double up_bps = 0;         // bits a second, out of the device; 0: without limit
  double down_bps = 0;       // into it
  bool half_duplex = false;  // both ways share up_bps; down_bps must be equal or 0
  std::string segment;       // the shared medium behind it, by name; empty: none
  Duration latency = std::chrono::microseconds(100);  // one way
  Duration jitter{};                                  // more, uniform between 0 and this
  double loss = 0;                                    // how probable it is, of a packet
  double duplication = 0;                             // likewise
  double reordering = 0;                              // likewise
  bool operator==(const LinkOptions&) const = default;
};

struct SegmentOptions {
  std::string name;
  LinkOptions link;      // its `segment` is unused; up: away from the devices
  bool gateway = false;  // what stays within does not pass it
  bool operator==(const SegmentOptions&) const = default;
};

// A value over a number of samples, linear between points and beyond the last two.
struct Curve {
  std::vector<std::pair<int64_t, double>> points;  // by samples, rising; empty: 0
  double At(int64_t samples) const;
  bool operator==(const Curve&) const = default;
};

// When a device is switched on.
struct AvailabilityOptions {
  enum class Kind {
    kAlways,
    kExponential,  // up and down times without memory; up at the start
    kDiurnal,      // the same, with the mean down time following the hour of a 24 h day
    kTrace,        // the stretches below
  };
  Kind kind = Kind::kAlways;
  Duration mean_up{};
  Duration mean_down{};
  // Diurnal: the share of devices that are on moves as a cosine between these, highest at `peak`
  // of virtual day time; how long they are off each time follows from it and mean_up.
  double least_share = 0.2;
  double most_share = 0.9;
  Duration peak = std::chrono::hours(2);
  std::vector<std::pair<Duration, Duration>> up;  // trace: from, until; rising, without overlap
  bool operator==(const AvailabilityOptions&) const = default;
};

// Episodes in which a device computes at `factor` of its speed.
struct SlowdownOptions {
  Duration mean_wait{};  // 0: never
  Duration mean_length{};
  double factor = 0.5;
  bool operator==(const SlowdownOptions&) const = default;
};

// Processor time of a process for leading, in seconds at speed 1; of updates and parameters, that
// of the whole vector: a range costs its share.
struct LeaderOptions {
  double message_seconds = 0;  // for any message
  double push_seconds = 0;     // more to decode an update and add it up
  double apply_seconds = 0;    // more for the one that completes a step: optimizer and encoding
  double send_seconds = 0;     // more for each set of parameters sent
  bool operator==(const LeaderOptions&) const = default;
};

struct DeviceOptions {
  std::string name;
  double speed = 1;  // of the device that `step_seconds` was predicted for
  double load = 0;   // share of the processor that other programs take
  int64_t cores = 1;
  int64_t memory_bytes = 0;   // 0: without limit
  int64_t storage_bytes = 0;  // for samples that the store feeds; 0: without limit
  Curve step_seconds;         // to compute a lease, by its samples
  Curve step_bytes;           // memory for it; more than memory_bytes: it cannot
  double lease_seconds = 0;   // more for each lease: unpacking parameters, packing the gradient
  double start_seconds = 0;   // from power to the first dial, at speed 1, as all of these
  double open_seconds = 0;    // from being admitted to the first lease: data and model
  double warmup_seconds = 0;  // more for a process's first lease: its plan and kernels are made
  double plan_seconds = 0;    // more for a lease of a size that is new to it
  double spread = 0;          // a lease takes 1 +- so much of that, uniform
  SlowdownOptions slowdown;
  // Other devices can dial it, so it may lead ranges of the parameters.
  bool can_lead = true;
  std::string site;       // where it stands, as it says; empty: it does not
  LeaderOptions leading;  // beside computing, which it does not slow down
  AvailabilityOptions availability;
  LinkOptions link;
  bool operator==(const DeviceOptions&) const = default;
};

// The process of coordinator and leader, which handles one message after another.
struct HubOptions {
  LinkOptions link;
  // As LeaderOptions, of this processor.
  double message_seconds = 0;
  double push_seconds = 0;
  double apply_seconds = 0;
  double send_seconds = 0;
  Duration local_delay{};                      // most that a message between its two machines takes
  Duration restart = std::chrono::seconds(1);  // from a crash to the next start, at least
  bool operator==(const HubOptions&) const = default;
};

// Sizes on the wire. In cost mode the machines carry few numbers where the model has many, and the
// network is told what they would have been. Bytes are those of the whole vector: a message that
// carries a range of it has the range's share.
struct WireOptions {
  int64_t values = 0;            // of the vector, as ranges count them; 0: each message has it all
  int64_t push_bytes = 0;        // payload of an update; 0: its real size
  int64_t parameters_bytes = 0;  // payload of the parameters, or of a delta; 0: their real size
  int64_t replica_bytes = 0;     // what a leader sends its standby for a step; 0: its real size
  int64_t state_bytes = 0;       // of the parameters with the optimizer's memory; 0: its real size
  int64_t sample_bytes = 0;      // of each fed sample; 0: its real size
  // A payload passes a link in so many pieces at most. Fewer are faster to simulate, more share a
  // link more finely.
  int64_t most_pieces = 16;
  // As NetworkOptions::unfairness; the default makes lab/ and simulator agree where a link is
  // saturated.
  double unfairness = 0.5;
  bool operator==(const WireOptions&) const = default;
};

// When within a lease's computing time a stretch of the parameters is first read, and when its
// gradient is final, as shares of that time.
struct StretchTime {
  int64_t begin = 0;
  int64_t count = 0;
  double read_at = 0;
  double final_at = 1;
  bool operator==(const StretchTime&) const = default;
};

// What goes wrong by chance. Waits are means of exponential ones over the whole cluster; nothing:
// never. After `until` of virtual time all is quiet.
struct FaultOptions {
  std::optional<Duration> break_connection;
  double silent_break = 0.3;            // how probable it is that the hub is not told of it
  std::optional<Duration> kill_device;  // another process is started in its place
  std::optional<Duration> kill_hub;     // it is started again from its disk
  std::optional<Duration> join_device;
  std::optional<Duration> leave_device;
  Duration most_down = std::chrono::milliseconds(500);  // before a replacement starts
  // How probable it is that a process dies while it handles a message or an alarm: before what it
  // decided has left it, or between two of the things it wanted to do.
  double crash_device = 0;
  double crash_hub = 0;
  // Of a device's link, drawn at random, for an exponential time of mean `partition_length`.
  std::optional<Duration> partition;  // nothing passes
  double one_way = 0.3;               // or only one way is cut, so probable is it
  Duration partition_length = std::chrono::seconds(1);
  std::optional<Duration> clog;  // the link passes a thousandth
  Duration clog_length = std::chrono::seconds(1);
  // Of messages within a connection, beyond what TCP does.
  double repeat_message = 0;   // it comes twice, the second time later
  double reorder_message = 0;  // one with a payload is overtaken by later ones
  // Of each write to the hub's disk.
  double disk_full = 0;   // ENOSPC
  double disk_error = 0;  // EIO
  double torn_write = 0;  // of a crash while a file is written: half of it stands there
  Duration disk_write_time = std::chrono::milliseconds(20);
  double unreadable_data = 0;  // of a device: it can compute nothing
  Duration until = std::chrono::hours(24 * 365);

  // Whether anything goes wrong by chance.
  bool any() const;
  bool operator==(const FaultOptions&) const = default;
};

// At a set time, instead of by chance. `device`: by name; empty: the hub.
struct ScheduledEvent {
  enum class Kind { kKill, kStart, kLeave, kCut, kCutUp, kCutDown, kHeal, kClog, kUnclog };
  Duration at{};
  Kind kind = Kind::kKill;
  std::string device;
  bool operator==(const ScheduledEvent&) const = default;
};

}  // namespace weft::sim
