#pragma once
// TableReader: one table of a scenario, read strictly. Inside this room only.

#include <string>
#include <string_view>

#include "base/doc.h"
#include "config/scenario_options.h"

namespace weft::config {

class TableReader : public ScenarioVisitor {
 public:
  // `doc` may be null: an absent table. `where` names it ("device.pi"); paths start at
  // origin.folder.
  TableReader(const base::Doc* doc, std::string where, const Origin& origin);

  void Visit(const Option& option, bool* value) override;
  void Visit(const Option& option, int64_t* value) override;
  void Visit(const Option& option, double* value) override;
  void Visit(const Option& option, std::string* value) override;
  void Visit(const Option& option, ByteCount* value) override;
  void Visit(const Option& option, Duration* value) override;
  void Visit(const Option& option, std::optional<Duration>* value) override;
  void Visit(const Option& option, std::optional<double>* value) override;
  void Visit(const Option& option, sim::SlowdownOptions* value) override;
  void VisitRate(const Option& option, double* value) override;

  bool Given(std::string_view key) const { return doc_ != nullptr && doc_->Find(key) != nullptr; }
  // Records an error about `key`; the first one wins.
  void Fail(std::string_view key, const std::string& problem) { fields_.Fail(key, problem); }
  // For keys that the rest of the table leaves without a meaning.
  void WantAbsent(std::string_view key, const std::string& reason);
  void WantPresent(std::string_view key, const std::string& want);
  // `path` as one that holds wherever the program stands.
  std::string Resolve(const std::string& path) const;
  // The first error, or an unknown key.
  Status Finish();

 private:
  const base::Doc* TakeText(const Option& option, std::string_view want);

  const base::Doc* doc_;
  std::string where_;
  const Origin& origin_;
  base::Fields fields_;
  Status inner_;  // of tables within this one
};

}  // namespace weft::config
