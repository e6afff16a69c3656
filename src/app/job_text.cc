#include "app/job_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "base/doc.h"
#include "data/sample_order.h"

namespace weft::app {
namespace {

using nlohmann::ordered_json;

constexpr char kSection[] = "fed";
constexpr double kMostSamples = 1e8;  // a device keeps a word for each
constexpr int64_t kMostValues = int64_t{1} << 28;

ordered_json ToJson(const FedData& fed) {
  const auto dims = fed.facts.shape.dims();
  return {{"samples", fed.facts.size},
          {"sample_bytes", fed.sample_bytes},
          {"shape", std::vector<int64_t>(dims.begin(), dims.end())},
          {"classes", fed.facts.classes},
          {"class_names", fed.facts.class_names},
          {"feature_axis", fed.facts.feature_axis},
          {"description", fed.facts.description}};
}

Result<FedData> ReadFed(const base::Doc& doc, const std::string& name) {
  FedData fed;
  int64_t axis = 0;
  std::vector<int64_t> shape;
  base::Fields fields(&doc, kSection, name);
  fields.Get("samples", &fed.facts.size, {.min = 1, .max = kMostSamples, .required = true});
  fields.Get("sample_bytes", &fed.sample_bytes, {.min = 1, .max = 1e12, .required = true});
  fields.Get("shape", &shape, {.min = 1, .max = 65536, .required = true});
  fields.Get("classes", &fed.facts.classes, {.min = 2, .max = 1e6, .required = true});
  fields.Get("class_names", &fed.facts.class_names);
  fields.Get("feature_axis", &axis, {.min = 0, .max = 2});
  fields.Get("description", &fed.facts.description);
  if (shape.size() != 3) {
    fields.Fail("shape", "want three numbers");
  } else if (shape[0] * shape[1] * shape[2] > kMostValues) {
    fields.Fail("shape", "want at most 2^28 values");
  } else {
    fed.facts.shape = Shape(shape);
  }
  const auto names = std::ssize(fed.facts.class_names);
  if (names != 0 && names != fed.facts.classes) fields.Fail("class_names", "want one a class");
  RETURN_IF_ERROR(fields.Finish());
  fed.facts.feature_axis = static_cast<int>(axis);
  return fed;
}

}  // namespace

std::string ToJson(const JobText& text) {
  if (!text.fed) return text.config.ToJson();
  ordered_json json = ordered_json::parse(text.config.ToJson());
  json[kSection] = ToJson(*text.fed);
  return json.dump();
}

Result<JobText> ReadJobText(const std::string& json, const std::string& name) {
  ASSIGN_OR_RETURN(base::Doc doc, base::ParseJson(json, name));
  JobText text;
  const auto is_fed = [](const auto& entry) { return entry.first == kSection; };
  const auto section = std::ranges::find_if(doc.table, is_fed);
  if (section != doc.table.end()) {
    ASSIGN_OR_RETURN(text.fed, ReadFed(section->second, name));
    doc.table.erase(section);
  }
  ASSIGN_OR_RETURN(text.config, config::FromDoc(doc, {.file = name, .folder = ""}));
  return text;
}

cluster::SampleCacheOptions CacheOptions(const JobText& text, int64_t budget_bytes) {
  CHECK(text.fed.has_value());
  const auto order =
      data::SampleOrder::Whole(static_cast<uint64_t>(text.config.job.seed), text.fed->facts.size);
  return {
      .budget_bytes = budget_bytes,
      .sample_bytes = text.fed->sample_bytes,
      .indices = [order](const cluster::Lease& lease) {
        return order.Indices({.epoch = lease.epoch, .begin = lease.begin, .count = lease.count});
      }};
}

}  // namespace weft::app
