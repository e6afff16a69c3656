#include "app/plan_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "app/sim_costs.h"
#include "base/text.h"
#include "plan/shares.h"
#include "plan/update_size.h"
#include "sim/wire_size.h"

namespace weft::app {
namespace {

Result<double> RateOf(std::string_view text) {
  ASSIGN_OR_RETURN(const double rate, base::ParseRate(text));
  if (rate < 1) return InvalidArgument(fmt::format("got \"{}\", want at least 1 bit/s", text));
  return rate;
}

Result<sim::LinkOptions> LinkOf(std::string_view text) {
  const std::vector<std::string> parts = base::Split(text, ',');
  if (parts.size() > 2) return InvalidArgument("got more than rates and one latency");
  sim::LinkOptions link;
  constexpr std::string_view kBetweenRates = "/s/";
  const std::string_view rates = parts[0];
  const size_t between = rates.find(kBetweenRates);
  if (between == std::string_view::npos) {
    ASSIGN_OR_RETURN(link.up_bps, RateOf(rates));
    link.down_bps = link.up_bps;
  } else {
    ASSIGN_OR_RETURN(link.up_bps, RateOf(rates.substr(0, between + 2)));
    ASSIGN_OR_RETURN(link.down_bps, RateOf(rates.substr(between + kBetweenRates.size())));
  }
  if (parts.size() == 2) {
    ASSIGN_OR_RETURN(link.latency, base::ParseDuration(parts[1]));
  }
  return link;
}

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// What of a link's rate is left for payloads when packets are full.
double PayloadRate(double bits_per_second) {
  constexpr double kFullPacket = sim::kSegmentBytes + sim::kPacketHeader;
  return bits_per_second / 8 * sim::kSegmentBytes / kFullPacket;
}

plan::LinkProfile ProfileOf(const sim::LinkOptions& link) {
  return {.up_bytes_per_second = PayloadRate(link.up_bps),
          .down_bytes_per_second = PayloadRate(link.down_bps),
          .round_trip_seconds = 2 * Seconds(link.latency)};
}

// How long each kind of device takes for how many samples of a step.
using Curves = std::vector<sim::Curve>;

Result<Curves> PredictCurves(const NetworkTask& task) {
  const PayloadSize size = {.values = task.graph->parameter_count()};  // for memory only
  const auto kinds = static_cast<int64_t>(task.profiles.size());
  std::vector<int64_t> sizes = LeaseSizes(task.batch, task.batch_each ? 1 : task.count * kinds);
  if (sizes.back() < task.batch) sizes.push_back(task.batch);
  Curves curves;
  for (const plan::DeviceProfile* profile : task.profiles) {
    ASSIGN_OR_RETURN(LeaseCurves predicted,
                     PredictLeases(*task.graph, *profile, sizes, profile->threads, size));
    curves.push_back(std::move(predicted.seconds));
  }
  return curves;
}

// What the slowest of so many devices of each kind takes for its part of so many samples, with
// shares with which they end together, found in a few rounds from equal ones.
double ComputeSeconds(const Curves& curves, int64_t of_each, int64_t samples) {
  constexpr int kRounds = 4;
  const int64_t devices = of_each * std::ssize(curves);
  std::vector<int64_t> shares = plan::EqualShares(samples, devices);
  std::vector<double> speeds(shares.size(), 0);
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    double slowest = 0;
    for (size_t i = 0; i < shares.size(); ++i) {
      if (shares[i] == 0) continue;
      const double seconds = curves[i % curves.size()].At(shares[i]);
      speeds[i] = static_cast<double>(shares[i]) / seconds;
      slowest = std::max(slowest, seconds);
    }
    if (round == 0 || slowest < best) best = slowest;
    if (curves.size() == 1) break;
    shares = plan::ProportionalShares(samples, speeds);
  }
  return best;
}

class Network {
 public:
  explicit Network(const NetworkTask& task) : task_(task) {
    for (const double seconds : task.alone_seconds) {
      alone_samples_per_second_ += static_cast<double>(task.batch) / seconds /
                                   static_cast<double>(task.alone_seconds.size());
    }
  }

  Result<NetworkRow> RowOf(const Curves& curves, int64_t of_each) const {
    NetworkRow row;
    row.devices = of_each * std::ssize(curves);
    row.samples = task_.batch_each ? task_.batch * row.devices : task_.batch;
    row.compute_seconds = ComputeSeconds(curves, of_each, row.samples);
    const codec::CodecOptions dense;
    RETURN_IF_ERROR(AddWay(dense, dense, &row));
    const bool same = task_.up.name == dense.name && task_.down.name == dense.name;
    if (!same && task_.up.name != "auto") {
      RETURN_IF_ERROR(AddWay(task_.up, task_.down, &row));
    }
    AddAuto(&row);
    return row;
  }

 private:
  Status AddWay(const codec::CodecOptions& up, const codec::CodecOptions& down,
                NetworkRow* row) const {
    ASSIGN_OR_RETURN(const PayloadSize size,
                     PayloadSizeOf(up, down, task_.graph->parameter_count()));
    NetworkWay way;
    way.codec = up.name == down.name ? up.name : up.name + ", down " + down.name;
    way.local_steps = task_.local_steps;
    Fill(size, *row, &way);
    row->ways.push_back(std::move(way));
    return OkStatus();
  }

