#include "config/scenario_reader.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/file_system.h"
#include "base/text.h"

namespace weft::config {

using base::Doc;

namespace {

constexpr std::string_view kDurationText = "a length of time such as \"90s\"";
constexpr std::string_view kRateText = "a rate such as \"10Mbit/s\"";

}  // namespace

TableReader::TableReader(const Doc* doc, std::string where, const Origin& origin)
    : doc_(doc != nullptr && doc->kind == Doc::Kind::kTable ? doc : nullptr),
      where_(std::move(where)),
      origin_(origin),
      fields_(doc, where_, origin.file) {}

void TableReader::Visit(const Option& option, bool* value) { fields_.Get(option.key, value); }

void TableReader::Visit(const Option& option, int64_t* value) {
  fields_.Get(option.key, value, {option.min, option.max, option.required});
}

void TableReader::Visit(const Option& option, double* value) {
  fields_.Get(option.key, value, {option.min, option.max, option.required});
}

void TableReader::Visit(const Option& option, std::optional<double>* value) {
  double number = 0;
  fields_.Get(option.key, &number, {option.min, option.max, false});
  if (Given(option.key)) *value = number;
}

void TableReader::Visit(const Option& option, std::string* value) {
  if (option.choices.empty()) {
    fields_.Get(option.key, value, option.required);
    if (option.path == PathKind::kFile && !value->empty()) *value = Resolve(*value);
    return;
  }
  if (option.required && !Given(option.key)) {
    fields_.Take(option.key);
    return Fail(option.key, "is missing, want " + base::JoinChoices(option.choices));
  }
  fields_.GetChoice(option.key, value, option.choices);
}

void TableReader::Visit(const Option& option, ByteCount* value) {
  const Doc* given = fields_.Take(option.key);
  if (given == nullptr) return;
  const bool number = given->kind == Doc::Kind::kInt;
  const auto bytes = base::ParseBytes(number ? std::to_string(given->integer) : given->text);
  if (!bytes.ok()) return Fail(option.key, bytes.status().message());
  value->value = *bytes;
}

const Doc* TableReader::TakeText(const Option& option, std::string_view want) {
  const Doc* given = fields_.Take(option.key);
  if (given == nullptr) {
    if (option.required) Fail(option.key, fmt::format("is missing, want {}", want));
    return nullptr;
  }
  if (given->kind == Doc::Kind::kString) return given;
  Fail(option.key, fmt::format("got {}, want {}", base::KindName(given->kind), want));
  return nullptr;
}

void TableReader::Visit(const Option& option, Duration* value) {
  const Doc* given = TakeText(option, kDurationText);
  if (given == nullptr) return;
  const auto duration = base::ParseDuration(given->text);
  if (!duration.ok()) return Fail(option.key, duration.status().message());
  *value = *duration;
}

void TableReader::Visit(const Option& option, std::optional<Duration>* value) {
  Duration duration{};
  Visit(option, &duration);
  if (!Given(option.key)) return;
  if (duration <= Duration{}) return Fail(option.key, "want it above 0, or left out");
  *value = duration;
}

void TableReader::VisitRate(const Option& option, double* value) {
  const Doc* given = TakeText(option, kRateText);
  if (given == nullptr) return;
  const auto rate = base::ParseRate(given->text);
  if (!rate.ok()) return Fail(option.key, rate.status().message());
  if (*rate < 1) return Fail(option.key, "want at least 1 bit/s; left out: no limit");
  *value = *rate;
}

void TableReader::Visit(const Option& option, sim::SlowdownOptions* value) {
  const Doc* given = fields_.Take(option.key);
  if (given == nullptr) return;
  TableReader inner(given, where_ + "." + std::string(option.key), origin_);
  inner.Visit({.key = "every", .meaning = {}, .required = true}, &value->mean_wait);
  inner.Visit({.key = "for", .meaning = {}, .required = true}, &value->mean_length);
  inner.Visit({.key = "factor", .meaning = {}, .min = 0.001, .max = 1}, &value->factor);
  if (inner.Given("every") && value->mean_wait <= Duration{}) inner.Fail("every", "want above 0");
  if (inner.Given("for") && value->mean_length <= Duration{}) inner.Fail("for", "want above 0");
  if (inner_.ok()) inner_ = inner.Finish();
}

void TableReader::WantAbsent(std::string_view key, const std::string& reason) {
  if (Given(key)) Fail(key, fmt::format("want it left out: {}", reason));
}

void TableReader::WantPresent(std::string_view key, const std::string& want) {
  if (!Given(key)) Fail(key, fmt::format("is missing, want {}", want));
}

Status TableReader::Finish() {
  RETURN_IF_ERROR(inner_);
  return fields_.Finish();
}

std::string TableReader::Resolve(const std::string& path) const {
  if (origin_.folder.empty()) return path;
  return std::filesystem::path(base::JoinPath(origin_.folder, path)).lexically_normal().string();
}

}  // namespace weft::config
