// Writing: ToJson, Digest and the reference page.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/text.h"
#include "config/options.h"
#include "config/run_config.h"

namespace weft::config {
namespace {

using nlohmann::ordered_json;

ordered_json NormaliseJson(const Normalise& value) {
  if (!value.on || value.mean.empty()) return value.on;
  return {{"mean", value.mean}, {"std", value.std}};
}

class Writer : public OptionVisitor {
 public:
  void Section(std::string_view name, std::string_view) override {
    now_ = &json_[std::string(name)];
    *now_ = ordered_json::object();
  }
  void Visit(const Option& option, bool* value) override { Put(option, *value); }
  void Visit(const Option& option, int64_t* value) override { Put(option, *value); }
  void Visit(const Option& option, double* value) override { Put(option, *value); }
  // Text and arrays are left out when empty: that is how a job says "none".
  void Visit(const Option& option, std::string* value) override {
    if (!value->empty()) Put(option, *value);
  }
  void Visit(const Option& option, std::vector<int64_t>* value) override {
    if (!value->empty()) Put(option, *value);
  }
  void Visit(const Option& option, ByteCount* value) override { Put(option, value->value); }
  void Visit(const Option& option, Normalise* value) override {
    Put(option, NormaliseJson(*value));
  }
  void Later(std::string_view, std::string_view) override {}
  void LaterSection(std::string_view) override {}

  std::string Text() const {
    return json_.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  }

 private:
  void Put(const Option& option, ordered_json value) {
    (*now_)[std::string(option.key)] = std::move(value);
  }

  ordered_json json_ = ordered_json::object();
  ordered_json* now_ = nullptr;
};

// "`sgd`, `adamw`"
std::string Quoted(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "`" : ", `") + word + "`";
  return text;
}

// What may stand there: "integer 0..1024", or the choices.
std::string WantText(const Option& option, std::string_view kind) {
  if (!option.choices.empty()) return Quoted(option.choices);
  if (option.min <= -1e300) return std::string(kind);
  return fmt::format("{} {:.16g}..{:.16g}", kind, option.min, option.max);
}

class ReferenceWriter : public OptionVisitor {
 public:
  void Section(std::string_view name, std::string_view meaning) override {
    text_ +=
        fmt::format("\n## [{}]\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                    name, meaning);
  }
  void Visit(const Option& option, bool* value) override {
    Row(option, "true or false", *value ? "`true`" : "`false`");
  }
  void Visit(const Option& option, int64_t* value) override {
    Row(option, "integer", fmt::format("`{}`", *value));
  }
  void Visit(const Option& option, double* value) override {
    Row(option, "number", fmt::format("`{}`", *value));
  }
  void Visit(const Option& option, std::string* value) override {
    Row(option, option.path == PathKind::kNone ? "text" : "text with a path",
        value->empty() ? "none" : fmt::format("`{}`", *value));
  }
  void Visit(const Option& option, std::vector<int64_t>*) override {
    Row(option, "integers", "none");
  }
  void Visit(const Option& option, ByteCount* value) override {
    Row(option, "bytes, or text such as `\"200 MiB\"`", fmt::format("`{}`", value->value));
  }
  void Visit(const Option& option, Normalise*) override {
    Row(option, "true, false or a table", "`true`");
  }
  void Later(std::string_view key, std::string_view only) override {
    text_ += only.empty() ? fmt::format("| `{}` | not built yet | | leave it out |\n", key)
                          : fmt::format("| `{}` | not built yet | `{}` | only `{}` is accepted |\n",
                                        key, only, only);
  }
  void LaterSection(std::string_view name) override {
    text_ += fmt::format("\n## [{}]\n\nNot built yet: leave it out.\n", name);
  }

  const std::string& text() const { return text_; }

 private:
  void Row(const Option& option, std::string_view kind, std::string_view fallback) {
    const std::string_view shown = option.required               ? "required"
                                   : option.default_text.empty() ? fallback
                                                                 : option.default_text;
    const std::string later =
        option.later.empty() ? "" : fmt::format(" Not built yet: {}.", Quoted(option.later));
    text_ += fmt::format("| `{}` | {} | {} | {}{} |\n", option.key, WantText(option, kind), shown,
                         option.meaning, later);
  }

  std::string text_;
};

}  // namespace

std::string RunConfig::ToJson() const {
  RunConfig copy = *this;
  Writer writer;
  VisitOptions(&copy, &writer);
  return writer.Text();
}

std::string RunConfig::Digest() const { return base::Sha256Hex(base::AsBytes(ToJson())); }

std::string JobReference() {
  RunConfig defaults;
  ReferenceWriter writer;
  VisitOptions(&defaults, &writer);
  return "# A job file\n\n"
         "A job is TOML, or JSON of the same shape. An unknown key is an error. On the command "
         "line\n"
         "`--set section.key=value` overrides a key. Relative paths, in the file and in overrides, "
         "start at\nthe job file's folder; `job.out` starts at the working directory.\n\n"
         "This page is written by the program from the options it reads; a test compares the "
         "two.\n" +
         writer.text();
}

}  // namespace weft::config
