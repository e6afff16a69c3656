#pragma once
// ReferencePage: what the pages of jobs and of scenarios have in common: tables of keys with value,
// default and meaning, in Markdown. Inside this room only.

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"

namespace weft::config {

// `Visitor`: OptionVisitor or ScenarioVisitor; the values that both know are written here.
template <class Visitor>
class ReferencePage : public Visitor {
 public:
  // Begins a table.
  void Head(std::string_view title, std::string_view text) {
    text_ += fmt::format(
        "\n## {}\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n", title, text);
  }

  using Visitor::Visit;
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
  void Visit(const Option& option, ByteCount* value) override {
    Row(option, "bytes, or text such as `\"200 MiB\"`", fmt::format("`{}`", value->value));
  }

  const std::string& text() const { return text_; }

 protected:
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

 private:
  // "`sgd`, `adamw`"
  static std::string Quoted(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "`" : ", `") + word + "`";
    return text;
  }
  // What may stand there: "integer 0..1024", or the choices.
  static std::string WantText(const Option& option, std::string_view kind) {
    if (!option.choices.empty()) return Quoted(option.choices);
    if (option.min <= -1e300) return std::string(kind);
    return fmt::format("{} {:.16g}..{:.16g}", kind, option.min, option.max);
  }
};

}  // namespace weft::config
