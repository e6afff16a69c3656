#pragma once
// Costs: what a simulated device's lease and the coordinator's work take, in seconds and bytes:
// from a device profile, or from a time a sample, and from the model's size.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "cluster/job_spec.h"
#include "codec/codec.h"
#include "config/scenario.h"
#include "model/graph.h"
#include "plan/device_profile.h"
#include "sim/options.h"

namespace weft::app {

// Processor time of one core near 3 GHz; a coordinator's `speed` and a device's `speed` are against
// it. Those of the wire were measured in the lab (docs/results/simulator.md), the others estimated
// from what each piece of work reads and writes.
struct CostRates {
  double message_s = 20e-6;         // a small message through gRPC and a state machine
  double wire_s_per_byte = 0.5e-9;  // a payload through gRPC, at either end
  // More for each packet of it where some link has a limited rate: packets then come and go one by
  // one, each with its own wake-ups and calls.
  double packet_s = 11e-6;
  double pack_s_per_value = 1e-9;  // dense or half-precision codec with checksum, either way
  // Of all other codecs; decoding takes no longer than that of dense, as it reads less.
  double encode_s_per_value = 4e-9;
  double add_s_per_value = 0.5e-9;  // an update into the step's sum
  double apply_s_per_value = 2e-9;  // optimizer
  // Of a training process where no profile says it: memory beside its plan.
  double process_bytes = 64 << 20;
};
inline constexpr CostRates kCostRates;

// Of one update and of one answer with parameters on the wire, as they are expected
// (plan/update_size.h), and how long it takes to make them.
struct PayloadSize {
  int64_t values = 0;
  int64_t push_bytes = 0;
  int64_t parameters_bytes = 0;
  double push_encode_s_per_value = kCostRates.pack_s_per_value;
  double parameters_encode_s_per_value = kCostRates.pack_s_per_value;
};
// Errors: kInvalidArgument for codecs that MakeCodec refuses.
Result<PayloadSize> PayloadSizeOf(const codec::CodecOptions& up, const codec::CodecOptions& down,
                                  int64_t parameter_count);

// The coordinator's costs: what the scenario gives, the rest from the payload's size. `paced`: the
// rate of its link, or of some device's, is limited.
sim::HubOptions HubCosts(const config::CoordinatorOptions& coordinator, const PayloadSize& size,
                         bool paced);

// What leading costs a device, at speed 1. `paced`: as above.
sim::LeaderOptions LeadingCosts(const PayloadSize& size, bool paced);

// A device's time for a lease beside the math: unpacking the parameters, packing the gradient.
// `paced`: the rate of its link, or of the coordinator's, is limited.
double LeaseSeconds(const PayloadSize& size, bool paced);

// Sizes of leases, rising, at which to predict: from half of the least one that a step of `batch`
// samples over `parts` devices has, doubling up to the batch, at most 1024.
std::vector<int64_t> LeaseSizes(int64_t batch, int64_t parts);

// The same of whole vectors on the wire, and of what leaders on devices tell each other.
sim::WireOptions WireBytes(const PayloadSize& size, const cluster::JobSpec& spec);

// When within a lease of so many samples each stretch of the model's parameters is first read and
// its gradient final, by FLOPs (plan/gradient_times.h), as ranges of a vector of `cells` values
// that stands for the model's. At the edges of a cell stretches overlap.
// Errors: those of plan::StretchTimes.
Result<std::vector<sim::StretchTime>> StretchTimesOf(const model::Graph& graph, int64_t samples,
                                                     int64_t cells);

struct LeaseCurves {
  sim::Curve seconds;
  sim::Curve bytes;
};
// Predicted with the profile at each of `sizes` and scaled from its threads to `cores`.
// Errors: those of plan::Compile.
Result<LeaseCurves> PredictLeases(const model::Graph& graph, const plan::DeviceProfile& profile,
                                  std::span<const int64_t> sizes, int64_t cores,
                                  const PayloadSize& payload);

}  // namespace weft::app