  void AddAuto(NetworkRow* row) const {
    const plan::LinkLoad load = {.compute_seconds = row->compute_seconds,
                                 .values = task_.graph->parameter_count(),
                                 .tensors = task_.tensors};
    const plan::LinkChoice choice = ChooseLink(ProfileOf(task_.link), load, task_.limits);
    NetworkWay way;
    way.codec = "auto";
    way.local_steps = choice.local_steps;
    way.target = choice.target;
    way.words = choice.words;
    const double bytes = plan::UpdateBytes(choice.target, load.values, load.tensors);
    PayloadSize size = {.values = load.values,
                        .push_bytes = static_cast<int64_t>(bytes),
                        .parameters_bytes = static_cast<int64_t>(bytes)};
    if (choice.target != codec::Target()) {
      size.push_encode_s_per_value = kCostRates.encode_s_per_value;
      size.parameters_encode_s_per_value = kCostRates.encode_s_per_value;
    }
    Fill(size, *row, &way);
    row->ways.push_back(std::move(way));
  }

  void Fill(const PayloadSize& size, const NetworkRow& row, NetworkWay* way) const {
    const sim::HubOptions hub = HubCosts({}, size, true);
    way->up_bytes = static_cast<double>(size.push_bytes);
    way->down_bytes = static_cast<double>(size.parameters_bytes);
    way->scaling =
        plan::ScalingOf({.devices = row.devices,
                         .samples = static_cast<double>(row.samples),
                         .compute_seconds = row.compute_seconds,
                         .alone_samples_per_second = alone_samples_per_second_,
                         .local_steps = way->local_steps,
                         .exchange = {.up_bytes = way->up_bytes, .down_bytes = way->down_bytes},
                         .device = ProfileOf(task_.link),
                         .leader = ProfileOf(task_.leader),
                         .device_seconds = LeaseSeconds(size, true),
                         .leader_seconds_per_device = hub.push_seconds + hub.send_seconds,
                         .leader_seconds = hub.apply_seconds});
  }

  const NetworkTask& task_;
  double alone_samples_per_second_ = 0;  // the mean of the kinds
};

std::string LinkText(const sim::LinkOptions& link) {
  return fmt::format("{} up, {} down, {:.3g} ms each way", base::HumanRate(link.up_bps),
                     base::HumanRate(link.down_bps), 1e3 * Seconds(link.latency));
}

}  // namespace

Result<sim::LinkOptions> ParseLink(std::string_view text) {
  Result<sim::LinkOptions> link = LinkOf(text);
  if (link.ok()) return link;
  return InvalidArgument(
      fmt::format("got \"{}\", want UP/DOWN,LATENCY such as \"2Mbit/s/10Mbit/s,20ms\" or "
                  "\"10Mbit/s,20ms\": {}",
                  text, link.status().message()));
}

Result<std::vector<NetworkRow>> PredictNetwork(const NetworkTask& task) {
  ASSIGN_OR_RETURN(const Curves curves, PredictCurves(task));
  const Network network(task);
  std::vector<NetworkRow> rows;
  for (int64_t of_each = 1;; of_each = std::min(2 * of_each, task.count)) {
    ASSIGN_OR_RETURN(rows.emplace_back(), network.RowOf(curves, of_each));
    if (of_each == task.count) return rows;
  }
}

std::string NetworkText(const NetworkTask& task, std::span<const NetworkRow> rows) {
  std::string text = fmt::format(
      "network: {}; {}\n", LinkText(task.link),
      task.batch_each ? "each device computes a whole batch" : "the devices share the batch");
  if (task.leader.up_bps > 0) text += fmt::format("leader:  {}\n", LinkText(task.leader));
  text += fmt::format("  {:>7} {:>10}", "", "");
  for (const NetworkWay& way : rows[0].ways) text += fmt::format("  {:<23}", way.codec);
  text += fmt::format("\n  {:>7} {:>10}", "devices", "compute ms");
  for (size_t i = 0; i < rows[0].ways.size(); ++i) {
    text += fmt::format("  {:>9} {:>6} {:>6}", "step ms", "X", "X/Y");
  }
  text += "  auto sends\n";
  for (const NetworkRow& row : rows) {
    text += fmt::format("  {:>7} {:>10.2f}", row.devices, 1e3 * row.compute_seconds);
    for (const NetworkWay& way : row.ways) {
      text += fmt::format("  {:>9.2f} {:>6.2f} {:>6.2f}", 1e3 * way.scaling.step_seconds,
                          way.scaling.speedup, way.scaling.efficiency);
    }
    text += fmt::format("  {}\n", row.ways.back().words);
  }
  return text + "  X: how much faster than one device that trains by itself; Y: the devices\n";
}

nlohmann::ordered_json NetworkJson(const NetworkRow& row) {
  nlohmann::ordered_json ways = nlohmann::ordered_json::array();
  for (const NetworkWay& way : row.ways) {
    nlohmann::ordered_json json = {{"codec", way.codec},
                                   {"up_bytes", way.up_bytes},
                                   {"down_bytes", way.down_bytes},
                                   {"local_steps", way.local_steps},
                                   {"exchange_ms", 1e3 * way.scaling.exchange_seconds},
                                   {"step_ms", 1e3 * way.scaling.step_seconds},
                                   {"speedup", way.scaling.speedup},
                                   {"efficiency", way.scaling.efficiency},
                                   {"leader_bound", way.scaling.leader_bound}};
    if (way.codec == "auto") {
      json["density"] = way.target.density;
      json["values"] = codec::ValueKindName(way.target.values);
      json["sends"] = way.words;
    }
    ways.push_back(std::move(json));
  }
  return {{"event", "network"},
          {"devices", row.devices},
          {"samples", row.samples},
          {"compute_ms", 1e3 * row.compute_seconds},
          {"ways", ways}};
}

}  // namespace weft::app
