#pragma once
// Doc: a parsed TOML or JSON document as one tree of values that remember their line, and Fields,
// which reads a table strictly: every key must be asked for, so a misspelt one is an error with a
// did-you-mean.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace weft::base {

struct Doc {
  enum class Kind { kNull, kBool, kInt, kFloat, kString, kArray, kTable };
  Kind kind = Kind::kNull;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;  // also set for kInt
  std::string text;
  std::vector<Doc> array;
  std::vector<std::pair<std::string, Doc>> table;  // in file order
  int line = 0;                                    // 1-based; 0 where it is not known

  // The line of a value that comes from the command line: messages name --set, not the file.
  static constexpr int kOverrideLine = -1;

  const Doc* Find(std::string_view key) const;
  // Creates missing tables on the way; "a.b" descends.
  Doc* FindOrAdd(std::string_view dotted);
};

std::string_view KindName(Doc::Kind kind);

// Tables and arrays of a JSON document nest this deep at most: readers of a Doc recurse.
inline constexpr int kMaxDepth = 64;

// `name` is used in messages: "job.toml:12: ...". Errors: kInvalidArgument with line and column.
Result<Doc> ParseToml(std::string_view text, const std::string& name);
Result<Doc> ParseJson(std::string_view text, const std::string& name);
// By ending: .json is JSON, all else TOML. Errors of the file system pass through.
Result<Doc> LoadDoc(const std::string& path);

// `line` is given to what it sets. Applies "a.b=value" (value as TOML; a bare word is a string).
// Errors: kInvalidArgument.
Status ApplyOverride(std::string_view assignment, Doc* doc, int line = Doc::kOverrideLine);

// Reads one table. Collects the first error and the keys asked for; Finish() reports the error, or
// an unknown key.
//
//   Fields fields(doc, "job", "job.toml");
//   fields.Get("epochs", &epochs, {.min = 1});
//   RETURN_IF_ERROR(fields.Finish());
class Fields {
 public:
  struct Range {
    double min = -1e300;
    double max = 1e300;
    bool required = false;
  };

  // `doc` may be null: an absent table. `where` names it in messages ("optimizer"); `file` the
  // document.
  Fields(const Doc* doc, std::string where, std::string file);

  // Leave the target alone if the key is absent. Integers are accepted where numbers are wanted.
  void Get(std::string_view key, bool* value);
  void Get(std::string_view key, int64_t* value, Range range = {-1e300, 1e300, false});
  void Get(std::string_view key, double* value, Range range = {-1e300, 1e300, false});
  void Get(std::string_view key, std::string* value, bool required = false);
  void Get(std::string_view key, std::vector<int64_t>* value, Range range = {-1e300, 1e300, false});
  void Get(std::string_view key, std::vector<std::string>* value);
  // Like the string Get, but the value must be one of `choices` (did-you-mean otherwise).
  void GetChoice(std::string_view key, std::string* value, std::vector<std::string> choices);
  // The raw value, or null; marks the key as known.
  const Doc* Take(std::string_view key);

  // Records an error about `key`: "job.toml:12: optimizer.lr: <problem>". The first one wins.
  void Fail(std::string_view key, const std::string& problem);
  Status Finish();

 private:
  std::string Place(std::string_view key) const;

  const Doc* doc_;
  std::string where_;
  std::string file_;
  std::vector<std::string> known_;
  Status status_;
};

}  // namespace weft::base
