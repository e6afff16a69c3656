#include "app/event_log.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <variant>

namespace weft::app {
namespace {

using nlohmann::ordered_json;

ordered_json Start(const char* name, double seconds) {
  return {{"event", name}, {"seconds", std::round(seconds * 1000) / 1000}};
}

std::string_view HowName(cluster::RunDone::How how) {
  using How = cluster::RunDone::How;
  switch (how) {
    case How::kCompleted:
      return "completed";
    case How::kStoppedEarly:
      return "stopped early";
    case How::kDrained:
      return "drained";
    case How::kFailed:
      return "failed";
  }
  return "failed";
}

// One function an event: its name and its fields.
struct Fill {
  double seconds;

  ordered_json operator()(const cluster::StepDone& step) const {
    ordered_json json = Start("step", seconds);
    json["step"] = step.step;
    json["epoch"] = step.epoch;
    json["samples"] = step.samples;
    json["loss"] = step.loss;
    json["correct"] = step.correct;
    json["lr"] = step.lr;
    json["gradient_norm"] = step.gradient_norm;
    ordered_json parts = ordered_json::array();
    for (const auto& part : step.parts) {
      parts.push_back({{"device", part.device}, {"samples", part.samples}});
    }
    json["parts"] = std::move(parts);
    return json;
  }
  ordered_json operator()(const cluster::EpochDone& epoch) const {
    ordered_json json = Start("epoch", seconds);
    json["epoch"] = epoch.epoch;
    json["next_step"] = epoch.next_step;
    json["loss"] = epoch.loss;
    json["accuracy"] = epoch.accuracy;
    json["lost_samples"] = epoch.lost;
    json["duplicated_samples"] = epoch.duplicated;
    json["absent_samples"] = epoch.absent;
    return json;
  }
  ordered_json operator()(const cluster::DeviceJoined& device) const {
    ordered_json json = Device(device.device, "joined");
    json["name"] = device.name;
    json["again"] = device.again;
    return json;
  }
  ordered_json operator()(const cluster::DeviceLeft& device) const {
    ordered_json json = Device(device.device, "left");
    json["name"] = device.name;
    json["reason"] = device.reason;
    return json;
  }
  ordered_json operator()(const cluster::DeviceSilent& device) const {
    ordered_json json = Device(device.device, "silent");
    json["name"] = device.name;
    json["silent_s"] = device.silent_s;
    return json;
  }
  ordered_json operator()(const cluster::DeviceHeard& device) const {
    ordered_json json = Device(device.device, "heard");
    json["name"] = device.name;
    return json;
  }
  ordered_json operator()(const cluster::DeviceProgress& device) const {
    ordered_json json = Device(device.device, "working");
    json["samples_per_second"] = device.samples_per_second;
    json["loss"] = device.loss;
    json["stats"] = ToJson(device.stats);
    return json;
  }
  ordered_json operator()(const cluster::LeaseRedealt& redealt) const {
    ordered_json json = Start("redealt", seconds);
    json["step"] = redealt.lease.step;
    json["samples"] = redealt.lease.count;
    json["from"] = redealt.from;
    json["to"] = redealt.to;
    return json;
  }
  ordered_json operator()(const cluster::WaitingForWorkers& waiting) const {
    ordered_json json = Start("waiting", seconds);
    json["have"] = waiting.have;
    json["want"] = waiting.want;
    return json;
  }
  ordered_json operator()(const cluster::LeadersChanged& leaders) const {
    ordered_json json = Start("leaders", seconds);
    json["layout"] = leaders.layout;
    ordered_json parts = ordered_json::array();
    for (const cluster::Layout::Part& part : leaders.parts) {
      parts.push_back({{"begin", part.range.begin},
                       {"count", part.range.count},
                       {"leader", part.leader.device},
                       {"standby", part.standby}});
    }
    json["parts"] = std::move(parts);
    json["reason"] = leaders.reason;
    return json;
  }
  ordered_json operator()(const cluster::SaturationChanged& changed) const {
    ordered_json json = Start("saturation", seconds);
    json["saturated"] = changed.saturated;
    json["devices"] = changed.devices;
    json["updates_per_second"] = changed.updates_per_s;
    json["most_per_second"] = changed.most_per_s;
    json["as_many_as"] = changed.as_many_as;
    return json;
  }
  ordered_json operator()(const cluster::SitesChanged& changed) const {
    ordered_json json = Start("sites", seconds);
    ordered_json sites = ordered_json::array();
    for (const cluster::SitesChanged::Site& site : changed.sites) {
      sites.push_back({{"site", site.site}, {"relay", site.relay}, {"devices", site.devices}});
    }
    json["sites"] = std::move(sites);
    json["reason"] = changed.reason;
    return json;
  }
  ordered_json operator()(const cluster::LinksChanged& changed) const {
    ordered_json json = Start("links", seconds);
    json["local_steps"] = changed.local_steps;
    json["dense_devices"] = changed.dense;
    json["devices"] = changed.devices;
    json["poorest"] = changed.poorest;
    return json;
  }
  ordered_json operator()(const cluster::ModeChanged& changed) const {
    ordered_json json = Start("mode", seconds);
    json["mode"] = changed.mode;
    json["reason"] = changed.reason;
    return json;
  }
  ordered_json operator()(const cluster::CheckpointSaved& checkpoint) const {
    ordered_json json = Start("checkpoint", seconds);
    json["step"] = checkpoint.step;
    json["path"] = checkpoint.path;
    return json;
  }
  ordered_json operator()(const cluster::RunDone& done) const {
    ordered_json json = Start("done", seconds);
    json["how"] = HowName(done.how);
    json["reason"] = done.reason;
    if (!done.status.ok()) json["problem"] = done.status.ToString();
    json["next_step"] = done.next_step;
    json["lost_samples"] = done.lost_samples;
    json["duplicated_samples"] = done.duplicated_samples;
    return json;
  }
  ordered_json operator()(const cluster::Joined& joined) const {
    ordered_json json = Device(joined.device, "admitted");
    json["again"] = joined.again;
    return json;
  }
  ordered_json operator()(const cluster::CoordinatorLost& lost) const {
    ordered_json json = Start("coordinator_lost", seconds);
    json["reason"] = lost.reason;
    json["retry_in_s"] = lost.retry_in_s;
    return json;
  }
  ordered_json operator()(const cluster::Left& left) const {
    ordered_json json = Start("left", seconds);
    json["reason"] = left.reason;
    return json;
  }
  ordered_json operator()(const cluster::Warning& warning) const {
    ordered_json json = Start("warning", seconds);
    json["text"] = warning.text;
    return json;
  }

