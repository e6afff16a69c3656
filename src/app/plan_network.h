#pragma once
// What a network makes of a plan: for 1, 2, 4, ... equal devices and a leader behind links, what a
// step takes and how much faster than one device they train (plan/scaling.h), with dense updates,
// with those of the job's codec, and with what the link plan chooses (plan/link_plan.h).

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "codec/codec.h"
#include "model/graph.h"
#include "plan/device_profile.h"
#include "plan/link_plan.h"
#include "plan/scaling.h"
#include "sim/options.h"

namespace weft::app {

// "UP/DOWN,LATENCY", such as "2Mbit/s/10Mbit/s,20ms" or "10Mbit/s" for both ways; rates as in
// scenarios, latency one way and as theirs if left out. Errors: kInvalidArgument.
Result<sim::LinkOptions> ParseLink(std::string_view text);

struct NetworkTask {
  const model::Graph* graph = nullptr;
  int64_t batch = 0;
  std::vector<codec::Tensor> tensors;  // of the parameters
  codec::CodecOptions up, down;        // of the job
  int64_t local_steps = 1;             // of the job
  plan::LinkLimits limits;             // what "auto" may choose from
  // The kinds of devices, and what a step of the whole batch takes on each if it trains alone.
  std::span<const plan::DeviceProfile* const> profiles;
  std::span<const double> alone_seconds;
  int64_t count = 1;  // at most, of each kind
  // Each device computes as many samples as the batch has (weak scaling). Otherwise they share it.
  bool batch_each = false;
  sim::LinkOptions link;    // of each device
  sim::LinkOptions leader;  // of the leader; rates of 0: no limit
};

// With one codec.
struct NetworkWay {
  std::string codec;
  int64_t local_steps = 1;
  double up_bytes = 0, down_bytes = 0;  // of a device, in one exchange
  plan::Scaling scaling;
  // Of "auto": what it sends.
  codec::Target target;
  std::string words;
};

struct NetworkRow {
  int64_t devices = 0;
  int64_t samples = 0;         // of a step
  double compute_seconds = 0;  // of a step, of the slowest device
  std::vector<NetworkWay> ways;
};

// For 1, 2, 4, ... devices of each kind, up to the count. Processor times are the simulator's
// (app/sim_costs.h). Errors: kInvalidArgument for an unknown codec; those of plan::Compile.
Result<std::vector<NetworkRow>> PredictNetwork(const NetworkTask& task);

// A table, and a line of JSON for each row.
std::string NetworkText(const NetworkTask& task, std::span<const NetworkRow> rows);
nlohmann::ordered_json NetworkJson(const NetworkRow& row);

}  // namespace weft::app
