#include "app/sim_costs.h"

#include <algorithm>
#include <cmath>

#include "cluster/range_state.h"
#include "codec/codec.h"
#include "kernel/backend.h"
#include "plan/gradient_times.h"
#include "plan/predict.h"
#include "plan/update_size.h"

namespace weft::app {
namespace {

constexpr int64_t kMostPredicted = 1024;

double WireSeconds(int64_t bytes, bool paced) {
  constexpr double kPacketBytes = 1448;
  const double packets = paced ? static_cast<double>(bytes) / kPacketBytes : 0;
  return static_cast<double>(bytes) * kCostRates.wire_s_per_byte + packets * kCostRates.packet_s;
}

double EncodeSeconds(const codec::CodecOptions& options) {
  // "auto" is taken to send all: then it takes about as long as "dense".
  const bool plain = options.name == "dense" || options.name == "fp16" || options.name == "auto";
  return plain ? kCostRates.pack_s_per_value : kCostRates.encode_s_per_value;
}

}  // namespace

Result<PayloadSize> PayloadSizeOf(const codec::CodecOptions& up, const codec::CodecOptions& down,
                                  int64_t parameter_count) {
  RETURN_IF_ERROR(codec::MakeCodec(up).status());
  RETURN_IF_ERROR(codec::MakeCodec(down).status());
  return PayloadSize{.values = parameter_count,
                     .push_bytes = std::llround(plan::UpdateBytes(up, parameter_count)),
                     .parameters_bytes = std::llround(plan::UpdateBytes(down, parameter_count)),
                     .push_encode_s_per_value = EncodeSeconds(up),
                     .parameters_encode_s_per_value = EncodeSeconds(down)};
}

sim::HubOptions HubCosts(const config::CoordinatorOptions& coordinator, const PayloadSize& size,
                         bool paced) {
  const CostRates& rates = kCostRates;
  const auto values = static_cast<double>(size.values);
  const double push = WireSeconds(size.push_bytes, paced) +
                      values * (rates.pack_s_per_value + rates.add_s_per_value);
  const double apply = values * (rates.apply_s_per_value + size.parameters_encode_s_per_value);
  sim::HubOptions hub;
  hub.link = coordinator.link;
  hub.restart = coordinator.restart;
  hub.message_seconds = coordinator.message_seconds.value_or(rates.message_s) / coordinator.speed;
  hub.push_seconds = coordinator.push_seconds.value_or(push) / coordinator.speed;
  hub.apply_seconds = coordinator.apply_seconds.value_or(apply) / coordinator.speed;
  hub.send_seconds = coordinator.send_seconds.value_or(WireSeconds(size.parameters_bytes, paced)) /
                     coordinator.speed;
  return hub;
}

sim::LeaderOptions LeadingCosts(const PayloadSize& size, bool paced) {
  const sim::HubOptions hub = HubCosts({}, size, paced);
  return {.message_seconds = hub.message_seconds,
          .push_seconds = hub.push_seconds,
          .apply_seconds = hub.apply_seconds,
          .send_seconds = hub.send_seconds};
}

double LeaseSeconds(const PayloadSize& size, bool paced) {
  return WireSeconds(size.push_bytes + size.parameters_bytes, paced) +
         static_cast<double>(size.values) *
             (kCostRates.pack_s_per_value + size.push_encode_s_per_value);
}

sim::WireOptions WireBytes(const PayloadSize& size, const cluster::JobSpec& spec) {
  const auto values = static_cast<size_t>(size.values);
  const cluster::RangeShape shape = cluster::ShapeOf(spec, {0, size.values});
  const size_t state = shape.count + shape.moments * shape.trainable;
  sim::WireOptions wire;
  wire.push_bytes = size.push_bytes;
  wire.parameters_bytes = size.parameters_bytes;
  wire.replica_bytes = static_cast<int64_t>(codec::MakeCodec("dense").value()->MaxBytes(values));
  wire.state_bytes = static_cast<int64_t>(sizeof(float) * state);
  return wire;
}

Result<std::vector<sim::StretchTime>> StretchTimesOf(const model::Graph& graph, int64_t samples,
                                                     int64_t cells) {
  ASSIGN_OR_RETURN(const auto backend, kernel::MakeBackend("winograd", {.threads = 1}));
  ASSIGN_OR_RETURN(const std::vector<plan::StretchTime> stretches,
                   plan::StretchTimes(graph, backend.get(), samples, nullptr));
  const int64_t values = graph.parameter_count();
  std::vector<sim::StretchTime> times;
  for (const plan::StretchTime& stretch : stretches) {
    const int64_t end = stretch.begin + stretch.count;
    const int64_t first = stretch.begin * cells / values;
    const int64_t last = (end * cells + values - 1) / values;
    times.push_back({.begin = first,
                     .count = last - first,
                     .read_at = stretch.read_at,
                     .final_at = stretch.final_at});
  }
  return times;
}

std::vector<int64_t> LeaseSizes(int64_t batch, int64_t parts) {
  const int64_t most = std::min(batch, kMostPredicted);
  std::vector<int64_t> sizes;
  for (int64_t size = std::max<int64_t>(1, batch / std::max<int64_t>(1, parts) / 2); size < most;
       size *= 2) {
    sizes.push_back(size);
  }
  sizes.push_back(most);
  return sizes;
}

Result<LeaseCurves> PredictLeases(const model::Graph& graph, const plan::DeviceProfile& profile,
                                  std::span<const int64_t> sizes, int64_t cores,
                                  const PayloadSize& payload) {
  // As in `weft plan`: what "auto" takes follows the device's clock; memory is nearly the same with
  // Winograd convolutions throughout.
  const std::string kernels = profile.kernels == "auto" ? "winograd" : profile.kernels;
  ASSIGN_OR_RETURN(const auto backend,
                   kernel::MakeBackend(kernels, {.threads = static_cast<int>(profile.threads)}));
  // A worker applies nothing; beside its plan it holds the payloads and two flat vectors.
  const plan::UpdateCost update{.state_vectors = 0};
  const double exchange = static_cast<double>(payload.push_bytes + payload.parameters_bytes) +
                          2.0 * sizeof(float) * static_cast<double>(payload.values);
  const double scale = static_cast<double>(profile.threads) / static_cast<double>(cores);
  LeaseCurves curves;
  for (const int64_t samples : sizes) {
    plan::CompileOptions compile;
    compile.mode = plan::Mode::kTrain;
    compile.batch = samples;
    ASSIGN_OR_RETURN(const plan::Program program, plan::Compile(graph, backend.get(), compile));
    const double seconds = plan::PredictTime(program, update, profile).total_us() * 1e-6;
    const double bytes = plan::PredictMemory(program, update, profile).peak();
    curves.seconds.points.emplace_back(samples, seconds * scale);
    curves.bytes.points.emplace_back(samples, bytes + exchange);
  }
  return curves;
}

}  // namespace weft::app
