// Writing: ToJson, Digest and the reference page.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/text.h"
#include "config/options.h"
#include "config/reference_page.h"
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

class JobPage : public ReferencePage<OptionVisitor> {
 public:
  using ReferencePage::Visit;
  void Section(std::string_view name, std::string_view meaning) override {
    Head(fmt::format("[{}]", name), meaning);
  }
  void Visit(const Option& option, std::vector<int64_t>*) override {
    Row(option, "integers", "none");
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
  JobPage writer;
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
