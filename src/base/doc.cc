#include "base/doc.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

// toml++ 3.3 asserts that a key starts well before it checks it, so "[[[" or "{" would end the
// program (its pull request 301); without the assertion its own check gives the error.
#define TOML_ASSERT(expr) static_cast<void>(0)
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/file_system.h"
#include "base/text.h"

namespace weft::base {
namespace {

Doc FromToml(const toml::node& node) {
  Doc doc;
  doc.line = static_cast<int>(node.source().begin.line);
  if (const auto* table = node.as_table()) {
    doc.kind = Doc::Kind::kTable;
    for (const auto& [key, value] : *table) {
      doc.table.emplace_back(std::string(key.str()), FromToml(value));
    }
    // toml++ sorts keys; people expect file order.
    std::stable_sort(doc.table.begin(), doc.table.end(),
                     [](const auto& a, const auto& b) { return a.second.line < b.second.line; });
  } else if (const auto* array = node.as_array()) {
    doc.kind = Doc::Kind::kArray;
    for (const auto& value : *array) doc.array.push_back(FromToml(value));
  } else if (const auto* text = node.as_string()) {
    doc.kind = Doc::Kind::kString;
    doc.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    doc.kind = Doc::Kind::kInt;
    doc.integer = integer->get();
    doc.number = static_cast<double>(doc.integer);
  } else if (const auto* number = node.as_floating_point()) {
    doc.kind = Doc::Kind::kFloat;
    doc.number = number->get();
  } else if (const auto* boolean = node.as_boolean()) {
    doc.kind = Doc::Kind::kBool;
    doc.boolean = boolean->get();
  }
  return doc;
}

using Json = nlohmann::ordered_json;

// Below this depth FromJson, which calls itself, would be at the mercy of the input.

bool IsAboveInt64(const Json& json) {
  return json.is_number_unsigned() &&
         json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
}

Doc FromJson(const Json& json) {
  Doc doc;
  if (json.is_object()) {
    doc.kind = Doc::Kind::kTable;
    for (const auto& [key, value] : json.items()) doc.table.emplace_back(key, FromJson(value));
  } else if (json.is_array()) {
    doc.kind = Doc::Kind::kArray;
    for (const auto& value : json) doc.array.push_back(FromJson(value));
  } else if (json.is_string()) {
    doc.kind = Doc::Kind::kString;
    doc.text = json.get<std::string>();
  } else if (json.is_number_integer() && !IsAboveInt64(json)) {
    doc.kind = Doc::Kind::kInt;
    doc.integer = json.get<int64_t>();
    doc.number = json.get<double>();
  } else if (json.is_number()) {
    doc.kind = Doc::Kind::kFloat;
    doc.number = json.get<double>();
  } else if (json.is_boolean()) {
    doc.kind = Doc::Kind::kBool;
    doc.boolean = json.get<bool>();
  }
  return doc;
}

// Finds what JSON's grammar lets pass and we do not: deep nesting, and a key that stands twice in
// one object (TOML refuses both by itself).
class JsonWatch {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& value) {
    if (!problem_.empty()) return false;
    if (depth > kMaxDepth) problem_ = fmt::format("nested more than {} deep", kMaxDepth);
    if (event == Json::parse_event_t::object_start) keys_.emplace_back();
    if (event == Json::parse_event_t::object_end) keys_.pop_back();
    if (event == Json::parse_event_t::key && !keys_.back().insert(value).second) {
      problem_ = fmt::format("key \"{}\" stands twice", value.get<std::string>());
    }
    return problem_.empty();
  }
  const std::string& problem() const { return problem_; }

 private:
  std::vector<std::set<std::string>> keys_;  // of the objects around the current place
  std::string problem_;
};

// What came from --set has no line in a file, nor has anything in it.
void SetLines(int line, Doc* doc) {
  doc->line = line;
  for (Doc& item : doc->array) SetLines(line, &item);
  for (auto& [key, value] : doc->table) SetLines(line, &value);
}

std::string RangeText(const Fields::Range& range) {
  if (range.max >= 1e300) return fmt::format("at least {:.16g}", range.min);
  if (range.min <= -1e300) return fmt::format("at most {:.16g}", range.max);
  return fmt::format("{:.16g}..{:.16g}", range.min, range.max);
}

}  // namespace

