#pragma once
// Every key of a job, written once: VisitOptions walks them in order, and reading, writing and the
// reference page are visitors. Inside this room only.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"

namespace weft::config {

enum class PathKind {
  kNone,
  kFile,    // "net.toml"
  kSource,  // "idx:DIR": the part after the scheme is a path, except for synthetic data
};

struct Option {
  std::string_view key;
  std::string_view meaning;
  double min = -1e300;  // of numbers and of the entries of arrays
  double max = 1e300;
  std::vector<std::string> choices = {};  // of strings; empty: any
  std::vector<std::string> later = {};    // choices that weft names but cannot do yet
  bool required = false;
  std::string_view default_text = {};  // where the default is not simply the value in RunConfig
  PathKind path = PathKind::kNone;
};

class OptionVisitor {
 public:
  virtual ~OptionVisitor() = default;

  // The options that follow stand in [name].
  virtual void Section(std::string_view name, std::string_view meaning) = 0;
  virtual void Visit(const Option& option, bool* value) = 0;
  virtual void Visit(const Option& option, int64_t* value) = 0;
  virtual void Visit(const Option& option, double* value) = 0;
  virtual void Visit(const Option& option, std::string* value) = 0;
  virtual void Visit(const Option& option, std::vector<int64_t>* value) = 0;
  virtual void Visit(const Option& option, ByteCount* value) = 0;
  virtual void Visit(const Option& option, Normalise* value) = 0;
  // A key of this section that nothing reads yet. `only`: the one value that says what happens
  // today, accepted for that reason; empty: the key must be left out.
  virtual void Later(std::string_view key, std::string_view only) = 0;
  // The same for a whole section.
  virtual void LaterSection(std::string_view name) = 0;
};

void VisitOptions(RunConfig* config, OptionVisitor* visitor);

// A contradiction between options that are fine one by one.
struct Problem {
  std::string_view section;
  std::string_view key;
  std::string text;
};
std::optional<Problem> FindProblem(const RunConfig& config);

}  // namespace weft::config
