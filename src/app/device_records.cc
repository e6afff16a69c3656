#include "app/device_records.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <variant>

#include "app/event_log.h"
#include "base/doc.h"
#include "cluster/profiler.h"

namespace weft::app {
namespace {

using nlohmann::ordered_json;

constexpr base::Fields::Range kCount = {.min = 0, .max = 9e18};

// Devices may say anything.
double Finite(double value) { return std::isfinite(value) ? value : 0; }

Result<cluster::DeviceStats> ReadStats(const base::Doc* table, const std::string& file) {
  base::Fields fields(table, "stats", file);
  cluster::DeviceStats stats;
  fields.Get("lease_seconds", &stats.lease_seconds);
  fields.Get("sample_seconds", &stats.sample_seconds);
  fields.Get("up_bytes_per_second", &stats.up_bytes_per_second);
  fields.Get("down_bytes_per_second", &stats.down_bytes_per_second);
  fields.Get("round_trip_seconds", &stats.round_trip_seconds);
  fields.Get("free_bytes", &stats.free_bytes);
  fields.Get("other_load", &stats.other_load);
  fields.Get("temperature", &stats.temperature);
  fields.Get("changes", &stats.changes);
  fields.Get("stored_bytes", &stats.stored_bytes);
  fields.Get("plan_seconds", &stats.plan_seconds);
  RETURN_IF_ERROR(fields.Finish());
  return stats;
}

Result<DeviceRecord> ReadDevice(const base::Doc& table, const std::string& file) {
  base::Fields fields(&table, "device", file);
  DeviceRecord device;
  int64_t id = 0;
  std::string joined;
  std::string last_seen;
  fields.Get("id", &id, {.min = 1, .max = 4294967295.0, .required = true});
  fields.Get("name", &device.name, true);
  fields.Get("state", &device.state, true);
  fields.Get("reason", &device.reason);
  fields.Get("joined", &joined);
  fields.Get("last_seen", &last_seen);
  fields.Get("samples_per_second", &device.samples_per_second);
  fields.Get("samples", &device.samples, kCount);
  fields.Get("leases", &device.leases, kCount);
  fields.Get("lease_samples", &device.lease_samples, kCount);
  const base::Doc* stats = fields.Take("stats");
  RETURN_IF_ERROR(fields.Finish());
  ASSIGN_OR_RETURN(device.stats, ReadStats(stats, file));
  device.id = static_cast<cluster::DeviceId>(id);
  device.joined = ParseUtc(joined);
  device.last_seen = ParseUtc(last_seen);
  return device;
}

}  // namespace

// ---- time

int64_t ParseUtc(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2uT%2u:%2u:%2uZ", &year, &month, &day, &hour, &minute,
                  &second) != 6) {
    return 0;
  }
  using namespace std::chrono;
  const year_month_day date{std::chrono::year(year), std::chrono::month(month),
                            std::chrono::day(day)};
  if (!date.ok()) return 0;
  const sys_seconds time = sys_days(date) + hours(hour) + minutes(minute) + seconds(second);
  return time.time_since_epoch().count();
}

std::string UtcText(int64_t seconds) {
  using namespace std::chrono;
  const sys_seconds time{std::chrono::seconds(seconds)};
  const sys_days date = floor<days>(time);
  const year_month_day day(date);
  const hh_mm_ss clock(time - date);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

// ---- one device

double DeviceRecord::Speed() const {
  const double promised = cluster::SamplesPerSecond(stats, lease_samples);
  return promised > 0 ? promised : samples_per_second;
}

ordered_json ToJson(const DeviceRecord& device) {
  ordered_json json = {{"id", device.id}, {"name", device.name}, {"state", device.state}};
  if (!device.reason.empty()) json["reason"] = device.reason;
  json["joined"] = UtcText(device.joined);
  json["last_seen"] = UtcText(device.last_seen);
  json["samples_per_second"] = Finite(device.samples_per_second);
  json["samples"] = device.samples;
  json["leases"] = device.leases;
  json["lease_samples"] = device.lease_samples;
  json["stats"] = ToJson(device.stats);
  return json;
}

// ---- all

Result<DeviceRecords> DeviceRecords::FromJson(ByteView bytes, const std::string& file) {
  const auto parsed = base::ParseJson(base::AsText(bytes), file);
  if (!parsed.ok()) return base::DataLoss(parsed.status().message());
  base::Fields fields(&*parsed, "", file);
  std::string updated;
  fields.Get("updated", &updated, true);
  const base::Doc* devices = fields.Take("devices");
  if (devices == nullptr || devices->kind != base::Doc::Kind::kArray) {
    fields.Fail("devices", "want an array");
  }
  if (const Status status = fields.Finish(); !status.ok()) return base::DataLoss(status.message());
  DeviceRecords records;
  records.updated_ = ParseUtc(updated);
  for (const base::Doc& each : devices->array) {
    Result<DeviceRecord> device = ReadDevice(each, file);
    if (!device.ok()) return base::DataLoss(device.status().message());
    records.devices_[device->id] = *std::move(device);
  }
  return records;
}

ordered_json DeviceRecords::ToJson(int64_t now) const {
  ordered_json list = ordered_json::array();
  for (const auto& [id, device] : devices_) list.push_back(app::ToJson(device));
  return {{"updated", UtcText(now)}, {"devices", std::move(list)}};
}

DeviceRecord& DeviceRecords::Of(cluster::DeviceId device) {
  DeviceRecord& record = devices_[device];
  record.id = device;
  return record;
}

void DeviceRecords::Add(const cluster::Event& event, int64_t now) {
  if (const auto* joined = std::get_if<cluster::DeviceJoined>(&event)) {
    DeviceRecord& device = Of(joined->device);
    device.name = joined->name;
    device.state = "joined";
    device.reason.clear();
    if (device.joined == 0) device.joined = now;
    device.last_seen = now;
  } else if (const auto* progress = std::get_if<cluster::DeviceProgress>(&event)) {
    DeviceRecord& device = Of(progress->device);
    if (progress->samples_per_second > 0) device.state = "working";
    device.last_seen = now;
    device.samples_per_second = progress->samples_per_second;
    device.stats = progress->stats;
  } else if (const auto* silent = std::get_if<cluster::DeviceSilent>(&event)) {
    Of(silent->device).state = "silent";
  } else if (const auto* heard = std::get_if<cluster::DeviceHeard>(&event)) {
    DeviceRecord& device = Of(heard->device);
    device.state = device.samples_per_second > 0 ? "working" : "joined";
    device.last_seen = now;
  } else if (const auto* left = std::get_if<cluster::DeviceLeft>(&event)) {
    DeviceRecord& device = Of(left->device);
    device.state = "left";
    device.reason = left->reason;
  } else if (const auto* step = std::get_if<cluster::StepDone>(&event)) {
    for (const auto& part : step->parts) {
      DeviceRecord& device = Of(part.device);
      if (device.state == "joined") device.state = "working";
      device.last_seen = now;
      device.samples += part.samples;
      ++device.leases;
      device.lease_samples = part.samples;
    }
  }
}

void DeviceRecords::CloseAll(const std::string& state) {
  for (auto& [id, device] : devices_) {
    if (device.state != "left") device.state = state;
  }
}

std::vector<DeviceRecord> DeviceRecords::devices() const {
  std::vector<DeviceRecord> all;
  for (const auto& [id, device] : devices_) all.push_back(device);
  return all;
}

}  // namespace weft::app