const Doc* Doc::Find(std::string_view key) const {
  for (const auto& [name, value] : table) {
    if (name == key) return &value;
  }
  return nullptr;
}

Doc* Doc::FindOrAdd(std::string_view dotted) {
  Doc* at = this;
  for (const std::string& part : Split(dotted, '.')) {
    if (at->kind != Kind::kTable) {
      *at = Doc{};
      at->kind = Kind::kTable;
    }
    auto found = std::find_if(at->table.begin(), at->table.end(),
                              [&](const auto& entry) { return entry.first == part; });
    if (found == at->table.end()) {
      at->table.emplace_back(part, Doc{});
      at = &at->table.back().second;
    } else {
      at = &found->second;
    }
  }
  return at;
}

std::string_view KindName(Doc::Kind kind) {
  switch (kind) {
    case Doc::Kind::kNull:
      return "nothing";
    case Doc::Kind::kBool:
      return "true or false";
    case Doc::Kind::kInt:
      return "an integer";
    case Doc::Kind::kFloat:
      return "a number";
    case Doc::Kind::kString:
      return "a string";
    case Doc::Kind::kArray:
      return "an array";
    case Doc::Kind::kTable:
      return "a table";
  }
  return "nothing";
}

Result<Doc> ParseToml(std::string_view text, const std::string& name) {
  toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return InvalidArgument(fmt::format("{}:{}:{}: not valid TOML: {}", name,
                                       error.source().begin.line, error.source().begin.column,
                                       error.description()));
  }
  return FromToml(parsed.table());
}

Result<Doc> ParseJson(std::string_view text, const std::string& name) {
  try {
    JsonWatch watch;
    const Json json = Json::parse(text, std::ref(watch));
    if (watch.problem().empty()) return FromJson(json);
    return InvalidArgument(fmt::format("{}: {}", name, watch.problem()));
  } catch (const Json::exception& error) {
    return InvalidArgument(fmt::format("{}: not valid JSON: {}", name, error.what()));
  }
}

Result<Doc> LoadDoc(const std::string& path) {
  ASSIGN_OR_RETURN(Bytes bytes, LocalFileSystem().ReadFile(path));
  return path.ends_with(".json") ? ParseJson(AsText(bytes), path) : ParseToml(AsText(bytes), path);
}

Status ApplyOverride(std::string_view assignment, Doc* doc, int line) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return InvalidArgument(
        fmt::format("--set: got \"{}\", want section.key=value", std::string(assignment)));
  }
  const std::string key(assignment.substr(0, equals));
  const std::string value(assignment.substr(equals + 1));
  Result<Doc> parsed = ParseToml("value = " + value, "--set");
  Doc replacement;
  if (parsed.ok()) {
    replacement = *parsed->Find("value");
  } else {
    replacement.kind = Doc::Kind::kString;
    replacement.text = value;
  }
  SetLines(line, &replacement);
  *doc->FindOrAdd(key) = std::move(replacement);
  return OkStatus();
}

Fields::Fields(const Doc* doc, std::string where, std::string file)
    : doc_(doc), where_(std::move(where)), file_(std::move(file)) {
  if (doc_ != nullptr && doc_->kind != Doc::Kind::kTable) {
    status_ =
        InvalidArgument(fmt::format("{}: got {}, want a table", Place(""), KindName(doc_->kind)));
    doc_ = nullptr;
  }
}

std::string Fields::Place(std::string_view key) const {
  const Doc* value = doc_ == nullptr || key.empty() ? doc_ : doc_->Find(key);
  const int line = value != nullptr ? value->line : doc_ != nullptr ? doc_->line : 0;
  std::string place = line == Doc::kOverrideLine ? "--set: "
                      : line > 0                 ? fmt::format("{}:{}: ", file_, line)
                                                 : fmt::format("{}: ", file_);
  place += where_;
  if (!key.empty()) place += (where_.empty() ? "" : ".") + std::string(key);
  return place;
}

void Fields::Fail(std::string_view key, const std::string& problem) {
  if (status_.ok()) status_ = InvalidArgument(Place(key) + ": " + problem);
}

const Doc* Fields::Take(std::string_view key) {
  known_.emplace_back(key);
  return doc_ == nullptr ? nullptr : doc_->Find(key);
}

