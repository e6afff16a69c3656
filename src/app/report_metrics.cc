#include "app/report_metrics.h"

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

namespace weft::app {
namespace {

using nlohmann::json;

// A field that is a number; else (left out, null for what is not finite) `otherwise`.
double NumberOf(const json& line, const char* key, double otherwise) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>() : otherwise;
}
int64_t IntegerOf(const json& line, const char* key, int64_t otherwise) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::string TextOf(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : "";
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// For each line the first step that a later start of the run made anew.
std::vector<double> TakenBackFrom(const std::vector<std::string_view>& lines) {
  std::vector<double> limits(lines.size());
  double limit = std::numeric_limits<double>::infinity();
  for (size_t i = lines.size(); i-- > 0;) {
    limits[i] = limit;
    if (!lines[i].starts_with("{\"event\":\"start\"")) continue;
    const json start = json::parse(lines[i], nullptr, false);
    if (start.is_object()) limit = std::min(limit, NumberOf(start, "step", limit));
  }
  return limits;
}

class Reader {
 public:
  // `limit`: steps from there on were made anew later.
  void Read(const json& line, double limit) {
    const std::string event = TextOf(line, "event");
    if (event == "step") Step(line, limit);
    if (event == "epoch") Epoch(line, limit);
    if (event == "test") Test(line, limit);
    if (event == "device" && TextOf(line, "state") == "joined") {
      ReportMetrics::Device& device = DeviceOf(line);
      device.name = TextOf(line, "name");
      ++device.joined;
    }
  }

  ReportMetrics Finish() {
    for (auto& [id, device] : devices_) metrics_.devices.push_back(std::move(device));
    return std::move(metrics_);
  }

 private:
  ReportMetrics::Device& DeviceOf(const json& line) {
    const auto id = IntegerOf(line, "device", 0);
    ReportMetrics::Device& device = devices_[id];
    device.id = id;
    return device;
  }

  static void Append(double step, double value, std::vector<ReportMetrics::Point>* points) {
    if (value == value) points->push_back({step, value});
  }

  void Step(const json& line, double limit) {
    const double step = NumberOf(line, "step", limit);
    steps_done_ = step + 1;
    if (!(step < limit)) return;
    Append(steps_done_, NumberOf(line, "loss", kNone), &metrics_.step_loss);
    const auto parts = line.find("parts");
    if (parts == line.end() || !parts->is_array()) return;
    for (const json& part : *parts) {
      if (!part.is_object()) continue;
      ReportMetrics::Device& device = DeviceOf(part);
      device.samples += IntegerOf(part, "samples", 0);
      ++device.steps;
    }
  }

  void Epoch(const json& line, double limit) {
    const double next = NumberOf(line, "next_step", kNone);
    epoch_ends_[IntegerOf(line, "epoch", 0)] = next;
    if (!(next <= limit)) return;
    Append(next, NumberOf(line, "accuracy", kNone), &metrics_.train_accuracy);
  }

  // An evaluation belongs to the end of its epoch; a second one, or one before the first end, to
  // the stop in the middle of the next.
  void Test(const json& line, double limit) {
    const auto end = epoch_ends_.find(IntegerOf(line, "epoch", -1));
    double step = steps_done_;
    if (end != epoch_ends_.end()) {
      step = end->second;
      epoch_ends_.erase(end);
    }
    if (!(step <= limit)) return;
    Append(step, NumberOf(line, "loss", kNone), &metrics_.test_loss);
    Append(step, NumberOf(line, "accuracy", kNone), &metrics_.test_accuracy);
  }

  ReportMetrics metrics_;
  std::map<int64_t, ReportMetrics::Device> devices_;
  std::map<int64_t, double> epoch_ends_;  // epoch to steps done, of those not evaluated yet
  double steps_done_ = 0;
};

}  // namespace

ReportMetrics ReadReportMetrics(std::string_view text) {
  const std::vector<std::string_view> lines = Lines(text);
  const std::vector<double> limits = TakenBackFrom(lines);
  Reader reader;
  for (size_t i = 0; i < lines.size(); ++i) {
    const json line = json::parse(lines[i], nullptr, false);
    if (line.is_object()) reader.Read(line, limits[i]);
  }
  return reader.Finish();
}

}  // namespace weft::app
