#include "plan/device_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/doc.h"

namespace weft::plan {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kFormat = "weft device profile";
constexpr double kMax = 1e18;
constexpr size_t kMaxPoints = 100000;

// Every field once, for the writer and the reader.
template <class Profile, class Visit>
void VisitFields(Profile& p, const Visit& visit) {
  visit("weft", p.weft);
  visit("onednn", p.onednn);
  visit("measured", p.measured);
  visit("host", p.host);
  visit("cpu", p.cpu);
  visit("simd", p.simd);
  visit("kernels", p.kernels);
  visit("cores", p.cores);
  visit("threads", p.threads);
  visit("seconds", p.seconds);
  visit("busy_share", p.busy_share);
  visit("cache_bytes", p.cache_bytes);
  visit("memory_bytes", p.memory_bytes);
  visit("memory_available_bytes", p.memory_available_bytes);
  visit("memory_gbps", p.memory_gbps);
  visit("cache_gbps", p.cache_gbps);
  visit("sgemm_gflops", p.sgemm_gflops);
  visit("disk_write_mbps", p.disk_write_mbps);
  visit("disk_read_mbps", p.disk_read_mbps);
  visit("process_bytes", p.process_bytes);
  visit("conv_bytes", p.conv_bytes);
  visit("op_bytes", p.op_bytes);
}

// The sizes of a point; 1 may be left out.
template <class Point, class Visit>
void VisitPoint(Point& p, const Visit& visit) {
  visit("work", p.size.work, 1e-9);
  visit("bytes", p.size.bytes, 1e-9);
  visit("batch", p.size.batch, 1.0);
  visit("groups", p.size.groups, 1.0);
  visit("in", p.size.in, 1e-9);
  visit("out", p.size.out, 1e-9);
  visit("pixels", p.size.pixels, 1e-9);
  visit("window", p.size.window, 1e-9);
  visit("stride", p.size.stride, 1e-9);
  visit("reuse", p.size.reuse, 1.0);
  visit("us", p.us, 1e-9);
}

ordered_json PointJson(const Measurement& point) {
  ordered_json json = {{"op", OpKindName(point.size.kind)}};
  const Measurement absent;
  std::vector<double> defaults;
  VisitPoint(absent, [&](const char*, double value, double) { defaults.push_back(value); });
  size_t at = 0;
  VisitPoint(point, [&](const char* key, double value, double) {
    if (value != defaults[at++]) json[key] = value;
  });
  return json;
}

Status ReadPoint(const base::Doc& doc, const std::string& file, Measurement* point) {
  base::Fields fields(&doc, "points", file);
  std::vector<std::string> kinds;
  for (int i = 0; i < kOpKinds; ++i) kinds.emplace_back(OpKindName(static_cast<OpKind>(i)));
  std::string name;
  fields.GetChoice("op", &name, kinds);
  VisitPoint(*point, [&](const char* key, double& value, double min) {
    fields.Get(key, &value, {.min = min, .max = kMax, .required = std::string_view(key) == "us"});
  });
  if (name.empty()) fields.Fail("op", "missing; want one of the kinds of ops");
  RETURN_IF_ERROR(fields.Finish());
  const auto found = std::find(kinds.begin(), kinds.end(), name);
  point->size.kind = static_cast<OpKind>(found - kinds.begin());
  return OkStatus();
}

struct FieldReader {
  base::Fields* fields;
  void operator()(const char* key, std::string& value) const { fields->Get(key, &value, true); }
  void operator()(const char* key, int64_t& value) const {
    fields->Get(key, &value, {.min = 1, .max = 1 << 20, .required = true});
  }
  void operator()(const char* key, double& value) const {
    fields->Get(key, &value, {.min = 0, .max = kMax, .required = true});
  }
};

}  // namespace

std::string DeviceProfile::ToJson() const {
  ordered_json json = {{"format", kFormat}, {"version", kVersion}};
  VisitFields(*this, [&](const char* key, const auto& value) { json[key] = value; });
  std::string text = json.dump(1, ' ', false, ordered_json::error_handler_t::replace);
  text.resize(text.size() - 2);  // the end of the object, which the points go before
  text += ",\n \"points\": [";
  for (size_t i = 0; i < points.size(); ++i) {
    text += (i == 0 ? "\n  " : ",\n  ") + PointJson(points[i]).dump();
  }
  return text + "\n ]\n}\n";
}

Result<DeviceProfile> DeviceProfile::FromJson(std::string_view text, const std::string& file) {
  ASSIGN_OR_RETURN(const base::Doc doc, base::ParseJson(text, file));
  const base::Doc* format = doc.Find("format");
  if (format == nullptr || format->text != kFormat) {
    return InvalidArgument(
        fmt::format("{}: not a device profile (want \"format\": \"{}\"); `weft profile` makes one",
                    file, kFormat));
  }
  const base::Doc* version = doc.Find("version");
  if (version == nullptr || version->kind != base::Doc::Kind::kInt ||
      version->integer != kVersion) {
    return InvalidArgument(fmt::format(
        "{}: version: got {}, want {}; measure this device anew with `weft profile`", file,
        version == nullptr ? "none" : fmt::format("{}", version->number), kVersion));
  }
  DeviceProfile profile;
  base::Fields fields(&doc, "", file);
  fields.Take("format");
  fields.Take("version");
  VisitFields(profile, FieldReader{&fields});
  const base::Doc* points = fields.Take("points");
  RETURN_IF_ERROR(fields.Finish());
  if (points == nullptr || points->kind != base::Doc::Kind::kArray || points->array.empty() ||
      points->array.size() > kMaxPoints) {
    return InvalidArgument(
        fmt::format("{}: points: want an array of 1..{} measurements", file, kMaxPoints));
  }
  for (const base::Doc& point : points->array) {
    RETURN_IF_ERROR(ReadPoint(point, file, &profile.points.emplace_back()));
  }
  return profile;
}

}  // namespace weft::plan
