// Reading: FromDoc, FromJson and Load.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <list>
#include <system_error>

#include "base/file_system.h"
#include "base/text.h"
#include "config/options.h"
#include "config/run_config.h"

namespace weft::config {
namespace {

using base::Doc;
using base::Fields;

// "sync", 1, ... as the text it has in a job; empty for arrays and tables.
std::string ScalarText(const Doc& doc) {
  switch (doc.kind) {
    case Doc::Kind::kString:
      return doc.text;
    case Doc::Kind::kInt:
      return std::to_string(doc.integer);
    case Doc::Kind::kFloat:
      return fmt::format("{}", doc.number);
    case Doc::Kind::kBool:
      return doc.boolean ? "true" : "false";
    default:
      return "";
  }
}

bool Contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

class Reader : public OptionVisitor {
 public:
  Reader(const Doc& doc, const Origin& origin)
      : doc_(doc), origin_(origin), root_(&doc, "", origin.file) {}

  void Section(std::string_view name, std::string_view) override {
    sections_.emplace_back(std::string(name),
                           Fields(root_.Take(name), std::string(name), origin_.file));
    now_ = &sections_.back().second;
  }

  void Visit(const Option& option, bool* value) override { now_->Get(option.key, value); }

  void Visit(const Option& option, int64_t* value) override {
    now_->Get(option.key, value, {option.min, option.max, option.required});
  }

  void Visit(const Option& option, double* value) override {
    now_->Get(option.key, value, {option.min, option.max, option.required});
  }

  void Visit(const Option& option, std::string* value) override {
    if (option.choices.empty()) {
      now_->Get(option.key, value, option.required);
      if (option.path != PathKind::kNone) *value = Resolve(*value, option.path);
      return;
    }
    const Doc* given = now_->Take(option.key);
    if (given != nullptr && Contains(option.later, given->text)) {
      return now_->Fail(option.key, fmt::format("not built yet: got \"{}\", want {}", given->text,
                                                base::JoinChoices(option.choices)));
    }
    now_->GetChoice(option.key, value, option.choices);
  }

  void Visit(const Option& option, std::vector<int64_t>* value) override {
    now_->Get(option.key, value, {option.min, option.max, false});
  }

  void Visit(const Option& option, ByteCount* value) override {
    const Doc* given = now_->Take(option.key);
    if (given == nullptr) return;
    const auto bytes =
        base::ParseBytes(given->kind == Doc::Kind::kString ? given->text : ScalarText(*given));
    if (bytes.ok()) {
      value->value = *bytes;
    } else {
      now_->Fail(option.key, bytes.status().message());
    }
  }

  void Visit(const Option& option, Normalise* value) override {
    const Doc* given = now_->Take(option.key);
    if (given == nullptr) return;
    if (given->kind == Doc::Kind::kBool) {
      value->on = given->boolean;
    } else if (given->kind == Doc::Kind::kTable) {
      ReadStatistics(option.key, *given, value);
    } else {
      now_->Fail(option.key, fmt::format("got {}, want true, false or {{mean = [..], std = [..]}}",
                                         base::KindName(given->kind)));
    }
  }

  void Later(std::string_view key, std::string_view only) override {
    const Doc* given = now_->Take(key);
    if (given == nullptr || (!only.empty() && ScalarText(*given) == only)) return;
    const std::string text = ScalarText(*given);
    now_->Fail(key, fmt::format("not built yet: got {}, want {}",
                                text.empty() ? std::string(base::KindName(given->kind)) : text,
                                only.empty() ? "it left out" : only));
  }

  void LaterSection(std::string_view name) override {
    if (root_.Take(name) != nullptr) root_.Fail(name, "not built yet: want it left out");
  }

  bool Given(std::string_view section, std::string_view key) const {
    const Doc* table = doc_.Find(section);
    return table != nullptr && table->Find(key) != nullptr;
  }

