#include "app/sim_json.h"

#include <fmt/format.h>

#include "app/sim_setup.h"
#include "sim/availability.h"

namespace weft::app {
namespace {

using nlohmann::ordered_json;

ordered_json LinkJson(const sim::LinkOptions& link) {
  return {{"up_bps", link.up_bps},
          {"down_bps", link.down_bps},
          {"half_duplex", link.half_duplex},
          {"segment", link.segment},
          {"latency_s", base::Seconds(link.latency)},
          {"jitter_s", base::Seconds(link.jitter)},
          {"loss", link.loss},
          {"duplication", link.duplication},
          {"reordering", link.reordering}};
}

ordered_json UpJson(const sim::DeviceOptions& device, uint64_t seed, int number, Duration limit) {
  ordered_json up = ordered_json::array();
  for (const auto& [from, until] : sim::UpStretches(device.availability, seed, number, limit)) {
    up.push_back({base::Seconds(from), base::Seconds(until)});
  }
  return up;
}

const char* KindName(sim::ScheduledEvent::Kind kind) {
  using Kind = sim::ScheduledEvent::Kind;
  switch (kind) {
    case Kind::kKill:
      return "kill";
    case Kind::kStart:
      return "start";
    case Kind::kLeave:
      return "leave";
    case Kind::kCut:
      return "cut";
    case Kind::kCutUp:
      return "cut-up";
    case Kind::kCutDown:
      return "cut-down";
    case Kind::kHeal:
      return "heal";
    case Kind::kClog:
      return "clog";
    case Kind::kUnclog:
      return "unclog";
  }
  return "";
}

ordered_json ExpectJson(const config::Expectations& expect) {
  ordered_json json = {{"completed", expect.completed},
                       {"lost", expect.lost},
                       {"duplicated", expect.duplicated},
                       {"max_violations", expect.max_violations}};
  const auto seconds = [&](const char* key, const std::optional<Duration>& value) {
    if (value) json[key] = base::Seconds(*value);
  };
  const auto number = [&](const char* key, const std::optional<double>& value) {
    if (value) json[key] = *value;
  };
  seconds("max_virtual", expect.max_virtual);
  seconds("max_training", expect.max_training);
  number("max_epoch_seconds", expect.max_epoch_seconds);
  number("min_samples_per_second", expect.min_samples_per_second);
  number("min_utilisation", expect.min_utilisation);
  number("max_recomputed_share", expect.max_recomputed_share);
  number("min_accuracy", expect.min_accuracy);
  number("max_loss", expect.max_loss);
  return json;
}

ordered_json UseJson(const sim::LinkUse& use) {
  return {{"up_bytes", use.up_bytes},
          {"down_bytes", use.down_bytes},
          {"up_share", use.up_share},
          {"down_share", use.down_share}};
}

ordered_json DevicesJson(const std::vector<sim::DeviceResult>& devices) {
  ordered_json json = ordered_json::array();
  for (const sim::DeviceResult& device : devices) {
    json.push_back({{"name", device.name},
                    {"leases", device.leases},
                    {"samples", device.samples},
                    {"starts", device.starts},
                    {"up_s", device.up_s},
                    {"compute_s", device.compute_s},
                    {"link", UseJson(device.link)}});
  }
  return json;
}

}  // namespace

ordered_json ScenarioJson(const config::Scenario& scenario) {
  const auto seed = static_cast<uint64_t>(scenario.seed);
  ordered_json devices = ordered_json::array();
  int number = 0;
  for (const sim::DeviceOptions& device : DevicesOf(scenario)) {
    devices.push_back({{"name", device.name},
                       {"speed", device.speed},
                       {"load", device.load},
                       {"cores", device.cores},
                       {"memory_bytes", device.memory_bytes},
                       {"can_lead", device.can_lead},
                       {"site", device.site},
                       {"storage_bytes", device.storage_bytes},
                       {"link", LinkJson(device.link)},
                       {"up", UpJson(device, seed, number++, scenario.limit)}});
  }
  ordered_json segments = ordered_json::array();
  for (const sim::SegmentOptions& segment : scenario.segments) {
    segments.push_back(
        {{"name", segment.name}, {"gateway", segment.gateway}, {"link", LinkJson(segment.link)}});
  }
  ordered_json schedule = ordered_json::array();
  for (const sim::ScheduledEvent& event : scenario.schedule) {
    schedule.push_back({{"at_s", base::Seconds(event.at)},
                        {"kind", KindName(event.kind)},
                        {"device", event.device}});
  }
  return {{"event", "scenario"},
          {"name", scenario.name},
          {"title", scenario.title},
          {"mode", scenario.mode},
          {"seed", scenario.seed},
          {"limit_s", base::Seconds(scenario.limit)},
          {"start_workers", StartWorkers(scenario, seed)},
          {"random_faults", scenario.faults.any()},
          {"job", ordered_json::parse(scenario.job.ToJson())},
          {"hub",
           {{"speed", scenario.coordinator.speed},
            {"cores", scenario.coordinator.cores},
            {"site", scenario.coordinator.site},
            {"restart_s", base::Seconds(scenario.coordinator.restart)},
            {"link", LinkJson(scenario.coordinator.link)}}},
          {"devices", std::move(devices)},
          {"segments", std::move(segments)},
          {"schedule", std::move(schedule)},
          {"expect", ExpectJson(scenario.expect)}};
}

ordered_json ResultJson(const sim::Result& result) {
  ordered_json epochs = ordered_json::array();
  for (const sim::EpochResult& epoch : result.epochs) {
    ordered_json& json = epochs.emplace_back();
    json = {{"epoch", epoch.epoch}, {"seconds", epoch.seconds}, {"loss", epoch.loss}};
    if (epoch.accuracy) json["accuracy"] = *epoch.accuracy;
  }
  ordered_json segments = ordered_json::array();
  for (const auto& [name, use] : result.segments) {
    segments.push_back({{"name", name}, {"link", UseJson(use)}});
  }
  ordered_json staleness = ordered_json::object();
  for (const auto& [versions, updates] : result.staleness) {
    staleness[std::to_string(versions)] = updates;
  }
  ordered_json json = {{"completed", result.completed},
                       {"outcome", result.outcome},
                       {"virtual_s", result.virtual_s},
                       {"training_s", result.training_s},
                       {"wall_s", result.wall_s},
                       {"steps", result.steps},
                       {"samples", result.samples},
                       {"recomputed", result.recomputed},
                       {"lost", result.lost},
                       {"duplicated", result.duplicated},
                       {"samples_per_second", result.samples_per_second},
                       {"utilisation", Utilisation(result)},
                       {"epochs", std::move(epochs)},
                       {"devices", DevicesJson(result.devices)},
                       {"hub", UseJson(result.hub)},
                       {"segments", std::move(segments)},
                       {"messages", result.messages},
                       {"events", result.events},
                       {"staleness", std::move(staleness)}};
  if (result.accuracy) json["accuracy"] = *result.accuracy;
  if (result.test_loss) json["test_loss"] = *result.test_loss;
  json["violations"] = result.violations;
  json["trace_hash"] = fmt::format("{:016x}", result.trace_hash);
  json["seed"] = result.seed;
  return json;
}

ordered_json FindingsJson(const std::vector<Finding>& findings) {
  ordered_json json = ordered_json::array();
  for (const Finding& finding : findings) {
    json.push_back(
        {{"key", finding.key}, {"want", finding.want}, {"got", finding.got}, {"ok", finding.ok}});
  }
  return json;
}

}  // namespace weft::app
