#include "cluster/event.h"

#include <fmt/format.h>

#include <map>

#include "cluster/describe.h"

namespace weft::cluster {
namespace {

double Share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

std::string Line(const StepDone& e) {
  return fmt::format("step {} (epoch {}): loss {:.4f}, accuracy {:.3f}, lr {:.3g}", e.step, e.epoch,
                     e.loss, Share(e.correct, e.samples), e.lr);
}
std::string Line(const EpochDone& e) {
  return fmt::format("epoch {}: loss {:.4f}, accuracy {:.3f}, {} samples lost, {} duplicated",
                     e.epoch, e.loss, e.accuracy, e.lost, e.duplicated);
}
std::string Line(const DeviceJoined& e) {
  return fmt::format("{} (device {}) {}", e.name, e.device, e.again ? "is back" : "joined");
}
std::string Line(const DeviceLeft& e) {
  return fmt::format("{} (device {}) left: {}", e.name, e.device, e.reason);
}
std::string Line(const DeviceSilent& e) {
  return fmt::format("{} (device {}) is silent, for {:.1f} s", e.name, e.device, e.silent_s);
}
std::string Line(const DeviceHeard& e) {
  return fmt::format("{} (device {}) is heard again", e.name, e.device);
}
std::string Line(const DeviceProgress& e) {
  return fmt::format("device {}: {:.0f} samples/s", e.device, e.samples_per_second);
}
std::string Line(const LeaseRedealt& e) {
  return fmt::format("lease {} goes from device {} to device {}", Describe(e.lease), e.from, e.to);
}
std::string Line(const WaitingForWorkers& e) {
  return fmt::format("waiting for workers: have {}, want {}", e.have, e.want);
}
std::string Line(const LeadersChanged& e) {
  std::map<Address, int64_t> values;  // by leader, which may lead several parts
  for (const Layout::Part& part : e.parts) values[part.leader] += part.range.count;
  std::string text =
      fmt::format("{} leader{} from now on", values.size(), values.size() == 1 ? "" : "s");
  for (const auto& [leader, count] : values) {
    text += fmt::format(", {} of {} values", Describe(leader), count);
  }
  return text + ": " + e.reason;
}
std::string Line(const SaturationChanged& e) {
  std::string text =
      fmt::format("{}: {} devices make {:.3g} updates/s (n / t_sync)",
                  e.saturated ? "saturated" : "no longer saturated", e.devices, e.updates_per_s);
  if (e.most_per_s > 0) text += fmt::format(", bandwidth / bytes bears {:.3g}", e.most_per_s);
  if (e.as_many_as > 0) text += fmt::format("; {} devices did as much", e.as_many_as);
  return text;
}
std::string Line(const SitesChanged& e) {
  std::string text;
  for (const SitesChanged::Site& site : e.sites) {
    text += fmt::format("{}{} devices at {} send one sum through device {}",
                        text.empty() ? "" : ", ", site.devices, site.site, site.relay);
  }
  if (text.empty()) text = "no site sends sums from now on";
  return e.reason.empty() ? text : text + ": " + e.reason;
}
std::string Line(const LinksChanged& e) {
  return fmt::format("links: {} of {} devices send all, {} step{} an update; the poorest: {}",
                     e.dense, e.devices, e.local_steps, e.local_steps == 1 ? "" : "s", e.poorest);
}

std::string Line(const ModeChanged& e) {
  return fmt::format("aggregation is {} from now on: {}", e.mode, e.reason);
}
std::string Line(const CheckpointSaved& e) {
  return fmt::format("checkpoint of step {} saved in {}", e.step, e.path);
}
std::string Line(const RunDone& e) {
  return fmt::format("{}; {} samples lost, {} duplicated", e.reason, e.lost_samples,
                     e.duplicated_samples);
}
std::string Line(const Joined& e) {
  return fmt::format("{} as device {}", e.again ? "joined again" : "joined", e.device);
}
std::string Line(const CoordinatorLost& e) {
  return fmt::format("lost the coordinator ({}); trying again in {:.1f} s", e.reason, e.retry_in_s);
}
std::string Line(const Left& e) { return "left the run: " + e.reason; }
std::string Line(const Warning& e) { return "warning: " + e.text; }

}  // namespace

std::string Describe(const Event& event) {
  return std::visit([](const auto& e) { return Line(e); }, event);
}

}  // namespace weft::cluster