  // The first error: of the sections' names, then of their keys in order, then of the whole.
  Status Finish(const RunConfig& config) {
    RETURN_IF_ERROR(root_.Finish());
    for (auto& [name, fields] : sections_) RETURN_IF_ERROR(fields.Finish());
    const std::optional<Problem> problem = FindProblem(config);
    if (!problem) return OkStatus();
    for (auto& [name, fields] : sections_) {
      if (name != problem->section) continue;
      fields.Fail(problem->key, problem->text);
      return fields.Finish();
    }
    return base::InvalidArgument(problem->text);
  }

 private:
  void ReadStatistics(std::string_view key, const Doc& table, Normalise* value) {
    value->mean = ReadNumbers(key, table, "mean");
    value->std = ReadNumbers(key, table, "std");
    for (const auto& [name, entry] : table.table) {
      if (name != "mean" && name != "std") {
        now_->Fail(key, fmt::format("unknown key \"{}\"; known here: mean or std", name));
      }
    }
    if (value->mean.size() != value->std.size()) {
      now_->Fail(key, fmt::format("got {} means and {} deviations, want one of each a channel",
                                  value->mean.size(), value->std.size()));
    }
    for (const double std : value->std) {
      if (!(std > 0)) now_->Fail(key, fmt::format("got std {}, want it above 0", std));
    }
  }

  std::vector<double> ReadNumbers(std::string_view key, const Doc& table, std::string_view name) {
    const Doc* given = table.Find(name);
    if (given == nullptr || given->kind != Doc::Kind::kArray || given->array.empty()) {
      now_->Fail(key, fmt::format("got no {}, want {{mean = [..], std = [..]}}", name));
      return {};
    }
    std::vector<double> numbers;
    for (const Doc& item : given->array) {
      const bool number = item.kind == Doc::Kind::kInt || item.kind == Doc::Kind::kFloat;
      if (!number || !std::isfinite(static_cast<float>(item.number))) {
        now_->Fail(key, fmt::format("got {} in {}, want finite numbers", ScalarText(item), name));
      }
      numbers.push_back(item.number);
    }
    return numbers;
  }

  // A path of the document as one that holds wherever the program stands.
  std::string Resolve(const std::string& text, PathKind kind) const {
    size_t begin = 0;
    if (kind == PathKind::kSource) {
      const size_t colon = text.find(':');
      if (colon == std::string::npos || text.starts_with("synthetic:")) return text;
      begin = colon + 1;
    }
    if (begin == text.size() || origin_.folder.empty()) return text;
    const std::filesystem::path path = base::JoinPath(origin_.folder, text.substr(begin));
    return text.substr(0, begin) + path.lexically_normal().string();
  }

  const Doc& doc_;
  const Origin& origin_;
  Fields root_;
  std::list<std::pair<std::string, Fields>> sections_;
  Fields* now_ = nullptr;
};

}  // namespace

Result<RunConfig> FromDoc(const base::Doc& doc, const Origin& origin) {
  RunConfig config;
  Reader reader(doc, origin);
  VisitOptions(&config, &reader);
  if (!reader.Given("job", "name")) {
    config.job.name = std::filesystem::path(origin.file).stem().string();
  }
  if (!reader.Given("optimizer", "lr")) {
    config.optimizer.lr = config.optimizer.name == "adamw" ? 0.001 : 0.01;
  }
  RETURN_IF_ERROR(reader.Finish(config));
  return config;
}

Result<RunConfig> FromJson(std::string_view json, const std::string& name) {
  ASSIGN_OR_RETURN(const base::Doc doc, base::ParseJson(json, name));
  return FromDoc(doc, {.file = name, .folder = ""});
}

Result<RunConfig> Load(const std::string& path, std::span<const std::string> overrides) {
  ASSIGN_OR_RETURN(base::Doc doc, base::LoadDoc(path));
  for (const std::string& assignment : overrides) {
    RETURN_IF_ERROR(base::ApplyOverride(assignment, &doc));
  }
  // Without symbolic links, so that ".." in the document means what the file system means by it.
  std::error_code error;
  const auto folder = std::filesystem::canonical(base::DirName(path), error);
  if (error) return base::NotFound(base::DirName(path) + ": " + error.message());
  return FromDoc(doc, {.file = path, .folder = folder.string()});
}

}  // namespace weft::config