void Fields::Get(std::string_view key, bool* value) {
  const Doc* doc = Take(key);
  if (doc == nullptr) return;
  if (doc->kind != Doc::Kind::kBool) {
    return Fail(key, fmt::format("got {}, want true or false", KindName(doc->kind)));
  }
  *value = doc->boolean;
}

void Fields::Get(std::string_view key, int64_t* value, Range range) {
  const Doc* doc = Take(key);
  if (doc == nullptr) {
    if (range.required) Fail(key, "is missing, want an integer");
    return;
  }
  if (doc->kind != Doc::Kind::kInt) {
    return Fail(key, fmt::format("got {}, want an integer", KindName(doc->kind)));
  }
  if (doc->number < range.min || doc->number > range.max) {
    return Fail(key, fmt::format("got {}, want {}", doc->integer, RangeText(range)));
  }
  *value = doc->integer;
}

void Fields::Get(std::string_view key, double* value, Range range) {
  const Doc* doc = Take(key);
  if (doc == nullptr) {
    if (range.required) Fail(key, "is missing, want a number");
    return;
  }
  if (doc->kind != Doc::Kind::kInt && doc->kind != Doc::Kind::kFloat) {
    return Fail(key, fmt::format("got {}, want a number", KindName(doc->kind)));
  }
  if (!(doc->number >= range.min && doc->number <= range.max)) {
    return Fail(key, fmt::format("got {:g}, want {}", doc->number, RangeText(range)));
  }
  *value = doc->number;
}

void Fields::Get(std::string_view key, std::string* value, bool required) {
  const Doc* doc = Take(key);
  if (doc == nullptr) {
    if (required) Fail(key, "is missing, want a string");
    return;
  }
  if (doc->kind != Doc::Kind::kString) {
    return Fail(key, fmt::format("got {}, want a string", KindName(doc->kind)));
  }
  *value = doc->text;
}

void Fields::Get(std::string_view key, std::vector<int64_t>* value, Range range) {
  const Doc* doc = Take(key);
  if (doc == nullptr) return;
  if (doc->kind != Doc::Kind::kArray) {
    return Fail(key, fmt::format("got {}, want an array of integers", KindName(doc->kind)));
  }
  std::vector<int64_t> values;
  for (const Doc& item : doc->array) {
    if (item.kind != Doc::Kind::kInt) {
      return Fail(key, fmt::format("got {} in the array, want integers", KindName(item.kind)));
    }
    if (item.number < range.min || item.number > range.max) {
      return Fail(key, fmt::format("got {}, want {}", item.integer, RangeText(range)));
    }
    values.push_back(item.integer);
  }
  *value = std::move(values);
}

void Fields::Get(std::string_view key, std::vector<std::string>* value) {
  const Doc* doc = Take(key);
  if (doc == nullptr) return;
  if (doc->kind != Doc::Kind::kArray) {
    return Fail(key, fmt::format("got {}, want an array of strings", KindName(doc->kind)));
  }
  std::vector<std::string> values;
  for (const Doc& item : doc->array) {
    if (item.kind != Doc::Kind::kString) {
      return Fail(key, fmt::format("got {} in the array, want strings", KindName(item.kind)));
    }
    values.push_back(item.text);
  }
  *value = std::move(values);
}

void Fields::GetChoice(std::string_view key, std::string* value, std::vector<std::string> choices) {
  const bool present = doc_ != nullptr && doc_->Find(key) != nullptr;
  std::string got = *value;
  Get(key, &got);
  if (!present || std::find(choices.begin(), choices.end(), got) != choices.end()) {
    *value = got;
    return;
  }
  const auto nearest = DidYouMean(got, choices);
  Fail(key, fmt::format("got \"{}\", want {}{}", got, JoinChoices(choices),
                        nearest ? fmt::format(" (did you mean \"{}\"?)", *nearest) : ""));
}

Status Fields::Finish() {
  if (!status_.ok() || doc_ == nullptr) return status_;
  for (const auto& [key, value] : doc_->table) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const auto nearest = DidYouMean(key, known_);
    std::sort(known_.begin(), known_.end());
    known_.erase(std::unique(known_.begin(), known_.end()), known_.end());
    Fail(key, nearest ? fmt::format("unknown key; did you mean \"{}\"?", *nearest)
                      : fmt::format("unknown key; known here: {}", JoinChoices(known_)));
    break;
  }
  return status_;
}

}  // namespace weft::base