 private:
  ordered_json Device(cluster::DeviceId device, const char* state) const {
    ordered_json json = Start("device", seconds);
    json["device"] = device;
    json["state"] = state;
    return json;
  }
};

// Devices may say anything.
double Finite(double value) { return std::isfinite(value) ? value : 0; }

}  // namespace

ordered_json ToJson(const cluster::DeviceStats& stats) {
  return {{"lease_seconds", Finite(stats.lease_seconds)},
          {"sample_seconds", Finite(stats.sample_seconds)},
          {"up_bytes_per_second", Finite(stats.up_bytes_per_second)},
          {"down_bytes_per_second", Finite(stats.down_bytes_per_second)},
          {"round_trip_seconds", Finite(stats.round_trip_seconds)},
          {"free_bytes", stats.free_bytes},
          {"other_load", Finite(stats.other_load)},
          {"temperature", Finite(stats.temperature)},
          {"changes", stats.changes},
          {"stored_bytes", stats.stored_bytes},
          {"plan_seconds", Finite(stats.plan_seconds)}};
}

ordered_json ToJson(const cluster::Event& event, double seconds) {
  return std::visit(Fill{seconds}, event);
}

ordered_json ToJson(const Evaluated& test, double seconds) {
  ordered_json json = Start("test", seconds);
  json["epoch"] = test.epoch;
  json["samples"] = test.samples;
  json["loss"] = test.loss;
  json["accuracy"] = test.accuracy;
  return json;
}

ordered_json ToJson(const RunResult& result) {
  ordered_json json = {{"event", "result"}, {"outcome", result.outcome}};
  if (!result.problem.empty()) json["problem"] = result.problem;
  json["run"] = result.run;
  json["epochs"] = result.epochs;
  json["steps"] = result.steps;
  json["samples"] = result.samples;
  json["seconds"] = result.seconds;
  json["samples_per_second"] = result.samples_per_second;
  json["train_loss"] = result.train_loss;
  if (result.test_accuracy >= 0) {
    json["test_loss"] = result.test_loss;
    json["test_accuracy"] = result.test_accuracy;
  }
  json["lost_samples"] = result.lost_samples;
  json["duplicated_samples"] = result.duplicated_samples;
  json["up_bytes"] = result.up_bytes;
  json["down_bytes"] = result.down_bytes;
  json["weights_sha256"] = result.weights_sha256;
  json["folder"] = result.folder;
  json["model"] = result.model;
  json["report"] = result.report;
  return json;
}

std::string JsonLine(const ordered_json& object) {
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace weft::app
